"""What the sentences of a diary are: statements, to-dos, dates, names, feelings. Rules of language, no note."""
