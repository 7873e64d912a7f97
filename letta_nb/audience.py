"""Who watches a run, and who is asked before a function of this kernel runs for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from letta_nb.answers import Decision
from letta_nb.entries import Change, ToolCallEntry
from letta_nb.run import Run


class View(Protocol):
    """Who watches a run: told of each change, of each pause for approval, and once of the end."""

    def changed(self, run: Run, changes: Sequence[Change]) -> None: ...
    def paused(self, run: Run) -> None: ...
    def ended(self, run: Run, problem: Exception | None) -> None: ...


# How a person is asked before a function of this kernel runs: by the page's buttons, by a question in place, or not at
# all, where nobody is there; the run then returns with the call pending.
Asks = Literal["page"] | Callable[[ToolCallEntry], Decision] | None
