"""A rehearsal as values: what the UPS does, the files as they play, what was seen, and what it means."""
