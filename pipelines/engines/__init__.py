"""Where fragments are worked on. `local` runs processes on this machine."""
