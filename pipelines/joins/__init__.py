"""Joins by exchange: a table too large for memory reaches each fragment as the rows that its records match.

Both sides send hashes of the value they are joined by: the fragments of the corpus, and the fragments of the
table with the mapped columns of its rows, which are sealed where the source is keyed (`sources/sealing.py`).
Partitions of the hash are solved alone; each fragment then ingests with its own rows as if they were the table.
"""
