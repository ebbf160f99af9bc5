"""Identifiers of people in a build: what the recipe says of them, where texts and pictures meet it, and the review."""
