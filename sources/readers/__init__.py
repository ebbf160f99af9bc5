"""Readers: one file a form of corpus. `READERS` in `registry.py` finds them by name."""
