"""Runs as pandas DataFrames, a table a grain. The columns are data in `columns`; this module turns them into pandas.

`x` is a Run, several Runs (a list, or what a server's `client.runs(...)` yields), a path or a pattern of paths. Same
columns, same order, same nullable dtypes, whatever is in it; NA is "not reported", never 0; no row is left out unsaid.
Ids are in every table, so that tables merge, with `validate="one_to_many"`: on `run_id` (the Run's `uid` where the
server sends none), and inside a run on `step_id` (`run_id:step_index` where the server sends none) or `step_index`. A
step that waited for an approval is in two runs: join on both ids.

Options, for each of the tables:
  columns    the columns that are wanted, in that order; no others are worked out
  names      "otel": OpenTelemetry's dotted names, `gen_ai.usage.input_tokens`; see `semconv`
  backend    "pyarrow": Arrow dtypes, as `dtype_backend` of pandas' readers
  on_error   "collect": files that cannot be read, and the second of two runs with one id, are left out, told of in a
             warning and listed in `.attrs["unread"]`, a dict each with `source` and `error`; by default they raise
             InputError, as do a pattern without a match and what is no run. Of two files of one run, one of which was
             cut off, the whole one is read, whatever their order: runs of files that were cut off come last. A last
             line that was cut off raises nothing: it is listed and warned of whatever this says, and the run is there
             without it
  progress   a bar: always, never, or (None) once reading takes longer than 2 s
"""

from __future__ import annotations

import gc
import importlib
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from letta_nb.columns import TABLES, Column, Grain
from letta_nb.errors import InputError
from letta_nb.reading import OnError, Reading, Runs, Unread
from letta_nb.run import Run
from letta_nb.semconv import dotted
from letta_nb.views import Coded, Numbers, PerRun, View, base

if TYPE_CHECKING:
    import pandas as pd

# events of the runs that are held at once: what is read from files takes no more memory than this, and its rows
_HELD_EVENTS = 30_000


class Options(TypedDict, total=False):
    """How a table is made; see the module."""

    columns: Sequence[str] | None
    names: Literal["otel"] | None
    backend: Literal["numpy_nullable", "pyarrow"]
    on_error: OnError
    progress: bool | None


def runs_df(x: Runs, **options: Unpack[Options]) -> pd.DataFrame:
    """One row a run: who answered, how it ended, how long it took, its tokens in all.

    `x`: a Run, several, a path or a pattern of paths. `columns=[...]`: those alone; `names="otel"`: dotted names;
    `backend="pyarrow"`: Arrow dtypes; `on_error="collect"`: what cannot be read is left out, warned of and listed in
    `.attrs["unread"]`; `progress`: a bar always, never, or (None) where it takes long. The same for all six tables.

    `llm_duration_s`, `tool_duration_s` and `overhead_s` are sums over the run's steps or calls, and NA as soon as one
    of them is: what is left would pass for all of it. `steps_df` and `tools_df` have what is known.
    """
    return frame("runs", x, **options)


def steps_df(x: Runs, **options: Unpack[Options]) -> pd.DataFrame:
    """One row a step (one model call and its tools), with its times; its tokens where the server tells them.

    `start_time` is the end of the step before, or the request. `ttft_s` and `llm_duration_s` count from there, and are
    NA where arrival does not tell (steps delivered whole). `ttft_s` is always by arrival, and `llm_duration_s` is the
    server's figure where it tells one (`duration_source` is then "server"): of two clocks, the second may be the
    shorter. `tool_duration_s` is NA where a step had several tools.
    `overhead_s` is what is left (the server's commits, queueing): NA where a tool's time is by arrival, which holds it.
    """
    return frame("steps", x, **options)


def tools_df(x: Runs, **options: Unpack[Options]) -> pd.DataFrame:
    """One row a tool call, pending ones too.

    `tool_arguments` as received, valid JSON or not; `tool_status` NA until there is a return. `start_time` and
    `end_time` are arrivals (of the whole call, of its return); `duration_s` is the tool's own time, by the server or by
    arrival (`duration_source`), and NA where the wire cannot support one: steps delivered whole, returns that came
    together, calls that waited for a person.
    """
    return frame("tools", x, **options)


def usage_df(x: Runs, **options: Unpack[Options]) -> pd.DataFrame:
    """One row a usage report; a run has one for each leg."""
    return frame("usage", x, **options)


def messages_df(x: Runs, **options: Unpack[Options]) -> pd.DataFrame:
    """One row a joined message, in order: `message_type` as on the wire, `content` the whole text.

    For a tool call `content` is its arguments, for a tool return its result.
    """
    return frame("messages", x, **options)


def events_df(x: Runs, **options: Unpack[Options]) -> pd.DataFrame:
    """One row an event as received: `received_s` since the request, `gap_s` since the event before, `raw_json`."""
    return frame("events", x, **options)


def frame(grain: Grain, x: Runs, more: Sequence[Column[View]] = (), /, **options: Unpack[Options]) -> pd.DataFrame:
    """The table of one grain, by name. `more`: columns behind the run's id, by whoever knows more of the runs."""
    import pandas as pd

    if strange := options.keys() - Options.__annotations__.keys():
        raise InputError(f"{grain}_df has no option {min(strange)!r}. It has {', '.join(Options.__annotations__)}.")
    view, there = TABLES[grain]
    own = {column.name for column in more}
    columns = [there[0], *more, *(column for column in there[1:] if column.name not in own)]
    columns = _chosen(grain, columns, options.get("columns"))
    backend = options.get("backend", "numpy_nullable")
    if backend not in ("numpy_nullable", "pyarrow"):
        raise InputError(f'backend={backend!r} is not known. Say "numpy_nullable" or "pyarrow".')
    named = _namer(options.get("names"))
    reading = Reading(x, options.get("on_error", "raise"), options.get("progress"))
    with _no_collector():
        parts = list(_parts(view, columns, reading))
    table = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
    if backend == "pyarrow":
        table = table.astype({column.name: _arrow(column) for column in columns})
    table.columns = [named(column.name) for column in columns]
    if reading.unread or reading.on_error == "collect":
        table.attrs["unread"] = [one._asdict() for one in reading.unread]
    _warn([one for one in reading.unread if not one.is_torn], "left out")
    _warn([one for one in reading.unread if one.is_torn], "as far as it was written")
    return table


def _parts(view: type[View], columns: list[Column[Any]], reading: Reading) -> Iterator[pd.DataFrame]:
    """The table of some runs after the other; what was read is gone when the next are."""
    import pandas as pd

    for runs in _some_at_a_time(reading):
        rows = view(runs)
        yield pd.DataFrame({column.name: _array(column, rows) for column in columns}, copy=False)
        del rows
        runs.clear()
        gc.collect(0)  # a run and its fold point at each other: nothing else frees them


@contextmanager
def _no_collector() -> Generator[None]:
    """Without Python's garbage collector, which looks at all that is held again and again: a quarter of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _some_at_a_time(runs: Reading) -> Iterator[list[Run]]:
    """The runs in lists of so many that they are worth the work, and few enough to be held; an empty list for none."""
    some: list[Run] = []
    held = 0
    for run in runs:
        if held > _HELD_EVENTS:
            yield some
            some, held = [], 0
        some.append(run)
        held += run.event_count
    yield some


def _chosen(grain: Grain, columns: list[Column[Any]], names: Sequence[str] | None) -> list[Column[Any]]:
    """The columns of a table, or those of them that are asked for, by either of their names."""
    if names is None:
        return columns
    known = {name: column for column in columns for name in (dotted(column.name), column.name)}
    names = [names] if isinstance(names, str) else list(names)
    if not names:
        raise InputError(f"columns is empty. The table of {grain} has {', '.join(c.name for c in columns)}.")
    for name in names:
        if name not in known:
            near = get_close_matches(str(name), known, 1)
            meant = f" Did you mean {near[0]!r}?" if near else f" It has {', '.join(c.name for c in columns)}."
            raise InputError(f"The table of {grain} has no column {name!r}.{meant}")
    return list(dict.fromkeys(known[name] for name in names))


def _namer(names: str | None) -> Any:
    if names not in (None, "otel"):
        raise InputError(f'names={names!r} is not known. Say "otel" for the dotted names, or leave it out.')
    return dotted if names else str


def _warn(unread: list[Unread], how: str) -> None:
    if unread:
        source, error = unread[0]
        more = f", and {len(unread) - 1} more" if len(unread) > 1 else ""
        first = error if not source or source in error else f"{source}: {error}"
        warnings.warn(f'letta_nb: {how}, see .attrs["unread"]: {first}{more}', stacklevel=4)


def _arrow(column: Column[Any]) -> Any:
    import pandas as pd

    try:
        arrow: Any = importlib.import_module("pyarrow")
    except ImportError:
        raise InputError('backend="pyarrow" needs pyarrow: pip install pyarrow') from None
    kinds = {"string": arrow.string, "Int64": arrow.int64, "Float64": arrow.float64, "boolean": arrow.bool_}
    return pd.ArrowDtype(kinds[column.dtype]() if column.dtype in kinds else arrow.timestamp("ns", "UTC"))


def _array(column: Column[Any], view: View) -> Any:
    """A column as a nullable pandas array. What is the same throughout a run is converted once a run."""
    import numpy as np

    values = column.values(view)
    if isinstance(values, list) and values and values[0] is None and values.count(None) == len(values):
        values = Coded([None], np.zeros(len(values), dtype="int64"))
    if isinstance(values, Coded):
        return _converted(column, values.values, 0).take(values.rows)
    run_of_row = np.repeat(np.arange(len(view.runs)), view.counts)
    bases = np.array([base(run) for run in view.runs] if column.dtype.startswith("datetime") else [0], dtype="int64")
    if isinstance(values, PerRun):
        return _converted(column, values.values, bases).take(run_of_row)
    return _converted(column, values, bases[run_of_row] if len(bases) > 1 else bases)


def _converted(column: Column[Any], values: list[Any] | Numbers, bases: Any) -> Any:
    """Straight from numpy, where pandas would look at every cell. `bases`: what times count from."""
    import numpy as np
    import pandas as pd

    cells: Any = values
    if column.dtype == "string":
        try:
            return pd.array(cells, dtype="string")
        except UnicodeEncodeError:  # half a surrogate pair, which Arrow cannot hold: as in a run file, escaped
            return pd.array([_escaped(value) for value in cells], dtype="string")
    if column.dtype == "boolean" or (column.dtype == "Float64" and not column.is_ns):
        return pd.array(cells, dtype=column.dtype)
    numbers = values if isinstance(values, Numbers) else Numbers.of(values)
    if column.dtype == "Int64":
        return pd.arrays.IntegerArray(numbers.values, ~numbers.known)
    if column.dtype == "Float64":
        return pd.arrays.FloatingArray(numbers.values / 1e9, ~numbers.known)
    times = (numbers.values + bases).view("datetime64[ns]")
    times[~numbers.known] = np.datetime64("NaT")
    return pd.DatetimeIndex(times, tz="UTC")


def _escaped(text: str | None) -> str | None:
    return None if text is None else text.encode("utf-8", "backslashreplace").decode("utf-8")
