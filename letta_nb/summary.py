"""Which tool costs the time, and which one fails: `tool_summary(x)` has a row a tool, the slowest in all first.

Times are of the calls that were timed, by whoever timed them: `measured_count` says how many these are, and NA stands
where there is none. Nothing is made up for the others, so that a total is a lower bound unless all are timed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, cast

from letta_nb import frames
from letta_nb.errors import InputError
from letta_nb.reading import OnError, Runs
from letta_nb.semconv import dotted

if TYPE_CHECKING:
    import pandas as pd

# the columns of the tools frame that a summary is made of
_NEEDED = {
    "run_id": "string",
    "tool_name": "string",
    "tool_status": "string",
    "approval": "string",
    "duration_s": "Float64",
    "duration_source": "string",
}
_COLUMNS = {
    "tool_name": "string",
    "call_count": "Int64",
    "run_count": "Int64",
    "calls_per_run": "Float64",
    "error_count": "Int64",
    "error_rate": "Float64",
    "measured_count": "Int64",
    "duration_p50_s": "Float64",
    "duration_p95_s": "Float64",
    "duration_p99_s": "Float64",
    "duration_max_s": "Float64",
    "duration_total_s": "Float64",
    "client_share": "Float64",
    "server_share": "Float64",
}
_QUANTILES = {"duration_p50_s": 0.5, "duration_p95_s": 0.95, "duration_p99_s": 0.99}


def tool_summary(x: Runs | pd.DataFrame, *, on_error: OnError = "raise", progress: bool | None = None) -> pd.DataFrame:
    """One row a tool, by total time, the longest first.

    x: Runs, paths or patterns, as for `tools_df`, or a table that `tools_df` made (any backend, either names).
    `run_count`: the runs that called it, `calls_per_run` its calls in each of these. `error_count`: what failed, of all
    calls (`error_rate`); what a person denied did not fail. Percentiles interpolate linearly between the calls that
    were timed (`measured_count`); `client_share` and `server_share` say who timed them. Raises InputError.
    """
    calls = tool_calls(x, on_error=on_error, progress=progress)
    table = summarized(calls)
    if "unread" in calls.attrs:
        table.attrs["unread"] = calls.attrs["unread"]
    return table


def tool_calls(x: Runs | pd.DataFrame, *, on_error: OnError = "raise", progress: bool | None = None) -> pd.DataFrame:
    """The calls of `x` as far as a summary needs them, with `failed` and the dtypes of the tools frame."""
    pandas: Any = importlib.import_module("pandas")
    if isinstance(x, pandas.DataFrame):
        calls = _of_table(x)
    else:
        runs = cast("Runs", x)
        calls: Any = frames.tools_df(runs, columns=list(_NEEDED), on_error=on_error, progress=progress)
    # as `words.failed`
    denied = (calls["approval"] == "denied").fillna(False)
    return calls.assign(failed=(calls["tool_status"] == "error").fillna(False) & ~denied)


def _of_table(table: Any) -> Any:
    """What is needed of a tools frame, by either of its names, in whatever backend it is."""
    named: dict[str, str] = {}
    for name in _NEEDED:
        found = next((its for its in (name, dotted(name)) if its in table.columns), None)
        if found is None:
            raise InputError(f"A table of tool calls has a column {name!r}; this one does not. letta_nb.tools_df has.")
        named[found] = name
    return table[list(named)].rename(columns=named).astype(_NEEDED).reset_index(drop=True)


def summarized(calls: Any) -> pd.DataFrame:
    """The summary of what `tool_calls` gave."""
    pandas: Any = importlib.import_module("pandas")
    groups = calls.groupby("tool_name", dropna=False, sort=True)
    durations = groups["duration_s"]
    count, runs, errors = groups.size(), groups["run_id"].nunique(), groups["failed"].sum()
    measured = durations.count()
    sources = {
        source: calls["duration_source"].eq(source).fillna(False) & calls["duration_s"].notna()
        for source in ("client", "server")
    }
    timed = {source: its.groupby(calls["tool_name"], dropna=False).sum() for source, its in sources.items()}
    # a share of nothing is not known
    some = measured.where(measured > 0).astype("Float64")
    columns: dict[str, Any] = {
        "call_count": count,
        "run_count": runs,
        "calls_per_run": count / runs,
        "error_count": errors,
        "error_rate": errors / count,
        "measured_count": measured,
        **{name: durations.quantile(quantile) for name, quantile in _QUANTILES.items()},
        "duration_max_s": durations.max(),
        "duration_total_s": durations.sum(min_count=1),
        **{f"{source}_share": its / some for source, its in timed.items()},
    }
    table = pandas.DataFrame(columns).rename_axis("tool_name").reset_index()
    order = ["duration_total_s", "call_count", "tool_name"]
    table = table.sort_values(order, ascending=[False, False, True], na_position="last", ignore_index=True)
    return table.astype(_COLUMNS)[list(_COLUMNS)]
