"""How a file becomes a recording, or a refusal with a code. What is said in it is no business of this room."""
