"""What a person passes as runs, read one after the other: a Run, several, a path or a pattern of paths.

Nothing is held that was read: who takes a few runs at a time needs no memory for the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
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
Ids = tuple[str, str]


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
    # by the Run's own id: of those that the server told none
    _nameless: dict[str, str] = field(default_factory=dict[str, str])
    _cut: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        if self.on_error not in ("raise", "collect"):
            raise InputError(f'on_error={self.on_error!r} is not known. Say "raise" or "collect".')

    def __iter__(self) -> Iterator[Run]:
        """Each run as it stands now. Of two with one id, whose rows could not be told apart, the second is an error.

        Where errors are collected, a file that was cut off comes last: a whole one of the same run is wanted more.
        """
        items, total = self._counted()
        progress = False if self.progress is None and isinstance(self.x, Run) else self.progress
        cut: dict[str, list[tuple[Ids, int, str]]] = {}
        for item in counted(items, "runs", total, progress):
            source = "" if isinstance(item, Run) else str(item)
            for run in self._found(item, source):
                still = run.still()
                # a pipe can be read only once
                if still.partial and self.on_error == "collect" and source and Path(source).is_file():
                    cut.setdefault(still.uid, []).append((_ids(still), still.event_count, source))
                else:
                    yield from self._taken(still, source)
        for files in cut.values():
            yield from self._longest(files)

    def _counted(self) -> tuple[Iterator[Run | Path], int | None]:
        """What is to be read, and how much that is where it is known before: of names, and of runs that are here."""
        items = _flat(self.x)
        several: list[Any] = [self.x] if isinstance(self.x, str | Path) else list(self.x) if _is_list(self.x) else []
        if several and all(isinstance(its, str | Path | Run) for its in several):
            held = list(items)
            return iter(held), len(held)
        return items, len(self.x) if isinstance(self.x, Sized) and not _is_list(self.x) else None

    def _found(self, item: Run | Path, source: str) -> list[Run]:
        try:
            return [item] if isinstance(item, Run) else record.load_all(item)
        except (InputError, OSError) as problem:
            self._failed(source, problem)
            return []

    def _taken(self, run: Run, source: str) -> Iterator[Run]:
        try:
            self._distinct(run, source)
        except InputError as problem:
            self._failed(source, problem)
        else:
            self._whole(run, source)
            yield run

    def _longest(self, files: list[tuple[Ids, int, str]]) -> Iterator[Run]:
        """Of a run whose files were cut off the one that holds most, unless the run was there whole."""
        longest = max(files, key=lambda file: file[1])
        ids, _, best = longest
        there = self._place(ids)
        where = f"longer in {best}" if there is None else f"{'' if there in self._cut else 'whole '}in {there}"
        for file in files:
            if there is not None or file is not longest:
                twice = "there already" if there is None and file[2] == best else where
                why = f"It is cut off, and the same run is {twice if there != '' else 'there whole'}."
                self.unread.append(Unread(file[2], why))
        if there is None:
            for run in self._found(Path(best), best):
                yield from self._taken(run, best)

    def _place(self, ids: Ids) -> str | None:
        """Where a run was read that is the same."""
        return self._sources.get(ids[0], self._nameless.get(ids[1]))

    def _distinct(self, run: Run, source: str) -> None:
        ids = _ids(run)
        there = self._place(ids)
        if there is None:
            self._sources[ids[0]] = source
            if run.run_id is None:
                self._nameless[run.uid] = source
            else:
                self._sources.setdefault(run.uid, source)
            if run.partial:
                self._cut.add(source)
            return
        places = sorted({source, there} - {""})
        where = f" ({' and '.join(places)})" if places else ""
        cut = [place for place in places if place in self._cut or (place == source and run.partial)]
        one = f"{cut[0]} is cut off: pass the other." if len(cut) == 1 and len(places) == 2 else "Pass one of them."
        raise InputError(
            f"Two runs have the id {ids[0]}{where}: the same run twice, or a run and its resumed stream? Their rows "
            f"could not be told apart. {one}"
        )

    def _whole(self, run: Run, source: str) -> None:
        """A torn last line is no error, and told of all the same: the run is there as far as it was written."""
        if source and TORN in (run.note or ""):
            self.unread.append(Unread(source, TORN))

    def _failed(self, source: str, problem: Exception) -> None:
        if self.on_error == "raise":
            raise problem if isinstance(problem, InputError) else InputError(f"{source} cannot be read: {problem}")
        self.unread.append(Unread(source, str(problem)))


def _ids(run: Run) -> Ids:
    """The run's id, and the one that its copies share though they were cut off before the server told the first."""
    return run.run_id or run.uid, run.uid


def _flat(x: Any) -> Iterator[Run | Path]:
    """Runs, and the names of files that hold some."""
    if isinstance(x, Run):
        yield x
    elif isinstance(x, str | Path):
        found = record.files(x)
        if not found:
            raise InputError(f"No file matches {x}.")
        yield from found
    elif not isinstance(x, Iterable) or _is_table(cast("Any", x)):
        raise _refused(cast("Any", x))
    else:
        for one in cast("Iterable[Any]", x):
            yield from _flat(one)


def _is_table(x: Any) -> bool:
    """What gives its names, and no runs, where it is gone through."""
    return isinstance(x, Mapping) or hasattr(x, "columns")


def _is_list(x: Any) -> bool:
    return isinstance(x, list | tuple)


def _refused(x: Any) -> InputError:
    return InputError(
        f"A Run, several Runs, a path or a pattern of paths was expected, not {type(x).__name__}.{_instead(x)}"
    )


def _instead(x: Any) -> str:
    if hasattr(x, "runs"):
        return ' A server\'s runs are client.runs("my-agent", limit=100).'
    if isinstance(x, Mapping):
        return " Pass its values: list(runs.values())."
    return " Collect them first: [run async for run in runs]." if hasattr(x, "__aiter__") else ""
