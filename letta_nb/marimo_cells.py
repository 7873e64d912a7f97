"""Cells of marimo's: widgets live there as anywhere; HTML runs no scripts, a cell has one output, and no display id."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def runs_us() -> bool:
    """Whether a cell of marimo's does; marimo is not imported for the question."""
    return "marimo" in sys.modules and bool(_marimo().running_in_notebook())


def append(value: object) -> None:
    """Show something in the current cell, below what it shows."""
    _marimo().output.append(value)


def frame(page: str) -> Any:
    """A whole page as something to display: in a frame its scripts run."""
    return _marimo().iframe(page)


class Handle:
    """HTML in the current cell, which `update` replaces, as IPython's display handles do."""

    def __init__(self, bundle: dict[str, Any]) -> None:
        self.update(bundle)

    def update(self, bundle: dict[str, Any], *, raw: bool = True) -> None:
        """Show the HTML of another bundle instead."""
        del raw  # a bundle is never anything else here
        marimo = _marimo()
        marimo.output.replace(marimo.Html(bundle["text/html"]))


def _marimo() -> Any:
    return importlib.import_module("marimo")
