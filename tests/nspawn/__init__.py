"""Two machines on one computer with real systemd and a real power-off: systemd-nspawn on copies of it."""
