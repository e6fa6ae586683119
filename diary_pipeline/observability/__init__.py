"""What operators see: logs, later metrics and traces. Never diary text, never secrets."""
