"""Compares samples with one another: exact duplicates, and which of them survives."""
