"""`python -m nutwizard`: the same as the command `nutwizard`."""

import sys

from nutwizard.cli import main

if __name__ == "__main__":
    sys.exit(main())
