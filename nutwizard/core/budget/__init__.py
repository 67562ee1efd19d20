"""The time budget of a shutdown: what it needs, step by step, against what the battery gives."""
