"""Where an audit leaves what it found: in a directory of its own, or in the run whose shards it is about."""

DOCUMENT = "contamination.json"
AUDIT = f"shards/{DOCUMENT}"
"""The document, in a run."""
FINDINGS = "tables/findings"
FINDINGS_TABLE = f"{FINDINGS}/part-000000.parquet"
CLEAN = "reports/clean_subset"
PAGE = "reports/contamination.html"
SHORTCUTS_PAGE = "reports/shortcuts.html"
SHORTCUTS = "reports/shortcuts.json"
REPORTS = (PAGE, SHORTCUTS_PAGE, SHORTCUTS)
"""What a build leaves of its audit besides what it publishes, with CLEAN."""
TREES = (FINDINGS, CLEAN)
"""Folders that hold nothing else."""
