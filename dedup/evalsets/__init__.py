"""The registry of eval sets: what each benchmark is, where it lies, how its items are read, which splits are judged."""
