"""The real test of a forced shutdown: what has to be so before it, what will happen, and what did happen."""
