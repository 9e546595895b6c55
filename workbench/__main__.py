"""``python -m workbench …`` is ``jupyter workbench …``."""

import sys

from workbench.jupyter.cli import main

if __name__ == "__main__":
    sys.exit(main())
