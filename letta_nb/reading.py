"""What a person passes as runs, read one after the other: a Run, several, a path or a pattern of paths.

Nothing is held that was read: who takes a few runs at a time needs no memory for the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from letta_nb import record
from letta_nb.errors import InputError
from letta_nb.progress import counted
from letta_nb.record_read import TORN
from letta_nb.run import Run

Runs = Run | str | Path | Iterable["Run | str | Path"]
OnError = Literal["raise", "collect"]


class Unread(NamedTuple):
    """A file that could not be read, a run that was there before, or a last line that was cut off, and why."""

    source: str
    error: str

    @property
    def is_torn(self) -> bool:
        """Whether the run is there but for that line."""
        return self.error == TORN


@dataclass(slots=True)
class Reading:
    """The runs of `x`. `on_error`: "raise" InputError at the first that cannot be had, or "collect" them in `unread`.

    `progress`: a bar always, never, or (None) once it takes longer than 2 s.
    """

    x: Any
    on_error: OnError = "raise"
    progress: bool | None = None
    unread: list[Unread] = field(default_factory=list[Unread])
    _sources: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        if self.on_error not in ("raise", "collect"):
            raise InputError(f'on_error={self.on_error!r} is not known. Say "raise" or "collect".')

    def __iter__(self) -> Iterator[Run]:
        """Each run as it stands now. Of two with one id, whose rows could not be told apart, the second is an error."""
        total = len(self.x) if isinstance(self.x, Sized) and not isinstance(self.x, str) else None
        for item in counted(_flat(self.x), "runs", total, self.progress):
            source = "" if isinstance(item, Run) else str(item)
            try:
                found = [item] if isinstance(item, Run) else record.load_all(item)
            except (InputError, OSError) as problem:
                self._failed(source, problem)
                continue
            for run in found:
                still = run.still()
                try:
                    self._distinct(still, source)
                except InputError as problem:
                    self._failed(source, problem)
                else:
                    self._whole(still, source)
                    yield still

    def _distinct(self, run: Run, source: str) -> None:
        run_id = run.run_id or run.uid
        if run_id not in self._sources:
            self._sources[run_id] = source
            return
        places = sorted({source, self._sources[run_id]} - {""})
        where = f" ({' and '.join(places)})" if places else ""
        raise InputError(
            f"Two runs have the id {run_id}{where}: the same run twice, or a run and its resumed stream? Their rows "
            "could not be told apart. Pass one of them."
        )

    def _whole(self, run: Run, source: str) -> None:
        """A torn last line is no error, and told of all the same: the run is there as far as it was written."""
        if source and TORN in (run.note or ""):
            self.unread.append(Unread(source, TORN))

    def _failed(self, source: str, problem: Exception) -> None:
        if self.on_error == "raise":
            raise problem if isinstance(problem, InputError) else InputError(f"{source} cannot be read: {problem}")
        self.unread.append(Unread(source, str(problem)))


def _flat(x: Any) -> Iterator[Run | Path]:
    """Runs, and the names of files that hold some."""
    if isinstance(x, Run):
        yield x
    elif isinstance(x, str | Path):
        found = record.files(x)
        if not found:
            raise InputError(f"No file matches {x}.")
        yield from found
    elif isinstance(x, Iterable):
        for one in cast("Iterable[Any]", x):
            yield from _flat(one)
    else:
        raise InputError(f"A Run, several Runs, a path or a pattern of paths was expected, not {type(x).__name__}.")
