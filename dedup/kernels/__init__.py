"""Compiled loops over the bytes of Arrow strings: normal form, tokens, signatures, comparison. No Python strings."""
