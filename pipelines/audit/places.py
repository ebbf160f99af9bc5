"""Where an audit leaves what it found: in a directory of its own, or in the run whose shards it is about."""

DOCUMENT = "contamination.json"
AUDIT = f"shards/{DOCUMENT}"
"""The document, in a run."""
FINDINGS = "tables/findings"
FINDINGS_TABLE = f"{FINDINGS}/part-000000.parquet"
CLEAN = "reports/clean_subset"
PAGE = "reports/contamination.html"
TREES = (FINDINGS, CLEAN)
"""Folders that hold nothing else."""
