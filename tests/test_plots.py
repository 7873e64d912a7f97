"""Pictures, twice: bars where the run has its phases, and images that are what somebody looked at and liked.

`python tests/test_plots.py` draws the images of `tests/plots` anew; look at them before they are committed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from by_hand import LOOKS, made, spent
from folded import RUNS, fixtures, load
from recordings import ALL_STREAMS

from letta_nb import comparison, frames, phases, plots, record
from letta_nb.errors import ConfigurationError, InputError
from letta_nb.log import Received
from letta_nb.plots import canvas, times
from letta_nb.run import Run
from letta_nb.summary import tool_summary
from letta_nb.words import PHASES

mpl.use("agg")
from matplotlib import colors
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.path import Path as PathOf
from matplotlib.testing.compare import compare_images
from matplotlib.testing.exceptions import ImageComparisonFailure
from matplotlib.transforms import Affine2D

IMAGES = Path(__file__).parent / "plots"
# root mean square of 255: matplotlib 3.8 stays under 2.1 of 3.11, a bar that is a twentieth shorter is over 3.5
TOLERANCE = 2.8
LIGHT, DARK = "#ffffff", "#111315"
S = 1_000_000_000
STEPS = [
    spent(4000, 120, reasoning_tokens=90, cached_input_tokens=0, cache_write_tokens=3000),
    spent(9000, 160, reasoning_tokens=100, cached_input_tokens=3900, cache_write_tokens=1000),
    spent(16_000, 900, reasoning_tokens=700, cached_input_tokens=0, cache_write_tokens=0),
    spent(21_000, 300, reasoning_tokens=10, cached_input_tokens=16_000, cache_write_tokens=0),
]
COUNTED = made(LOOKS, STEPS, seconds=0.4, window=32_000)
SLOW_AND_FAST = [("look", json.dumps({"n": n}), "error" if n % 7 == 0 else "success") for n in range(20)]


@pytest.fixture(autouse=True)
def _figures_are_closed() -> Iterator[None]:
    with pinned():
        yield
    plt.close("all")


@contextmanager
def pinned() -> Iterator[None]:
    """Matplotlib's own style and fonts, whatever this machine prefers."""
    with plt.style.context("default"), mpl.rc_context({"font.family": "DejaVu Sans", "text.hinting": "none"}):
        yield


def bars(ax: Axes, kind: str) -> list[tuple[float, float, float]]:
    """Row, start and length of the bars of one kind."""
    found = [patch for its in ax.containers if its.get_label() == f"_{kind}" for patch in its.patches]
    return [(bar.get_y() + bar.get_height() / 2, bar.get_x(), bar.get_width()) for bar in found]


def texts(ax: Axes) -> list[str]:
    """All that is to be read, from the title to the axis."""
    ax.figure.canvas.draw()
    legend = ax.get_legend()
    keys = [] if legend is None else [text.get_text() for text in legend.get_texts()]
    ticks = [tick.get_text() for tick in [*ax.get_yticklabels(), *ax.get_xticklabels()]]
    return [ax.get_title(loc="left"), *keys, *ticks, *(text.get_text() for text in ax.texts), ax.get_xlabel()]


def keys(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    return sorted(text.get_text() for text in legend.get_texts()) if legend else []


# -- the waterfall -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(RUNS))
def test_every_phase_is_a_bar_where_it_was(name: str) -> None:
    run = RUNS[name]
    fall, ax = phases.waterfall(run), plots.waterfall(run)
    wanted: dict[str, list[tuple[float, float, float]]] = {}
    for row, lane in enumerate(fall.lanes):
        for phase in lane.phases:
            wanted.setdefault(phase.kind, []).append((row, phase.start / 1e9, (phase.end - phase.start) / 1e9))
    for kind in canvas_kinds():
        np.testing.assert_allclose(sorted(bars(ax, kind)), sorted(wanted.get(kind, [])), atol=1e-9)
    assert ax.get_xlim() == pytest.approx((0, fall.end / 1e9))
    assert ax.yaxis_inverted()
    assert len(keys(ax)) == len(fall.totals)
    assert [line.get_label() for line in ax.lines] == ["_cut"] * sum(lane.cut for lane in fall.lanes)


def canvas_kinds() -> list[str]:
    return [*phases.TOTALS, "queue"]


def test_the_key_is_the_answer() -> None:
    ax = plots.waterfall(RUNS["multi2_tok_server"])
    assert "tools 11.4 s, 93%" in keys(ax)
    assert ax.get_title(loc="left") == "Completed, 12.3 s, 4 steps"
    told = texts(ax)
    for label in ("  1  get_weather", "  4  answer", "4.94 s", "187 ms", "5 s", "time since the request"):
        assert label in told


@pytest.mark.parametrize("name", ["multi2_tok_server", "parallel2_tok", "answered_parallel_step", "toolerr_tok"])
def test_the_keys_look_as_what_they_stand_for(name: str) -> None:
    ax = plots.waterfall(RUNS[name])
    kind_of = {words: kind for kind, words in PHASES.items()}
    for handle, told in zip(ax.get_legend().legend_handles, ax.get_legend().get_texts(), strict=True):
        kind = next(kind_of[words] for words in sorted(kind_of, key=len)[::-1] if told.get_text().startswith(words))
        (container,) = [its for its in ax.containers if its.get_label() == f"_{kind}"]
        bar = container.patches[0]
        if kind == "wait":
            assert colors.to_rgba(handle.get_color()) == bar.get_facecolor()
        else:
            assert handle.get_facecolor() == bar.get_facecolor()
            assert handle.get_edgecolor() == bar.get_edgecolor()
            assert handle.get_hatch() == bar.get_hatch()


def test_what_nobody_measured_is_outlined_and_said() -> None:
    together = plots.waterfall(RUNS["parallel2_tok"])
    (tools,) = [its for its in together.containers if its.get_label() == "_tool"]
    assert len(tools.patches) == 3
    assert {bar.get_facecolor()[3] for bar in tools.patches} == {0.0}
    assert "tools ≤ 10.6 s" in keys(together)
    assert "nobody timed each" in together.get_title(loc="left")
    whole = plots.waterfall(RUNS["multi_step"])
    assert bars(whole, "tool") == bars(whole, "reasoning") == bars(whole, "arguments") == []
    assert "This server sent the step whole: no token times" in whole.get_title(loc="left")
    measured = plots.waterfall(RUNS["multi_tok"])
    assert "\n" not in measured.get_title(loc="left")


def test_a_failed_tool_is_red_and_nothing_else_is() -> None:
    ax = plots.waterfall(RUNS["toolerr_tok"])
    red = colors.to_rgba(canvas.ERR)
    for its in ax.containers:
        assert {bar.get_facecolor() == red for bar in its.patches} == {its.get_label() == "_failed"}
    assert "1 tool failed" in ax.get_title(loc="left")


def test_many_lanes_keep_to_one_height_and_fewer_names() -> None:
    ax = plots.waterfall(fixtures.many(300))
    ax.figure.canvas.draw()
    assert len(bars(ax, "wait")) == 301
    assert len(ax.get_yticklabels()) <= 20
    assert ax.figure.get_figheight() < 6
    assert not ax.texts


# -- tools -------------------------------------------------------------------------------------------------------------


def points(ax: Axes, label: str) -> list[tuple[float, float]]:
    return [tuple(at) for its in ax.collections if its.get_label() == label for at in its.get_offsets().tolist()]


def test_a_dot_a_call_that_was_timed() -> None:
    runs = [RUNS[name] for name in ("multi_tok", "multi2_tok_server", "toolerr_tok", "asks_three")]
    ax, table = plots.tool_latency(runs), frames.tools_df(runs)
    timed = table[table["duration_s"].notna()]
    assert len(points(ax, "_call")) + len(points(ax, "_failed")) == len(timed) == 7
    assert [x for x, _ in points(ax, "_failed")] == pytest.approx([3.85562])
    assert sorted(x for x, _ in points(ax, "_call")) == pytest.approx(
        sorted(timed.query("tool_status == 'success'")["duration_s"])
    )
    told = texts(ax)
    assert told[0] == "11 tool calls in 4 runs, 7 timed"
    for words in ("3 calls, none timed", "4.77 s to 6.10 s  2 calls", "3.86 s  1 call", "delete_folder"):
        assert words in told


def test_percentiles_are_those_of_the_summary() -> None:
    run = made(SLOW_AND_FAST, seconds=0.25)
    ax = plots.tool_latency(run)
    (row,) = tool_summary(run).to_dict("records")
    at = {line.get_label(): line.get_xdata()[0] for line in ax.lines}
    assert at == {"_p50": pytest.approx(row["duration_p50_s"]), "_p95": pytest.approx(row["duration_p95_s"])}
    assert "p50 250 ms  p95 250 ms  20 calls" in texts(ax)
    assert len(points(ax, "_failed")) == 3
    # of a table of calls as of its runs
    assert texts(plots.tool_latency(frames.tools_df(run))) == texts(ax)


def test_times_of_every_length_share_a_logarithmic_axis_that_says_so() -> None:
    ax = plots.tool_latency([RUNS["seed_memgpt_loop_maxsteps3"], RUNS["multi_tok"]])
    assert ax.get_xscale() == "log"
    assert ax.get_xlim() == pytest.approx((1e-4, 10))
    assert "time of a call, logarithmic; calls under 0.1 ms stand at its start" in texts(ax)
    assert min(x for x, _ in points(ax, "_call")) == pytest.approx(1e-4)
    assert plots.tool_latency(RUNS["multi_tok"]).get_xscale() == "linear"


def test_more_tools_than_there_is_room_for_are_counted() -> None:
    ax = plots.tool_latency(made([(f"tool_{n}", "{}", "success") for n in range(26)], seconds=0.5))
    assert "6 more tools of less time: see letta_nb.tool_summary" in ax.get_title(loc="left")
    assert len(points(ax, "_call")) == 20


def test_a_hundred_thousand_calls_are_drawn_by_rank() -> None:
    seconds = np.linspace(1, 2, 100_000)
    table = pd.DataFrame({"run_id": "r", "tool_name": "a", "tool_status": "success", "duration_s": seconds})
    ax = plots.tool_latency(table.assign(approval=None, duration_source="client"))
    drawn = [x for x, _ in points(ax, "_call")]
    assert len(drawn) <= 5001
    assert (min(drawn), max(drawn)) == (1.0, 2.0)
    assert np.median(drawn) == pytest.approx(1.5, abs=1e-3)


# -- tokens and context ------------------------------------------------------------------------------------------------


def test_a_bar_a_step_whose_parts_are_its_tokens() -> None:
    ax = plots.tokens(COUNTED)
    for row, step in enumerate(STEPS):
        parts = {
            kind: (start, width)
            for kind in ("cached", "written", "input", "reasoning", "output")
            for at, start, width in bars(ax, kind)
            if at == pytest.approx(row)
        }
        lengths = {kind: width for kind, (_, width) in parts.items()}
        assert sum(lengths.values()) == step["total_tokens"]
        assert lengths.get("cached", 0) == step["cached_input_tokens"]
        assert lengths.get("written", 0) == step["cache_write_tokens"]
        assert lengths["reasoning"] == step["reasoning_tokens"]
        assert lengths["output"] == step["completion_tokens"] - step["reasoning_tokens"]
        assert all(start + width == after for (start, width), (after, _) in pairwise(parts.values()))
    assert keys(ax) == sorted(
        ["input from the cache 19,900", "input to the cache 4,000", "input 26,100", "reasoning 900", "output 580"]
    )
    assert "21,000 in  300 out" in texts(ax)
    assert ax.get_title(loc="left") == "4 steps, 51,480 tokens"


def test_a_bar_a_run_where_the_steps_are_not_told() -> None:
    runs = [RUNS["multi_tok"], load("0.16.8/v1_err2_tok"), RUNS["seed_memgpt_one_tok"]]
    ax = plots.tokens(runs)
    assert sorted(width for *_, width in bars(ax, "input")) == [7022 - 512, 38317]
    assert "not reported" in texts(ax)
    assert ax.get_title(loc="left").endswith("Not reported: tokens of 1 of 3")
    alone = plots.tokens(RUNS["multi_tok"])
    assert [row for row, *_ in bars(alone, "input")] == [0]
    # a generator is read once, and an old server counts neither cache nor reasoning
    assert "Not reported: cache, reasoning" in plots.tokens(iter([RUNS["seed_memgpt_one_tok"]])).get_title(loc="left")


def test_ten_thousand_bars_are_one_object_a_kind() -> None:
    # as many bars, without as many runs to read
    found = [(float(row), 0.0, 1.0) for row in range(10_000)]
    ax = canvas.axes(None, len(found), "")
    canvas.bars(ax, "input", canvas.solid(canvas.WAIT), found, 1.0)
    (collection,) = ax.collections
    assert len(collection.get_paths()) == 10_000
    corners = collection.get_paths()[7].vertices
    assert (corners.min(axis=0).tolist(), corners.max(axis=0).tolist()) == ([0.0, 6.5], [1.0, 7.5])


def test_the_context_of_a_run_against_its_window() -> None:
    ax = plots.context(COUNTED)
    assert [width for *_, width in bars(ax, "context")] == [step["total_tokens"] for step in STEPS]
    (window,) = [line for line in ax.lines if line.get_label() == "_window"]
    assert window.get_xdata()[0] == 32_000
    assert ax.get_title(loc="left") == "4 steps, at most 67% of the window of 32,000"
    assert "21,300  67%" in texts(ax)


def test_a_window_that_is_far_away_is_said_and_not_drawn() -> None:
    ax = plots.context(RUNS["multi2_tok_server"])
    assert ax.get_title(loc="left") == "4 steps, at most 2% of the window of 128,000 (out of sight)"
    assert not ax.lines
    assert "not known" in plots.context(made(LOOKS, [spent(100)] * 4)).get_title(loc="left")


def test_a_compaction_is_a_tick_at_what_it_found() -> None:
    run = made(LOOKS, STEPS, window=32_000)
    summary = {"id": "message-9", "step_id": "step-2", "message_type": "summary_message", "summary": "Short."}
    again = run.blank(record=True)
    told: list[str] = []
    for received in run.log or ():
        if '"step-3"' in received.data and '"step-3"' not in "".join(told):
            stats = {
                "trigger": "window",
                "context_tokens_before": 23_400,
                "context_tokens_after": 4000,
                "context_window": 1,
            }
            again.receive(Received(received.at, "", json.dumps(summary | {"compaction_stats": stats})))
        told.append(received.data)
        again.receive(received)
    again.end(run.ended_at)
    again.join_server(
        {"steps": [{"id": f"step-{i}", "context_window_limit": 32_000} | row for i, row in enumerate(STEPS)]}
    )
    ax = plots.context(again)
    (tick,) = [line for line in ax.lines if line.get_label() == "_compaction"]
    assert (tick.get_xdata()[0], np.mean(tick.get_ydata())) == (23_400, 2)
    assert "16,900  53%  compacted from 23,400" in texts(ax)


def test_the_context_of_several_runs_is_a_line_each() -> None:
    other = made(LOOKS[:1], [spent(500), spent(900)], run_id="run-2")
    ax = plots.context([COUNTED, other, RUNS["multi_tok"]])
    (lines,) = [its for its in ax.collections if its.get_label() == "_context"]
    found = [segment.tolist() for segment in lines.get_segments()]
    assert found == [[[i + 1, step["total_tokens"]] for i, step in enumerate(STEPS)], [[1, 550], [2, 950]]]
    assert ax.get_title(loc="left").startswith("3 runs, 1 without tokens by step, at most 67%")


def test_the_window_that_is_said_is_that_of_the_fullest() -> None:
    small, large = (made(LOOKS[:1], [spent(7000)], window=its, run_id=f"run-{its}") for its in (8000, 200_000))
    ax = plots.context([large, small])
    assert ax.get_title(loc="left") == "2 runs, at most 88% of the window of 8,000 (others: up to 200,000)"
    (window,) = [line for line in ax.lines if line.get_label() == "_window"]
    assert window.get_ydata()[0] == 8000


# -- two runs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pair",
    [
        ("multi_tok", "multi2_tok_server"),
        ("multi_tok", "err2_tok"),
        ("loop_maxsteps3_step", "parallel2_tok"),
        ("multi_tok", "toolerr_tok"),
    ],
)
def test_each_step_of_each_run_from_its_own_start(pair: tuple[str, str]) -> None:
    a, b = (RUNS[name] for name in pair)
    ax, pairs = plots.compare(a, b), comparison.compare(a, b).pairs
    for side, run in enumerate((a, b)):
        of_step = {lane.step: lane for lane in phases.waterfall(run).lanes if lane.first}
        for pair_of, rows in zip(pairs, _rows_of(ax), strict=True):
            step = (pair_of.a, pair_of.b)[side]
            found = [bar for kind in canvas_kinds() for bar in bars(ax, kind) if bar[0] == pytest.approx(rows[side])]
            if step is None:
                assert found == []
            else:
                lane = of_step[step]
                assert max(start + width for _, start, width in found) == pytest.approx(
                    (lane.end - lane.start) / 1e9, abs=1e-6
                )
                assert min(start for _, start, _ in found) == 0


def _rows_of(ax: Axes) -> list[tuple[float, float]]:
    ticks = sorted(ax.get_yticks())
    return list(zip(ticks[::2], ticks[1::2], strict=True))


def test_the_red_line_is_where_they_part() -> None:
    ax = plots.compare(RUNS["multi_tok"], RUNS["err2_tok"])
    (line,) = [line for line in ax.lines if line.get_label() == "_divergence"]
    rows = _rows_of(ax)
    assert rows[0][1] < line.get_ydata()[0] < rows[1][0]
    told = texts(ax)
    assert "First divergence, step 2: A calls roll_die, B fails in the model call." in told
    assert told.count("no such step") == 2
    assert "4.55 s  −405 ms" in told
    assert told[0] == "A completed, 16.0 s. B failed, 6.10 s (−9.89 s)."
    same = plots.compare(RUNS["multi_tok"], RUNS["multi2_tok_server"])
    assert not same.lines


def test_runs_to_compare_may_be_files(tmp_path: Path) -> None:
    paths = [RUNS[name].save(tmp_path / f"{name}.jsonl") for name in ("multi_tok", "toolerr_tok")]
    assert texts(plots.compare(*paths)) == texts(plots.compare(RUNS["multi_tok"], RUNS["toolerr_tok"]))


def test_where_two_runs_part_is_told_within_a_narrow_picture() -> None:
    figure, ax = plt.subplots(figsize=(6.4, 4.8))
    plots.compare(load("0.16.8/v1_parallel2_tok"), load("0.16.8/v1_multi_step"), ax=ax)
    figure.canvas.draw()
    assert ax.get_tightbbox().x1 <= figure.bbox.x1


# -- what holds for all ------------------------------------------------------------------------------------------------

EACH: dict[str, Callable[..., Any]] = {
    "waterfall": plots.waterfall,
    "tool_latency": plots.tool_latency,
    "tokens": plots.tokens,
    "context": plots.context,
    "compare": lambda run, ax=None: plots.compare(run, run, ax=ax),
}
each = pytest.mark.parametrize("draw", EACH.values(), ids=list(EACH))


def untimed() -> Run:
    run = Run(timed=False)
    for received in RUNS["multi_tok"].log or ():
        run.receive(received._replace(at=-1))
    run.end(None)
    return run


@each
@pytest.mark.parametrize("path", ALL_STREAMS[::4], ids=lambda path: path.stem)
def test_every_recording_can_be_drawn(draw: Callable[..., Any], path: Path) -> None:
    draw(record.load_one(path)).figure.canvas.draw()


@each
@pytest.mark.parametrize("run", [Run(), Run(timed=False)], ids=["nothing yet", "no times"])
def test_nothing_is_a_sentence(draw: Callable[..., Any], run: Run) -> None:
    ax = draw(run)
    (sentence,) = [text.get_text() for text in ax.texts]
    assert sentence.endswith(".")
    assert not ax.patches
    assert len(ax.get_xticks()) == len(ax.get_yticks()) == 0


def test_empty_lists_are_sentences_and_two_runs_are_no_waterfall() -> None:
    for draw in (plots.tool_latency, plots.tokens, plots.context):
        assert len(draw([]).texts) == 1
    with pytest.raises(InputError, match="A waterfall shows one run, not 0"):
        plots.waterfall([])
    assert "no times" in plots.waterfall(untimed()).texts[0].get_text()
    assert "nobody timed any" in plots.tool_latency(RUNS["multi_step"]).texts[0].get_text()


@each
def test_it_draws_on_what_it_is_given_and_returns_it(draw: Callable[..., Any]) -> None:
    figure, (mine, other) = plt.subplots(2)
    before = len(plt.get_fignums())
    assert draw(COUNTED, ax=mine) is mine
    assert (len(plt.get_fignums()), other.has_data()) == (before, False)
    # the figure is its owner's
    assert (figure.patch.get_alpha(), mine.patch.get_alpha()) == (None, None)


@each
@pytest.mark.parametrize("columns", [1, 2])
def test_nothing_is_cut_off_on_axes_that_nobody_laid_out(draw: Callable[..., Any], columns: int) -> None:
    figure = plt.figure(figsize=(6.4 * columns, 4.8))
    made = [draw(COUNTED, ax=ax) for ax in figure.subplots(1, columns, squeeze=False)[0]]
    figure.canvas.draw()
    for ax in made:
        inside = ax.get_tightbbox()
        assert 0 <= inside.x0 < inside.x1 <= figure.bbox.x1
        assert 0 <= inside.y0 < inside.y1 <= figure.bbox.y1
    # a layout that somebody chose stays
    figure = plt.figure(layout="tight")
    layout = figure.get_layout_engine()
    draw(COUNTED, ax=figure.subplots())
    assert figure.get_layout_engine() is layout


@each
def test_a_figure_of_its_own_is_transparent_and_ipython_asks_for_no_ground(draw: Callable[..., Any]) -> None:
    pytest.importorskip("matplotlib_inline")
    from matplotlib_inline.backend_inline import _fetch_figure_metadata  # pyright: ignore[reportPrivateUsage]

    figure = draw(COUNTED).figure
    assert figure.get_facecolor()[3] == 0
    assert _fetch_figure_metadata(figure) is None


def test_colours_read_on_light_and_on_dark() -> None:
    def luminance(color: str) -> float:
        parts = [its / 12.92 if its <= 0.03928 else ((its + 0.055) / 1.055) ** 2.4 for its in colors.to_rgb(color)]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    def contrast(a: str, b: str) -> float:
        low, high = sorted((luminance(a), luminance(b)))
        return (high + 0.05) / (low + 0.05)

    for ground in (LIGHT, DARK):
        for color in (canvas.WAIT, canvas.REASON, canvas.ARGS, canvas.TOOL, canvas.ERR, canvas.WARN, canvas.FENCE):
            assert contrast(color, ground) >= 3
        for color in (canvas.INK, canvas.AXIS, canvas.ERR):
            assert contrast(color, ground) >= 3.6


@each
def test_an_agent_s_names_are_neither_mathematics_nor_commands(draw: Callable[..., Any]) -> None:
    # two dollars would be a formula, and this one an error
    calls = [(name, "{}", "error") for name in ("$\\frac{$", "a\x1b[31m\u202eb", "long " * 40)]
    run = made(calls, STEPS, seconds=0.3)
    run.agent_name = "$\\frac{$"
    ax = draw(run)
    told = "".join(texts(ax))
    assert not {"\x1b", "\u202e"} & set(told)
    assert "$\\frac{$" in told
    assert max(len(label.get_text()) for label in ax.get_yticklabels()) < 50


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)

    class Missing:
        def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
            if name.split(".")[0] == "matplotlib":
                raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    for draw in EACH.values():
        with pytest.raises(ConfigurationError, match=r'pip install "letta-nb\[plot\]"'):
            draw(COUNTED)


def test_matplotlib_loads_when_something_is_drawn() -> None:
    code = "import sys, letta_nb.plots as p; p.waterfall, p.compare; print('matplotlib' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "False"


@pytest.mark.parametrize(
    ("end", "wanted"),
    [
        (0.2, ["0", "50 ms", "100 ms", "150 ms", "200 ms"]),
        (12.3, ["0", "5 s", "10 s"]),
        (93.0, ["0", "20 s", "40 s", "60 s", "80 s"]),
        (1200.0, ["0", "5 min", "10 min", "15 min", "20 min"]),
        (7300.0, ["0", "1 h", "2 h"]),
    ],
)
def test_the_time_axis_has_the_page_s_ticks(end: float, wanted: list[str]) -> None:
    ax = canvas.axes(None, 2, "")
    canvas.time_axis(ax, end, "")
    assert [tick.get_text() for tick in ax.get_xticklabels()] == wanted


# -- images ------------------------------------------------------------------------------------------------------------

PICTURES: dict[str, Callable[[], Any]] = {
    "waterfall": lambda: plots.waterfall(RUNS["multi2_tok_server"]),
    "waterfall_together": lambda: plots.waterfall(RUNS["parallel2_tok"]),
    "waterfall_whole_steps": lambda: plots.waterfall(RUNS["multi_step"]),
    "waterfall_failed_tool": lambda: plots.waterfall(RUNS["toolerr_tok"]),
    "waterfall_asks": lambda: plots.waterfall(RUNS["answered_parallel_step"]),
    "waterfall_cut": lambda: plots.waterfall(RUNS["interrupted"]),
    "waterfall_many": lambda: plots.waterfall(fixtures.many(60)),
    "tool_latency": lambda: plots.tool_latency([RUNS["multi_tok"], RUNS["toolerr_tok"], RUNS["asks_three"]]),
    "tool_latency_wide": lambda: plots.tool_latency([RUNS["seed_memgpt_loop_maxsteps3"], RUNS["toolerr_tok"]]),
    "tokens": lambda: plots.tokens(COUNTED),
    "tokens_runs": lambda: plots.tokens([RUNS["multi_tok"], RUNS["toolerr_tok"], RUNS["err2_tok"]]),
    "context": lambda: plots.context(COUNTED),
    "context_runs": lambda: plots.context([COUNTED, made(LOOKS, STEPS[1:] + STEPS[:1], run_id="run-2")]),
    "compare": lambda: plots.compare(RUNS["multi_tok"], RUNS["err2_tok"]),
    "compare_at_once": lambda: plots.compare(RUNS["loop_maxsteps3_step"], RUNS["parallel2_tok"]),
    "nothing": lambda: plots.tool_latency([]),
}
# one of them on the page's dark ground
ON_DARK = "waterfall_dark"


@contextmanager
def blocks_for_text() -> Iterator[None]:
    """Text as blocks that are as long as it has letters: fonts are drawn otherwise by each version of matplotlib, and
    move all that stands beside them. What is written is looked at by the other tests."""

    def size(self: RendererAgg, s: str, prop: Any, ismath: Any) -> tuple[float, float, float]:
        points = self.points_to_pixels(prop.get_size_in_points())
        return round(0.58 * points * len(s)), round(points), round(0.2 * points)

    def block(
        self: RendererAgg, gc: Any, x: float, y: float, s: str, prop: Any, angle: float, *_: Any, **__: Any
    ) -> None:
        width, height, _below = size(self, s, prop, None)
        place = Affine2D().scale(width, 0.6 * height).rotate_deg(angle).translate(round(x), round(self.height - y))
        gc.set_linewidth(0)
        # faint: versions round differently where a line of text stands
        gc.set_alpha(0.15)
        self.draw_path(gc, PathOf.unit_rectangle(), place, gc.get_rgb())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RendererAgg, "get_text_width_height_descent", size)
        patch.setattr(RendererAgg, "draw_text", block)
        yield


def draw_image(name: str, path: Path) -> None:
    """One picture as it is compared: small, and on a ground."""
    with pinned(), blocks_for_text():
        ax = PICTURES["waterfall" if name == ON_DARK else name]()
        figure = ax.figure
        figure.patch.set(facecolor=DARK if name == ON_DARK else LIGHT, alpha=1)
        # the layout too is each version's own: here is room for the longest labels, and for the lines above the rows
        above = 15 * (ax.get_title(loc="left").count("\n") + 1 + (len(keys(ax)) + 2) // 3)
        height = figure.get_figheight() * 72
        figure.set_layout_engine("none")
        if legend := ax.get_legend():
            # it stands a pixel higher or lower; its keys are compared with the bars by a test of their own
            legend.set_visible(False)
        ax.set_position((0.24, 38 / height, 0.5, (height - 48 - above) / height))
        figure.savefig(path, dpi=72, facecolor=figure.get_facecolor(), metadata={"Software": None})
        plt.close(figure)


@pytest.mark.parametrize("name", [*PICTURES, ON_DARK])
def test_it_looks_as_it_was_liked(name: str, tmp_path: Path) -> None:
    actual = tmp_path / f"{name}.png"
    draw_image(name, actual)
    told = difference(name, actual)
    assert told is None, told


def difference(name: str, actual: Path) -> str | None:
    """How an image differs from the one that was liked, beside which the comparison writes what it finds."""
    expected = actual.with_name(f"{name}-expected.png")
    expected.write_bytes((IMAGES / f"{name}.png").read_bytes())
    try:
        return compare_images(str(expected), str(actual), tol=TOLERANCE)
    except ImageComparisonFailure as other_size:
        return str(other_size)


def test_another_picture_does_not_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong: dict[str, Callable[[], Any]] = {
        "waterfall": lambda: plots.waterfall(RUNS["multi_tok"]),
        # one bar is a twentieth shorter
        "tokens": lambda: plots.tokens(made(LOOKS, [*STEPS[:2], STEPS[2] | spent(15_000, 900), STEPS[3]])),
        "context": lambda: plots.context(made(LOOKS, [*STEPS[:3], spent(20_000, 300)], window=32_000)),
        # one dot is elsewhere, or red
        "tool_latency": lambda: plots.tool_latency(
            [RUNS["multi2_tok_server"], RUNS["toolerr_tok"], RUNS["asks_three"]]
        ),
        "compare": lambda: plots.compare(RUNS["multi_tok"], RUNS["toolerr_tok"]),
    }
    for name, draw in wrong.items():
        monkeypatch.setitem(PICTURES, name, draw)
        actual = tmp_path / f"{name}.png"
        draw_image(name, actual)
        assert difference(name, actual) is not None, name


@pytest.mark.parametrize(("name", "kind"), [("waterfall", "tool"), ("waterfall_asks", "pending")])
def test_another_colour_does_not_pass(name: str, kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(times._STYLES, kind, (canvas.solid(canvas.REASON), 0.5))  # pyright: ignore[reportPrivateUsage]
    actual = tmp_path / f"{name}.png"
    draw_image(name, actual)
    assert difference(name, actual) is not None


def test_images_are_small_and_none_is_forgotten() -> None:
    assert {path.stem for path in IMAGES.glob("*.png")} == {*PICTURES, ON_DARK}
    assert sum(path.stat().st_size for path in IMAGES.glob("*.png")) < 300_000


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    for name in [*PICTURES, ON_DARK]:
        draw_image(name, IMAGES / f"{name}.png")
        print(IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
