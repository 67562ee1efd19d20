"""The ways in which a set-up that looks fine does not protect, as rules: pure functions of what was seen."""
