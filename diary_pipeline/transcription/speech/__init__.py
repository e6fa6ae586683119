"""Where somebody speaks in a recording: from blocks to windows, quiet speech raised, every second accounted for."""
