"""What a person runs: the `curate` command, a file a verb."""
