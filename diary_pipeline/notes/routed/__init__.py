"""Notes that language models write: asked, held against what was said, repaired once, or left to the offline writer."""
