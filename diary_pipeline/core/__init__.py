"""The words of the domain: plain types and the exception tree. Imports nothing of ours and nothing heavy."""
