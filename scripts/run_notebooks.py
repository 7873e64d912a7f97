"""Executes notebooks/*.ipynb and keeps their outputs, frozen as a reader will see them: `make notebooks`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"


def execute(path: Path) -> Any:
    """The notebook with fresh outputs, without what differs from one machine to the next or no reader needs."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, record_timing=False, resources={"metadata": {"path": str(FOLDER)}}).execute()
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.clear()
    return notebook


def main() -> None:
    for name in ("LETTA_BASE_URL", "LETTA_API_KEY"):
        os.environ.pop(name, None)
    names = sys.argv[1:] or sorted(path.name for path in FOLDER.glob("*.ipynb"))
    for name in names:
        notebook = execute(FOLDER / name)
        nbformat.write(notebook, FOLDER / name)
        print(f"{(FOLDER / name).stat().st_size:9,}  {name}")


if __name__ == "__main__":
    main()
