"""How many tokens runs read and wrote, and how full the context was at each step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from letta_nb import figures, frames
from letta_nb.entries import ToolCallEntry, compaction_of
from letta_nb.plots import canvas
from letta_nb.plots.canvas import Key, faint, hatched, hollow, solid
from letta_nb.reading import Reading, Runs
from letta_nb.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class _Tokens(NamedTuple):
    """A bar's counts as reported; None is "not reported"."""

    label: str
    read: int | None = None
    said: int | None = None
    cached: int | None = None
    written: int | None = None
    reasoning: int | None = None

    @property
    def parts(self) -> dict[str, int]:
        """What the bar is made of, from the left: input has what a cache gave and took in it, output the reasoning."""
        cached, written, reasoning = self.cached or 0, self.written or 0, self.reasoning or 0
        return {
            "cached": cached,
            "written": written,
            "input": max((self.read or 0) - cached - written, 0),
            "reasoning": reasoning,
            "output": max((self.said or 0) - reasoning, 0),
        }


_PARTS: dict[str, tuple[str, dict[str, Any]]] = {
    "cached": ("input from the cache", hollow(canvas.WAIT)),
    "written": ("input to the cache", hatched(canvas.WAIT, "////") | {"linewidth": 0.8}),
    "input": ("input", faint(canvas.WAIT)),
    "reasoning": ("reasoning", solid(canvas.REASON)),
    "output": ("output", solid(canvas.INK)),
}
_COLUMNS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_output_tokens",
)


def tokens(x: Runs, ax: Axes | None = None) -> Axes:
    """A bar a step of one run, where the server tells the steps' tokens; else, and for several runs, a bar a run.

    Input from the cache is outlined; the key tells totals. What was not reported has no bar, and says so.
    """
    found, what = _bars(x)
    told = [bar for bar in found if bar.read is not None or bar.said is not None]
    if not told:
        return canvas.nothing(ax, "No tokens were reported: there is nothing to draw.")
    total = sum(sum(bar.parts.values()) for bar in found)
    title = f"{figures.plural(len(found), what)}, {figures.count(total)} tokens"
    made = canvas.axes(ax, len(found), title, list(_keys(found)), _not_told(found, told))
    canvas.rows(made, [bar.label for bar in found], [_note(bar) for bar in found])
    crowded = len(found) > canvas.NAMED
    starts = [0] * len(found)
    for part, (_, style) in _PARTS.items():
        lengths = [bar.parts[part] for bar in found]
        some = [(row, starts[row], length) for row, length in enumerate(lengths) if length]
        if some:
            canvas.bars(made, part, canvas.without_edges(style) if crowded else style, some, 1.0 if crowded else 0.5)
        starts = [start + length for start, length in zip(starts, lengths, strict=True)]
    canvas.count_axis(made, max(starts) or 1, f"tokens of each {what}")
    return canvas.done(made)


def _bars(x: Runs) -> tuple[list[_Tokens], str]:
    """The bars, and what each of them is."""
    first: Run | None = None
    found: list[_Tokens] = []
    for run in Reading(x):
        first = first or run
        found.append(_of_run(run, len(found)))
    if len(found) == 1 and first is not None:
        steps = _of_steps(first)
        if any(step.read is not None for step in steps):
            return steps, "step"
    return found, "run"


def _of_run(run: Run, index: int) -> _Tokens:
    usage = run.usage
    label = f"{index + 1:>5}  {canvas.name(run.agent_name or run.run_id or run.uid, 20)}"
    if usage is None:
        return _Tokens(label)
    return _Tokens(label, *(getattr(usage, name) for name in _COLUMNS))


def _of_steps(run: Run) -> list[_Tokens]:
    table: Any = frames.steps_df(run, columns=list(_COLUMNS))
    rows = table.astype(object).where(table.notna(), None).itertuples(index=False)
    return [_Tokens(label, *row) for label, row in zip(_labels(run), rows, strict=True)]


def _labels(run: Run) -> list[str]:
    """`1  get_weather +2`: a step and what it called."""
    names: list[list[str]] = [[] for _ in run.steps]
    for call in run.tool_calls:
        if call.step_index is not None:
            names[call.step_index].append(call.name or "tool")
    answers = {entry.step_index for entry in run.entries if not isinstance(entry, ToolCallEntry)}
    return [
        f"{index + 1:>3}  {canvas.name(_called(called)) if called else 'answer' if index in answers else ''}"
        for index, called in enumerate(names)
    ]


def _called(names: Sequence[str]) -> str:
    return f"{names[0]} +{len(names) - 1}" if len(names) > 1 else names[0]


def _note(bar: _Tokens) -> str:
    sides = [
        f"{figures.count(count)} {side}" for count, side in ((bar.read, "in"), (bar.said, "out")) if count is not None
    ]
    return "  ".join(sides) or "not reported"


def _keys(found: list[_Tokens]) -> Iterator[Key]:
    for part, (told, style) in _PARTS.items():
        total = sum(bar.parts[part] for bar in found)
        if total:
            yield Key(style, f"{told} {figures.count(total)}")


def _not_told(found: list[_Tokens], told: list[_Tokens]) -> str:
    """What cannot be seen because nobody reported it."""
    missing = [f"tokens of {len(found) - len(told)} of {len(found)}"] if len(told) < len(found) else []
    missing += ["cache"] if all(bar.cached is None for bar in told) else []
    missing += ["reasoning"] if all(bar.reasoning is None for bar in told) else []
    return f"Not reported: {', '.join(missing)}" if missing else ""


# -- the context window ------------------------------------------------------------------------------------------------

# the part of its window from which a context is drawn to the window's scale, and not to the fullest step's
_SEEN = 0.25


class _Filling(NamedTuple):
    """How full the context was at a step: what it read and wrote; `window`: of how much, where that is known.

    `before`: the tokens that a compaction found in it.
    """

    step: int
    tokens: int
    window: int | None
    before: int | None = None


def context(x: Runs, ax: Axes | None = None) -> Axes:
    """How full the context was at each step, input and output: a bar a step of one run, a line a run of several.

    A tick marks what a compaction found; the dashed line is the window, where it is near enough to be seen.
    """
    fills: list[list[_Filling]] = []
    labels: list[str] = []
    for run in Reading(x):
        fills.append(list(_fillings(run)))
        labels = _labels(run) if len(fills) == 1 else []
    known = [its for its in fills if its]
    if not known:
        return canvas.nothing(ax, "This server reported no tokens by step: there is nothing to draw.")
    return _of_one(known[0], labels, ax) if len(fills) == 1 else _of_several(known, len(fills), ax)


def _fillings(run: Run) -> Iterator[_Filling]:
    table: Any = frames.steps_df(run, columns=["input_tokens", "output_tokens"])
    before = {
        entry.step_index: its.tokens_before
        for entry in run.entries
        if entry.kind in ("compaction", "summary") and (its := compaction_of(entry)).tokens_before is not None
    }
    sizes = (table["input_tokens"] + table["output_tokens"].fillna(0)).tolist()
    for step, size in zip(run.steps, sizes, strict=True):
        window = step.server.get("context_window_limit")
        if isinstance(size, int):
            yield _Filling(
                step.index, size, window if isinstance(window, int) and window > 0 else None, before.get(step.index)
            )


def _scale(found: list[_Filling]) -> tuple[int, int | None, str]:
    """How far the axis goes, the window that is drawn, and what is said of it."""
    fullest = max(max(its.tokens, its.before or 0) for its in found)
    windows = {its.window for its in found if its.window}
    if not windows:
        return fullest, None, "The size of the context window is not known"
    part, window = max((its.tokens / its.window, its.window) for its in found if its.window)
    said = f"at most {part:.0%} of the window of {figures.count(window)}"
    # others are told in the steps' figures
    said += f" (others: up to {figures.count(max(windows))})" if max(windows) > window else ""
    return (max(fullest, window), window, said) if part >= _SEEN else (fullest, None, f"{said} (out of sight)")


def _of_one(found: list[_Filling], labels: list[str], ax: Axes | None) -> Any:
    end, window, said = _scale(found)
    made = canvas.axes(ax, len(labels), f"{figures.plural(len(labels), 'step')}, {said}")
    told = {its.step: _filled(its) for its in found}
    canvas.rows(made, labels, [told.get(step, "not reported") for step in range(len(labels))])
    style, height = (
        (solid(canvas.WAIT), 0.5) if len(labels) <= canvas.NAMED else ({"facecolor": canvas.WAIT, "linewidth": 0}, 1.0)
    )
    canvas.bars(made, "context", style, [(its.step, 0, its.tokens) for its in found], height)
    for its in found:
        if its.before is not None:
            ends = [its.step - 0.36, its.step + 0.36]
            made.plot([its.before] * 2, ends, color=canvas.INK, linewidth=2, label="_compaction", clip_on=False)
    if window is not None:
        made.axvline(window, color=canvas.INK, linewidth=1.2, linestyle="--", label="_window", clip_on=False)
    canvas.count_axis(made, end, "tokens in the context: what the step read and wrote")
    return canvas.done(made)


def _filled(its: _Filling) -> str:
    part = f"  {its.tokens / its.window:.0%}" if its.window else ""
    compacted = f"  compacted from {figures.count(its.before)}" if its.before is not None else ""
    return f"{figures.count(its.tokens)}{part}{compacted}"


def _of_several(known: list[list[_Filling]], count: int, ax: Axes | None) -> Any:
    """A line a run: steps to the right, tokens up."""
    end, window, said = _scale([its for run in known for its in run])
    silent = f", {count - len(known)} without tokens by step" if len(known) < count else ""
    made = canvas.axes(ax, 9, f"{figures.plural(count, 'run')}{silent}, {said}")
    alpha = min(0.9, max(0.08, 8 / len(known)))
    lines = [[(its.step + 1, its.tokens) for its in run] for run in known]
    made.add_collection(
        canvas.matplotlib("collections").LineCollection(
            lines, colors=canvas.TOOL, alpha=alpha, linewidths=1.5, label="_context"
        ),
        autolim=False,
    )
    ends = [line[-1] for line in lines]
    made.scatter(*zip(*ends, strict=True), s=14, c=canvas.TOOL, alpha=alpha, linewidths=0, label="_end", clip_on=False)
    if window is not None:
        made.axhline(window, color=canvas.INK, linewidth=1.2, linestyle="--", label="_window")
    canvas.step_axes(made, max(x for x, _ in ends), end)
    return canvas.done(made)
