"""From a transcript to a note that says nothing the speaker did not say."""
