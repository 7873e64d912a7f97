"""How long each tool took, call by call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from letta_nb import figures
from letta_nb.plots import canvas
from letta_nb.plots.canvas import Key
from letta_nb.reading import Runs
from letta_nb.summary import summarized, tool_calls

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# tools that are shown, those of the most time; points of one tool, which stand for all of its calls
_TOOLS, _POINTS = 20, 5000
# so many times longer than the shortest, and the short ones are nothing on a linear axis
_WIDE = 200
# what is shorter stands at a tenth of a millisecond, where a logarithmic axis begins: 0 is nowhere on it
_LEAST = 1e-4
# percentiles of fewer calls say less than the calls
_SOME = 5
_GOLDEN = 0.618


def tool_latency(x: Runs | pd.DataFrame, ax: Axes | None = None) -> Axes:
    """A row a tool, a dot a call that was timed, ticks at p50 and p95 of five calls or more; failed calls red crosses.

    x: what `tool_summary` takes. The tools of the most time come first. On a logarithmic axis, which says so, where
    times differ by more than 200 times. Calls that nobody timed are counted at the right and not drawn.
    """
    calls: Any = tool_calls(x)
    summary: Any = summarized(calls)
    if not len(summary):
        return canvas.nothing(ax, "No tool was called: there is nothing to draw.")
    if not summary["measured_count"].sum():
        count = figures.plural(len(calls), "tool call")
        return canvas.nothing(ax, f"{count}, and nobody timed any: there is nothing to draw.")
    shown = summary.head(_TOOLS)
    timed = calls[calls["duration_s"].notna()]
    left = len(summary) - len(shown)
    note = f"{figures.plural(left, 'more tool')} of less time: see letta_nb.tool_summary" if left else ""
    made = canvas.axes(ax, len(shown), _title(calls, timed), list(_keys(timed)), note)
    notes: list[str] = []
    for place, row in enumerate(shown.itertuples()):
        its = timed[
            timed["tool_name"].eq(row.tool_name).fillna(False) if _known(row.tool_name) else timed["tool_name"].isna()
        ]
        _points(made, place, its)
        _percentiles(made, place, row)
        notes.append(_note(row, its["duration_s"]))
    canvas.rows(made, [canvas.name(_named(name)) for name in shown["tool_name"]], notes)
    _axis(made, timed["duration_s"].astype(float))
    return canvas.done(made)


def _known(name: Any) -> bool:
    return isinstance(name, str)


def _named(name: Any) -> str:
    return name if _known(name) else "(no name)"


def _title(calls: Any, timed: Any) -> str:
    count, runs = len(calls), calls["run_id"].nunique()
    told = f"{figures.plural(count, 'tool call')} in {figures.plural(runs, 'run')}"
    return told if len(timed) == count else f"{told}, {figures.count(len(timed))} timed"


def _note(row: Any, times: Any) -> str:
    """`p50 1.20 s  p95 4.61 s  12 calls`; the calls that nobody timed are told of."""
    count, measured = int(row.call_count), int(row.measured_count)
    calls = figures.plural(count, "call")
    if not measured:
        return f"{calls}, none timed"
    calls = calls if measured == count else f"{measured} of {count} timed"
    if measured >= _SOME:
        return f"p50 {_time(row.duration_p50_s)}  p95 {_time(row.duration_p95_s)}  {calls}"
    low, high = _time(times.min()), _time(times.max())
    return f"{low if low == high else f'{low} to {high}'}  {calls}"


def _time(seconds: float) -> str:
    return figures.time(round(seconds * 1e9)) if seconds >= _LEAST / 2 else "< 0.1 ms"


def _points(ax: Any, place: int, its: Any) -> None:
    for failed, color, marker, label in ((False, canvas.TOOL, "o", "_call"), (True, canvas.ERR, "x", "_failed")):
        times = its.loc[its["failed"] == failed, "duration_s"].astype(float).sort_values().to_numpy()
        if not len(times):
            continue
        # so many ranks of them look as all of them do
        step = max(1, -(-len(times) // _POINTS))
        some = times[sorted({*range(0, len(times), step), len(times) - 1})]
        spread = [0.0] if len(its) < 4 else [(rank * _GOLDEN % 1 - 0.5) * 0.5 for rank in range(len(some))]
        rows = [place + (spread[rank] if len(spread) > 1 else 0.0) for rank in range(len(some))]
        ax.scatter(
            some.clip(_LEAST), rows, s=22, c=color, marker=marker, linewidths=1.4 if failed else 0,
            alpha=0.75 if len(its) < 100 else 0.3, clip_on=False, label=label, zorder=3 if failed else 2,
        )  # fmt: skip


def _percentiles(ax: Any, place: int, row: Any) -> None:
    """A tick at p50 and one at p95, where there are calls enough to have them."""
    if int(row.measured_count) < _SOME:
        return
    for at, width, label in ((row.duration_p50_s, 2.5, "_p50"), (row.duration_p95_s, 1.2, "_p95")):
        at = max(float(at), _LEAST)
        ax.plot([at, at], [place - 0.36, place + 0.36], color=canvas.INK, linewidth=width, label=label, zorder=4)


def _axis(ax: Any, times: Any) -> None:
    low, high = max(float(times.min()), _LEAST), float(times.max())
    if high > _WIDE * low:
        shortest = "; calls under 0.1 ms stand at its start" if float(times.min()) < _LEAST else ""
        canvas.log_time_axis(ax, low, high, f"time of a call, logarithmic{shortest}")
    else:
        canvas.time_axis(ax, high * 1.02, "time of a call")


def _keys(timed: Any) -> list[Key]:
    keys = [Key({"color": canvas.TOOL, "marker": "o", "linestyle": "none", "markersize": 5}, "call", is_line=True)]
    if timed["failed"].any():
        style = {"color": canvas.ERR, "marker": "x", "linestyle": "none", "markersize": 6, "markeredgewidth": 1.6}
        keys.append(Key(style, "failed call", is_line=True))
    if timed.groupby("tool_name", dropna=False).size().max() >= _SOME:
        tick = {"color": canvas.INK, "marker": "|", "linestyle": "none", "markersize": 9}
        keys.append(Key({**tick, "markeredgewidth": 2.5}, "p50", is_line=True))
        keys.append(Key({**tick, "markeredgewidth": 1.2}, "p95", is_line=True))
    return keys
