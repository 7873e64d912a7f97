"""Runs as pandas DataFrames, a table a grain. The columns are data in `columns`; this module turns them into pandas.

`x` is a Run, several Runs, a path or a pattern of paths. Same columns, same order, same nullable dtypes, whatever is in
it; NA is "not reported", never 0. Ids are in every table, so that tables merge, with `validate="one_to_many"`: on
`run_id` (the Run's `uid` where the server sends none), and inside a run on `step_id` (`run_id:step_index` where the
server sends none) or `step_index`. A step that waited for an approval is in two runs: join on both ids.
Raises InputError for two runs of one id, a pattern without a match, and what is no run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from letta_nb import record
from letta_nb.columns import TABLES, Column, Grain
from letta_nb.errors import InputError
from letta_nb.run import Run
from letta_nb.views import PerRun, View, base

if TYPE_CHECKING:
    import pandas as pd

Runs = Run | str | Path | Iterable["Run | str | Path"]


def runs_df(x: Runs) -> pd.DataFrame:
    """One row a run: who answered, how it ended, how long it took, its tokens in all."""
    return frame("runs", x)


def steps_df(x: Runs) -> pd.DataFrame:
    """One row a step (one model call and its tools), with its times; its tokens where the server tells them.

    `start_time` is the end of the step before, or the request. `ttft_s` and `llm_duration_s` count from there, and are
    NA where arrival does not tell (steps delivered whole). `tool_duration_s` is NA where a step had several tools.
    """
    return frame("steps", x)


def tools_df(x: Runs) -> pd.DataFrame:
    """One row a tool call, pending ones too.

    `tool_arguments` as received, valid JSON or not; `tool_status` NA until there is a return. `start_time` and
    `end_time` are arrivals (of the whole call, of its return); `duration_s` is the tool's own time, by the server or by
    arrival (`duration_source`), and NA where the wire cannot support one: steps delivered whole, returns that came
    together, calls that waited for a person.
    """
    return frame("tools", x)


def usage_df(x: Runs) -> pd.DataFrame:
    """One row a usage report; a run has one for each leg."""
    return frame("usage", x)


def messages_df(x: Runs) -> pd.DataFrame:
    """One row a joined message, in order: `message_type` as on the wire, `content` the whole text.

    For a tool call `content` is its arguments, for a tool return its result.
    """
    return frame("messages", x)


def events_df(x: Runs) -> pd.DataFrame:
    """One row an event as received: `received_s` since the request, `gap_s` since the event before, `raw_json`."""
    return frame("events", x)


def frame(grain: Grain, x: Runs) -> pd.DataFrame:
    """The table of one grain, by name."""
    import pandas as pd

    view, columns = TABLES[grain]
    rows = view(_distinct(_runs(x)))
    return pd.DataFrame({column.name: _array(column, rows) for column in columns}, copy=False)


def _runs(x: Any) -> Iterator[Run]:
    if isinstance(x, Run):
        yield x
    elif isinstance(x, str | Path):
        loaded = record.load(x)
        if loaded == []:
            raise InputError(f"No file matches {x}.")
        yield from loaded if isinstance(loaded, list) else [loaded]
    elif isinstance(x, Iterable):
        for one in cast("Iterable[Any]", x):
            yield from _runs(one)
    else:
        raise InputError(f"A Run, several Runs, a path or a pattern of paths was expected, not {type(x).__name__}.")


def _distinct(runs: Iterable[Run]) -> list[Run]:
    found = [run.still() for run in runs]
    counts = Counter(run.run_id or run.uid for run in found)
    twice = [run_id for run_id, count in counts.items() if count > 1]
    if twice:
        raise InputError(
            f"Two runs have the id {twice[0]} (the same run twice, or a run and its resumed stream?), so their rows "
            "could not be told apart. Pass one of them."
        )
    return found


def _array(column: Column[Any], view: View) -> Any:
    """A column as a nullable pandas array. What is the same throughout a run is converted once a run."""
    import numpy as np

    values = column.values(view)
    run_of_row = np.repeat(np.arange(len(view.runs)), view.counts)
    bases = np.array([base(run) for run in view.runs] if column.dtype.startswith("datetime") else [0], dtype="int64")
    if isinstance(values, PerRun):
        return _converted(column, values.values, bases).take(run_of_row)
    return _converted(column, values, bases[run_of_row] if len(bases) > 1 else bases)


def _converted(column: Column[Any], values: list[Any], bases: Any) -> Any:
    """Straight from numpy, where pandas would look at every cell. `bases`: what times count from."""
    import numpy as np
    import pandas as pd

    if column.dtype in ("string", "boolean") or (column.dtype == "Float64" and not column.is_ns):
        return pd.array(values, dtype=column.dtype)
    integers, missing = _integers(values)
    if column.dtype == "Int64":
        return pd.arrays.IntegerArray(integers, missing)
    if column.dtype == "Float64":
        return pd.arrays.FloatingArray(integers / 1e9, missing)
    times = (integers + bases).view("datetime64[ns]")
    times[missing] = np.datetime64("NaT")
    return pd.DatetimeIndex(times, tz="UTC")


def _integers(values: list[Any]) -> tuple[Any, Any]:
    """The integers, 0 for None, and where the None are."""
    import numpy as np

    try:
        return np.array(values, dtype="int64"), np.zeros(len(values), dtype=bool)
    except TypeError:
        missing = np.fromiter((value is None for value in values), dtype=bool, count=len(values))
        cells = np.array(values, dtype=object)
        cells[missing] = 0
        return cells.astype("int64"), missing
