"""Runs as a Parquet data set that DuckDB, Polars, Spark and pandas read: how tables go beyond one machine's memory.

`dir/steps/start_date=2026-11-22/part-0f3c….parquet`, and so for each of the six tables: the columns of `runs_df` and
the others, and `start_date`, the day (UTC) on which a run was sent; runs whose times are not known lie under
1970-01-01, and their `start_time` is null. Every part holds whole runs, and has the same name in each table.

  SELECT model, sum(total_cost_usd) FROM 'dir/steps/*/*.parquet' GROUP BY model          -- DuckDB
  pl.scan_parquet("dir/tools/**/*.parquet", hive_partitioning=True)                       # Polars
  spark.read.parquet("dir/steps")                                                         # with timestamps="us"
  pd.read_parquet("dir/steps").drop(columns="start_date")                                 # `steps_df`, its dtypes too

Writing a run again replaces its rows, whatever else is written with it: a part is called after the ids of its runs, so
that the same runs overwrite the same files, and a run that moves to another part is taken out of the one it was in.
Each file is renamed into place. One process may write to a data set at a time.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from letta_nb import figures, frames, paths, redaction
from letta_nb.columns import TABLES, Grain
from letta_nb.errors import ConfigurationError, InputError
from letta_nb.reading import OnError, Reading, Runs, Unread
from letta_nb.redaction_rules import Redact, rules_of
from letta_nb.run import Run
from letta_nb.views import run_id

Unit = Literal["ns", "us"]
_GRAINS: tuple[Grain, ...] = get_args(Grain)
# what is held before it is written: events, and runs that have few of them
_HELD_EVENTS = 100_000
_HELD_RUNS = 1_000
_UNDATED = "1970-01-01"


@dataclass
class Written:
    """What `to_parquet` did: the `files` it wrote in `dir`, `rows` by table, how many `runs`, and what was `unread`."""

    dir: Path
    runs: int = 0
    rows: dict[Grain, int] = field(default_factory=lambda: dict.fromkeys(_GRAINS, 0))
    files: list[Path] = field(default_factory=list[Path])
    unread: list[Unread] = field(default_factory=list[Unread])

    def __repr__(self) -> str:
        rows = ", ".join(f"{figures.count(count)} {grain}" for grain, count in self.rows.items() if grain != "runs")
        torn = sum(one.is_torn for one in self.unread)
        told = ((len(self.unread) - torn, "could not be read"), (torn, "cut off in its last line"))
        left = ", ".join(f"{count} {how}" for count, how in told if count)
        said = f"{figures.plural(self.runs, 'run')} ({rows}) in {figures.plural(len(self.files), 'file')} of {self.dir}"
        return f"<{said}{left and f'; {left}, see .unread'}>"


def to_parquet(
    x: Runs,
    dir: str | Path,
    *,
    on_error: OnError = "raise",
    progress: bool | None = None,
    timestamps: Unit = "ns",
    redact: Redact = (),
    redact_fields: str | Iterable[str] = (),
) -> Written:
    """Write the six tables of runs into the Parquet data set `dir`, new or not; runs that it has are replaced.

    `x` as for `runs_df`. Some runs at a time are held, as many as have 100,000 events together. `on_error="collect"`:
    files that cannot be read are left out and listed in the result's `unread`. `timestamps`: their unit, "us" for
    Spark, which reads no nanoseconds. `redact`, `redact_fields`: what is left out, as in `run.save`: keys of providers
    always are, unless `redact` is False. Raises InputError, and ConfigurationError without pyarrow.
    """
    rules = rules_of(redact, redact_fields)
    target = paths.named(dir, "to_parquet", "data")
    if target.exists() and not target.is_dir():
        raise InputError(f"{target} is a file. Name a folder: the data set has many files.")
    if timestamps not in ("ns", "us"):
        raise InputError(f'timestamps={timestamps!r} is not known. Say "ns", or "us" for Spark.')
    reading = Reading(x, on_error, progress)
    written = Written(target)
    data = _DataSet(target, timestamps)
    for day, runs in _by_day(redaction.without(run, rules) for run in reading):
        data.put(day, runs, written)
    redaction.tell_missed(rules, "these runs")
    written.unread = reading.unread
    return written


def _by_day(runs: Iterable[Run]) -> Iterator[tuple[str, list[Run]]]:
    """Runs of one day, as many as should be held; the day with most events goes first when there are too many."""
    held: dict[str, list[Run]] = {}
    events: dict[str, int] = {}
    for run in runs:
        day = run.started.date().isoformat() if run.timed else _UNDATED
        held.setdefault(day, []).append(run)
        events[day] = events.get(day, 0) + run.event_count
        if sum(events.values()) >= _HELD_EVENTS or sum(map(len, held.values())) >= _HELD_RUNS:
            fullest = max(held, key=lambda day: (events[day], len(held[day])))
            yield fullest, held.pop(fullest)
            del events[fullest]
    yield from held.items()


class _DataSet:
    """The files of a data set, and which runs are in which part (`start_date=.../part-....parquet`)."""

    def __init__(self, root: Path, unit: Unit) -> None:
        try:
            self._arrow: Any = importlib.import_module("pyarrow")
            self._parquet: Any = importlib.import_module("pyarrow.parquet")
        except ImportError:
            raise ConfigurationError("Parquet needs pyarrow: pip install pyarrow") from None
        self._root = root
        self._unit = unit

    @cached_property
    def _parts(self) -> dict[str, set[str]]:
        """The ids of the runs in each part."""
        table = self._root / "runs"
        found: dict[str, set[str]] = {}
        for path in sorted(table.glob("start_date=*/part-*.parquet")):
            try:
                ids = self._parquet.read_table(path, columns=["run_id"], partitioning=None)["run_id"].to_pylist()
            except (OSError, ValueError, KeyError) as problem:
                raise InputError(f"{path} is no part of a data set of runs: {problem}") from None
            found[path.relative_to(table).as_posix()] = set(ids)
        return found

    def put(self, day: str, runs: list[Run], written: Written) -> None:
        """Write runs of one day as a part, and take them out of the parts that they were in."""
        ids = {run_id(run) for run in runs}
        part = _part(day, ids)
        for grain in _GRAINS:
            frame = frames.frame(grain, runs)
            table = self._arrow.Table.from_pandas(frame, schema=self._schema(grain), preserve_index=False, safe=False)
            written.files.append(self._write(grain, part, table))
            written.rows[grain] += len(frame)
        written.runs += len(runs)
        for other, has in list(self._parts.items()):
            if other != part and ids & has:
                self._remove(other, ids, has - ids)
        self._parts[part] = ids

    def _remove(self, part: str, ids: set[str], rest: set[str]) -> None:
        """Take runs out of a part; the `rest` of it is a part of its own."""
        day = part.partition("/")[0].removeprefix("start_date=")
        left = _part(day, rest)
        for grain in _GRAINS if rest else ():
            table = self._parquet.read_table(self._root / grain / part, partitioning=None)
            gone = self._arrow.array(sorted(ids), self._arrow.string())
            compute: Any = importlib.import_module("pyarrow.compute")
            self._write(grain, left, table.filter(compute.invert(compute.is_in(table["run_id"], value_set=gone))))
        del self._parts[part]
        if rest:
            self._parts[left] = rest
        for grain in _GRAINS:
            (self._root / grain / part).unlink(missing_ok=True)

    def _write(self, grain: Grain, part: str, table: Any) -> Path:
        path = self._root / grain / part
        partial = path.with_suffix(".partial")
        with paths.writing(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._parquet.write_table(table, partial, compression="zstd")
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        return path

    def _schema(self, grain: Grain) -> Any:
        """Types that do not depend on what the rows hold: a column without a value has one too."""
        arrow = self._arrow
        kinds = {"string": arrow.string, "Int64": arrow.int64, "Float64": arrow.float64, "boolean": arrow.bool_}
        time = arrow.timestamp(self._unit, "UTC")
        columns = TABLES[grain][1]
        return arrow.schema(
            [(column.name, kinds[column.dtype]() if column.dtype in kinds else time) for column in columns]
        )


def _part(day: str, ids: Iterable[str]) -> str:
    name = hashlib.sha256("\n".join(sorted(ids)).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"start_date={day}/part-{name}.parquet"
