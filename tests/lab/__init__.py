"""Two machines on one computer: a Proxmox VE look-alike and its guest, real NUT, a real network between."""
