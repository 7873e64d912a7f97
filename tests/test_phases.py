"""Where the time went: against a golden file that the page's twin reads too, and against what must hold for any run."""

from __future__ import annotations

import importlib.util
import json
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
from recordings import ALL_STREAMS, FIXTURES

from letta_nb import phases, record
from letta_nb.run import Run

SCRIPTS = Path(__file__).parent.parent / "scripts"


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


_script("js_fixtures")
golden = _script("phases_golden")
GOLDEN = json.loads((FIXTURES / "phases.json").read_text())
RUNS: dict[str, Run] = golden.runs()


def load(name: str) -> Run:
    return record.load_one(FIXTURES / f"{name}.sse")


def kinds(lane: phases.Lane) -> list[str]:
    return [phase.kind for phase in lane.phases]


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_the_golden_file_is_what_we_compute(name: str) -> None:
    assert golden.golden(RUNS[name]) == GOLDEN[name]


def test_the_golden_file_has_every_run_of_the_page_tests() -> None:
    assert sorted(GOLDEN) == sorted(path.stem for path in (SCRIPTS.parent / "js/fixtures").glob("*.json"))


@pytest.mark.parametrize("path", ALL_STREAMS, ids=lambda path: path.stem)
def test_a_lane_is_unbroken_and_a_run_is_covered(path: Path) -> None:
    run = record.load_one(path)
    fall = phases.waterfall(run)
    for lane in fall.lanes:
        assert all(phase.end > phase.start for phase in lane.phases)
        assert all(a.end == b.start for a, b in pairwise(lane.phases))
        if lane.phases:
            assert lane.start == lane.phases[0].start
    firsts = [lane for lane in fall.lanes if lane.first]
    assert [lane.step for lane in firsts] == list(range(len(firsts)))
    assert all(a.end == b.start for a, b in pairwise(firsts))
    # up to the server's stop all time is told of, once
    stop = phases.stopped_at(run)
    assert stop is not None
    assert sum(fall.totals.values()) == pytest.approx(max((lane.end for lane in firsts), default=0), abs=1)
    assert stop <= fall.end


def test_tool_time_by_arrival_and_by_the_server() -> None:
    (one, *_) = phases.waterfall(load("0.16.8/v1_multi2_tok")).lanes
    assert kinds(one) == ["wait", "reasoning", "arguments", "tool"]
    (one, *_) = phases.waterfall(RUNS["multi2_tok_server"]).lanes
    assert kinds(one) == ["wait", "reasoning", "arguments", "tool", "unattributed"]
    tool = one.phases[3]
    assert (tool.source, (tool.end - tool.start) / 1e9) == ("server", pytest.approx(3.4575, abs=1e-4))


def test_calls_that_returned_together_are_bounds() -> None:
    fall = phases.waterfall(RUNS["parallel2_tok_server"])
    calls = [lane for lane in fall.lanes if lane.step == 0]
    assert [lane.label for lane in calls] == ["get_weather", "get_weather", "slow_lookup"]
    assert [lane.first for lane in calls] == [True, False, False]
    assert all(lane.phases[-1].at_most for lane in calls)
    assert fall.at_most == {"tool"}
    assert fall.totals["tool"] == calls[0].phases[-1].end - calls[0].phases[-1].start


def test_a_failed_tool_is_its_own_kind() -> None:
    fall = phases.waterfall(load("0.16.8/v1_toolerr_tok"))
    assert "tool" not in fall.totals
    assert fall.totals["failed"] == 3_855_620_000


def test_steps_that_come_whole_have_one_wait() -> None:
    fall = phases.waterfall(load("0.16.8/v1_multi_step"))
    assert [kinds(lane)[0] for lane in fall.lanes] == ["wait"] * 4
    assert set(fall.totals) == {"wait", "unattributed"}


def test_a_run_that_waits_for_a_person() -> None:
    fall = phases.waterfall(load("0.16.8/v1_approve_parallel_step_1request"))
    assert [kinds(lane) for lane in fall.lanes] == [["wait", "queue"], ["pending"]]


def test_a_run_that_broke_is_marked_and_its_last_wait_is_shown() -> None:
    *_, last = phases.waterfall(load("0.16.8/v1_err2_tok")).lanes
    assert (last.step, kinds(last), last.cut) == (1, ["wait"], True)
    *_, last = phases.waterfall(load("0.16.8/v1_disc_tok")).lanes
    assert (last.step, kinds(last)[-1], last.cut) == (0, "unattributed", True)
    *_, last = phases.waterfall(load("0.16.8/v1_cancel_slowtok")).lanes
    assert not last.cut


def test_a_running_tool_counts_up_to_now() -> None:
    whole = load("0.16.8/v1_multi_tok")
    run = whole.blank(record=True)
    for received in whole.log or ():
        if received.at < 2_000_000_000:
            run.receive(received)
    fall = phases.waterfall(run, now=3_000_000_000)
    tool = fall.lanes[0].phases[-1]
    assert (tool.kind, tool.end, fall.end) == ("tool", 3_000_000_000, 3_000_000_000)


def test_no_times_no_lanes(tmp_path: Path) -> None:
    copy = tmp_path / "bare.sse"
    copy.write_bytes((FIXTURES / "0.16.8/v1_multi_tok.sse").read_bytes())
    assert phases.waterfall(record.load_one(copy)) == phases.Waterfall()
