"""NUT's own chain on a copy of the machines, in namespaces of its own: nothing outside it is touched."""
