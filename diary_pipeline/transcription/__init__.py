"""From sound to a transcript that accounts for every sample: models, engines, the use case."""
