"""Near-duplicates in a build: bands propose pairs, contents travel to meet, every pair is verified, one is kept."""
