"""Where bytes lie: the object store behind one protocol, and the one place where its keys are made."""
