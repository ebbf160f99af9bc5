"""Composition: recipes, the step graph, the run directory, the ledger, and the engines that run steps."""
