"""Where we are (a notebook, IPython in a terminal, plain Python) and how a run is shown there."""

from __future__ import annotations

import importlib
import sys
from typing import Any, Protocol

from letta_nb import marimo_cells
from letta_nb.answers import Decision
from letta_nb.cleaning import clean
from letta_nb.entries import ToolCallEntry
from letta_nb.run import Run


def shell() -> Any | None:
    """The running IPython shell, if any; IPython is not imported for the question."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def in_notebook() -> bool:
    """Whether a kernel of Jupyter's runs us."""
    return getattr(shell(), "kernel", None) is not None


def shows_live() -> bool:
    """Whether the current cell can show a run while it goes on."""
    return in_notebook() or marimo_cells.runs_us()


def can_ask() -> bool:
    """Whether somebody can be asked: a front end that takes input, or a terminal."""
    kernel = getattr(shell(), "kernel", None)
    if kernel is not None:
        # what nbclient and nbconvert say, who have nobody there
        return bool(getattr(kernel, "_allow_stdin", True))
    return sys.stdin is not None and sys.stdin.isatty()  # pyright: ignore[reportUnnecessaryComparison]


def ask(call: ToolCallEntry) -> Decision:
    """Ask in place, where no button can be heard, whether a function of this kernel may run."""
    # what the agent wrote must not be able to write over the question
    asked = clean(f"{call.name}({call.arguments})").replace("\n", "␊")
    if len(asked) > 500:
        asked = f"{asked[:500]}… ({len(asked) - 500} more characters)"
    said = input(f"letta_nb: the agent wants to run this function of yours: {asked}\nRun it? [y/N, or why not] ")
    words = said.strip()
    if words.lower() in ("y", "yes"):
        return Decision(True)
    return Decision(False, None if words.lower() in ("", "n", "no") else words)


def show_bundle(bundle: dict[str, Any], told: str) -> None:
    """Display a MIME bundle in a notebook, print `told` elsewhere."""
    if shows_live():
        display_bundle(bundle)
    else:
        print(told)


def show(run: Run) -> None:
    """Display a run: the interactive view in a notebook, the text transcript elsewhere."""
    if in_notebook():
        display_bundle(run.mimebundle())
    elif marimo_cells.runs_us():
        marimo_cells.append(run)
    else:
        from letta_nb import text

        text.show(run.still())


def display_bundle(bundle: dict[str, Any], *, updatable: bool = False) -> Any:
    """Display a MIME bundle as it is; `updatable`: return a handle whose `update(bundle, raw=True)` replaces it."""
    if marimo_cells.runs_us():
        return marimo_cells.Handle(bundle)
    ipython: Any = importlib.import_module("IPython.display")  # untyped
    show_raw = ipython.display
    return show_raw(bundle, raw=True, display_id=True) if updatable else show_raw(bundle, raw=True)


def html(source: str) -> Any:
    """HTML as something to display."""
    ipython: Any = importlib.import_module("IPython.display")  # untyped
    return ipython.HTML(source)


class Shown(Protocol):
    """What a cell shows while it is made: `shown_in` is that cell, by its execution count."""

    shown_in: int | None


def mark_shown(made: Shown) -> None:
    """The current cell shows this already: do not show it again as the cell's value."""
    made.shown_in = _cell()


def already_shown(made: Shown) -> bool:
    """Whether the current cell has shown this."""
    return made.shown_in is not None and made.shown_in == _cell()


def _cell() -> int | None:
    current = shell()
    return None if current is None else int(current.execution_count)
