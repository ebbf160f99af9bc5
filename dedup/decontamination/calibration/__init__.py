"""What an audit would have found: probes planted for it, decoys it must not find, and what that says of the rest."""
