"""Builds the bundle anew, elsewhere, and fails if the committed one in letta_nb/static is not that."""

from __future__ import annotations

import filecmp
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "letta_nb/static"


def main() -> int:
    with tempfile.TemporaryDirectory() as made:
        env = {**os.environ, "LNB_OUT": made}
        done = subprocess.run(
            ["npm", "run", "--silent", "build"], cwd=ROOT / "js", env=env, capture_output=True, text=True
        )
        if done.returncode:
            print(f"The bundle does not build:\n{done.stdout}{done.stderr}")
            return 1
        names = sorted(path.name for path in Path(made).iterdir())
        _, differ, missing = filecmp.cmpfiles(made, STATIC, names, shallow=False)
    if differ or missing:
        names = ", ".join(differ + missing)
        print(f"letta_nb/static is not what js/src says ({names}): run `make js` and commit the result")
        return 1
    print(f"letta_nb/static is what js/src says ({', '.join(names)})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
