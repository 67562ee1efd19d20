"""Lossless models of NUT's files: bytes in, bytes out. An edit touches only the lines that it is about."""
