"""Faults that happen for real, on the real engine, on real file systems: what they leave is whole."""
