"""Diaries with good notes, and answers of real models with labels: what the checks are measured on. Data only."""
