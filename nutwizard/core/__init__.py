"""Values and pure functions: what is known, what was decided, what would change. No machine is touched."""
