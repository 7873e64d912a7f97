"""What all pictures share: colours that read on light and dark, rows with labels and figures, axes of time and counts.

Text and lines are of a middle grey: the ground is the notebook's, and nobody knows which that will be.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from letta_nb import figures
from letta_nb.align import line
from letta_nb.errors import ConfigurationError, InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# names and figures; the axis. Labels of the two axes are of different lightness on purpose: were all of them
# on one side of the middle, IPython would ask the notebook for a ground of its own behind the picture
INK, AXIS = "#757c87", "#80868f"
WAIT, REASON, ARGS, TOOL, ERR, WARN, FENCE = (
    "#868e99", "#8468cf", "#b97a0a", "#2f7cc9", "#d8433f", "#a8711a", "#868e99"
)  # fmt: skip
# of the hairlines behind the rows
_FAINT = 0.33
# inches; more rows than have names and figures of their own share one height
_WIDTH, _ROW, _MARGIN, _CROWDED = 8.2, 0.27, 0.6, 4.5
NAMED, _SOME_NAMED = 24, 20
_NAME = 26
# bars that are objects of their own; more are one object
_PATCHES = 500
# points: text, a line of it; and what a character takes of its size, in the fixed font and in the other, on the whole
_SIZE, _LINE, _FIXED, _LETTER = 9.0, 15, 0.602, 0.56
# on a line of a picture of its own
_CHARACTERS = 84
_STEPS = (1, 2, 5)
_MINUTE, _HOUR = 60.0, 3600.0


class Key(NamedTuple):
    """A key of the legend: how it is drawn, and its words."""

    style: dict[str, Any]
    words: str
    is_line: bool = False


def matplotlib(name: str) -> Any:
    """A module of matplotlib."""
    try:
        return importlib.import_module(f"matplotlib.{name}")
    except ImportError as problem:
        raise ConfigurationError('Pictures need matplotlib: pip install "letta-nb[plot]"') from problem


def axes(ax: Axes | None, rows: float, title: str, keys: Sequence[Key] = (), note: str = "") -> Any:
    """The Axes to draw so many rows on, with a title, what cannot be seen, and the keys above them.

    A transparent figure, as high as that takes, if none was given. A given one that nobody laid out is, by
    matplotlib's "constrained" layout, so that nothing of it is cut off.
    """
    columns = _columns(keys, _width(ax) * 72)
    lines = -(-len(keys) // columns)
    told = f"{title}\n{note}" if note else title
    if ax is None:
        height = _MARGIN + _LINE * (lines + told.count("\n") + 1) / 72
        height += _ROW * max(rows, 2) if rows <= NAMED else _CROWDED
        figure, made = matplotlib("pyplot").subplots(figsize=(_WIDTH, height), layout="constrained")
        figure.patch.set_alpha(0)
        made.patch.set_alpha(0)
    else:
        made: Any = ax
        if made.figure.figure.get_layout_engine() is None:
            made.figure.figure.set_layout_engine("constrained")
    for spine in made.spines.values():
        spine.set_visible(False)
    made.tick_params(length=0, labelsize=_SIZE, pad=5)
    made.tick_params(axis="x", labelcolor=AXIS)
    made.tick_params(axis="y", labelcolor=INK)
    made.set_axisbelow(True)
    made.set_title(told, loc="left", pad=8 + _LINE * lines, linespacing=1.5, **text(INK))
    _legend(made, _by_row(keys, columns), columns)
    return made


def _width(ax: Axes | None) -> float:
    """Inches, of what is drawn on, given or not."""
    if ax is None:
        return _WIDTH * 0.77
    if not isinstance(ax, matplotlib("axes").Axes):
        raise InputError(f"ax takes one matplotlib Axes, such as plt.subplots()[1], not {type(ax).__name__}.")
    # less what the names beside the rows take when it is laid out
    return ax.get_window_extent().width / ax.figure.dpi * 0.85


def characters(ax: Axes | None) -> int:
    """How many characters stand on a line within the rows."""
    return max(int(min(_width(ax) / _width(None), 1) * _CHARACTERS), 20)


def _legend(ax: Any, keys: Sequence[Key], columns: int) -> None:
    if not keys:
        return
    patch, stroke = matplotlib("patches").Patch, matplotlib("lines").Line2D
    handles = [stroke([], [], **key.style) if key.is_line else patch(**key.style) for key in keys]
    ax.legend(
        handles, [key.words for key in keys], ncols=columns, loc="lower left", bbox_to_anchor=(0, 1), frameon=False,
        borderaxespad=0.3, borderpad=0.2, handlelength=1.1, handleheight=0.7, handletextpad=0.5, columnspacing=1.4,
        labelcolor=INK, fontsize=_SIZE,
    )  # fmt: skip


def _columns(keys: Sequence[Key], width: float) -> int:
    """As many columns as there is room for, in points."""
    for columns in range(len(keys), 1, -1):
        longest = [max(len(key.words) for key in keys[column::columns]) for column in range(columns)]
        if sum(_LETTER * _SIZE * its + 30 for its in longest) <= width:
            return columns
    return 1


def _by_row(keys: Sequence[Key], columns: int) -> list[Key]:
    """So that they read row by row: a legend is filled column by column, the longer columns first."""
    return [key for column in range(columns) for key in keys[column::columns]]


def done(ax: Any) -> Any:
    """The finished Axes: an agent's names are text, not mathematics, nor TeX; and no warning follows from them."""
    for its in ax.findobj(matplotlib("text").Text):
        its.set_parse_math(False)
        its.set_usetex(False)
        its.set_text(_drawable(its.get_text(), its.get_fontfamily()))
    return ax


def _drawable(told: str, families: Sequence[str]) -> str:
    """A box for what no font here has: matplotlib draws one too, and warns of each."""
    if told.isascii():
        return told
    fonts = _fonts(families)
    return "".join(c if c in "\n□" or any(font.get_char_index(ord(c)) for font in fonts) else "□" for c in told)


def _fonts(families: Sequence[str]) -> list[Any]:
    """The fonts that matplotlib would look into, in that order."""
    manager, generic = matplotlib("font_manager"), matplotlib("pyplot").rcParams
    found: list[Any] = []
    for family in families:
        for named in generic.get(f"font.{family}", [family]):
            with suppress(ValueError):
                found.append(manager.get_font(manager.findfont(named, fallback_to_default=False)))
    return found or [manager.get_font(manager.findfont(families[0] if families else None))]


def nothing(ax: Axes | None, sentence: str) -> Any:
    """What stands where there is nothing to draw."""
    made = axes(ax, 2, "")
    made.set(xticks=[], yticks=[])
    made.text(0.5, 0.5, sentence, transform=made.transAxes, ha="center", va="center", wrap=True, **text(INK))
    return done(made)


def text(color: str) -> dict[str, Any]:
    """How text is set."""
    return {"color": color, "fontsize": _SIZE}


def name(text: str | None, most: int = _NAME) -> str:
    """A name, on one line and short enough to stand beside its row."""
    return line(text or "tool", most)


# -- rows --------------------------------------------------------------------------------------------------------------


def rows(
    ax: Any, labels: Sequence[str], notes: Sequence[str] = (), at: Sequence[float] | None = None, together: int = 1
) -> None:
    """Rows from the top down, at 0, 1, 2 or `at`: a label left of each, a note right of it, while there is room.

    `together`: so many rows belong to each other, and where not all have a label it is the first of them.
    """
    places = list(range(len(labels))) if at is None else list(at)
    every = 1 if len(labels) <= NAMED else -(-len(labels) // _SOME_NAMED // together) * together
    fixed = ("monospace",)
    shown = [(place, _drawable(label, fixed)) for place, label in zip(places, labels, strict=True)][::every]
    ax.set_ylim(max(places, default=0) + 0.6, -0.6)
    ax.set_yticks([place for place, _ in shown], [label for _, label in shown], family=fixed, ha="left")
    longest = max((len(label) for _, label in shown), default=0)
    ax.tick_params(axis="y", pad=_FIXED * _SIZE * longest + 10)
    if every > 1:
        return
    for place, note in zip(places, notes, strict=False):
        beside(ax, 1, place, note, INK, 6)


def beside(ax: Any, x: float, row: float, told: str, color: str, points: float = 3) -> None:
    """Words on a row, so many points right of `x`: 0 is where the rows begin, 1 where they end."""
    ax.annotate(
        told, (x, row), xycoords=ax.get_yaxis_transform(), xytext=(points, 0), textcoords="offset points", va="center",
        annotation_clip=False, **text(color),
    )  # fmt: skip


def crowding(count: float) -> float:
    """How many times lower a row is than one that has a name."""
    return max(1.0, count * _ROW / _CROWDED) if count > NAMED else 1.0


def bars(ax: Any, kind: str, style: dict[str, Any], found: Iterable[tuple[float, float, float]], height: float) -> None:
    """Bars of one kind: the row, from where, how long."""
    its = list(found)
    if len(its) <= _PATCHES:
        places, starts, lengths = zip(*its, strict=True)
        ax.barh(places, lengths, left=starts, height=height, label=f"_{kind}", **style)
        return
    corners = [
        [(x, y - height / 2), (x + width, y - height / 2), (x + width, y + height / 2), (x, y + height / 2)]
        for y, x, width in its
    ]
    ax.add_collection(matplotlib("collections").PolyCollection(corners, label=f"_{kind}", **style), autolim=False)


def solid(color: str) -> dict[str, Any]:
    """A bar; its edge keeps the thinnest visible."""
    return {"facecolor": color, "edgecolor": color, "linewidth": 0.6}


def hollow(color: str, dashes: str = "-") -> dict[str, Any]:
    """The outline of what is not known, or not work."""
    return {"facecolor": "none", "edgecolor": color, "linewidth": 1.2, "linestyle": dashes}


def faint(color: str) -> dict[str, Any]:
    """What is there, but weighs little."""
    return {"facecolor": f"{color}59", "edgecolor": color, "linewidth": 0.8}


def without_edges(style: dict[str, Any]) -> dict[str, Any]:
    """For bars so thin that their outlines would fill them."""
    face = f"{style['edgecolor']}26" if style["facecolor"] == "none" else style["facecolor"]
    return {"facecolor": face, "linewidth": 0}


def hatched(color: str, hatch: str) -> dict[str, Any]:
    return {"facecolor": "none", "edgecolor": color, "linewidth": 0, "hatch": hatch}


# -- around ------------------------------------------------------------------------------------------------------------


def time_axis(ax: Any, end: float, label: str) -> None:
    """Seconds from 0 to `end`, in round steps that say their unit."""
    unit = next((its for its in (_HOUR, _MINUTE) if end > 2 * its), 1.0)
    step = _round_step(end / unit) * unit if unit == 1 else max(_round_step(end / unit), 1) * unit
    _x_axis(ax, (0, end), _ticks(end, step), lambda at: seconds(at, unit), label)


def log_time_axis(ax: Any, low: float, high: float, label: str) -> None:
    """Powers of ten of seconds, from the one under `low` to the one over `high`."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    ax.set_xscale("log")
    ticks = [10.0**power for power in range(first, last + 1)]
    _x_axis(ax, (ticks[0], ticks[-1]), ticks, seconds, label)
    ax.minorticks_off()


def count_axis(ax: Any, end: float, label: str) -> None:
    """Counts from 0 to `end`."""
    step = max(_round_step(end), 1)
    _x_axis(ax, (0, end), _ticks(end, step), _count, label)


def step_axes(ax: Any, last: int, end: float) -> None:
    """Steps to the right, from 1; counts of tokens up."""
    far, high = max(int(_round_step(last)), 1), max(_round_step(end), 1)
    _x_axis(
        ax, (0.8, last + 0.2), [1, *range(far, last + 1, far)] if far > 1 else list(range(1, last + 1)), _count, "step"
    )
    ax.grid(visible=False, axis="x")
    ax.set_ylim(0, end * 1.04)
    ax.set_yticks(_ticks(end, high), [_count(tick) for tick in _ticks(end, high)])
    ax.grid(axis="y", color=WAIT, alpha=_FAINT, linewidth=0.8)
    ax.set_ylabel("tokens in the context", loc="top", **text(AXIS))


def _count(number: float) -> str:
    return figures.count(round(number))


def _ticks(end: float, step: float) -> list[float]:
    return [step * place for place in range(int(end / step + 1e-9) + 1)]


def _x_axis(ax: Any, ends: tuple[float, float], ticks: list[float], told: Callable[[float], str], label: str) -> None:
    ax.set_xlim(*ends)
    ax.set_xticks(ticks, [told(tick) for tick in ticks])
    ax.grid(axis="x", color=WAIT, alpha=_FAINT, linewidth=0.8)
    ax.set_xlabel(label, loc="left", **text(AXIS))


def _round_step(end: float) -> float:
    """1, 2 or 5 times a power of ten, at most six of them to `end`."""
    power = -9
    while True:
        for first in _STEPS:
            step = first * 10.0**power
            if end <= 6 * step:
                return step
        power += 1


def seconds(at: float, unit: float = 1.0) -> str:
    """`0`, `100 ms`, `5 s`, `2 min`: a tick of a time axis, in `unit` or what is below a second."""
    if not at:
        return "0"
    words = {_HOUR: "h", _MINUTE: "min", 1.0: "s", 1e-3: "ms", 1e-6: "µs"}
    chosen = next((its for its in words if its <= unit and at >= its * (1 - 1e-9)), 1e-6)
    return f"{round(at / chosen, 6):,g} {words[chosen]}"
