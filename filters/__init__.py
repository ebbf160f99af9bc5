"""Looks at one sample at a time: measures pictures, counts tokens, checks license and access."""
