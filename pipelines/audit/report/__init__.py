"""The pages of an audit: what was found, with the evidence side by side, for its owners and for outsiders."""
