"""Training data out: deterministic WebDataset tars, their manifest, and the verifier."""
