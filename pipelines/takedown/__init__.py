"""Takedown: what `curate remove` does to a finished run, and what it makes every later build leave out."""
