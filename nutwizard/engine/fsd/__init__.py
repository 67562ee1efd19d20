"""The real test of a forced shutdown: it is noted, fired, watched, and read again after the reboot."""
