"""Sets up NUT on a Proxmox VE host and its virtual machines, and proves that it works."""

import os.path

__version__ = "0.1.0"

# In a checkout, steps/ and assets/ lie beside this package, not inside it: the folder above is then part of
# the package's path, so that nutwizard.steps and nutwizard.assets have one name everywhere.
_above = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if os.path.isfile(os.path.join(_above, "pyproject.toml")):
    __path__.append(_above)
