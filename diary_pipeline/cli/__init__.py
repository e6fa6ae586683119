"""The command `diary`. Thin: arguments in, one verb of the domain, rows or a sentence out."""
