"""`python -m letta_nb` is `letta-nb`."""

from __future__ import annotations

import sys

from letta_nb.cli import main

if __name__ == "__main__":
    sys.exit(main())
