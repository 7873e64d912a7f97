"""Where the time went: against a golden file that the page's twin reads too, and against what must hold for any run."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from folded import RUNS, SCRIPTS, golden, load
from recordings import ALL_STREAMS, FIXTURES

from letta_nb import phases, record

GOLDEN = json.loads((FIXTURES / "phases.json").read_text())


def kinds(lane: phases.Lane) -> list[str]:
    return [phase.kind for phase in lane.phases]


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_the_golden_file_is_what_we_compute(name: str) -> None:
    assert golden.golden(RUNS[name], golden.NOW.get(name)) == GOLDEN[name]


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


# -- answers -----------------------------------------------------------------------------------------------------------


def test_a_person_is_waited_for_until_the_answer_and_the_tool_follows() -> None:
    first, second = phases.waterfall(RUNS["answered_tok"]).lanes
    assert kinds(first) == ["wait", "reasoning", "arguments", "pending", "queue", "tool"]
    pending, tool = first.phases[3], first.phases[5]
    assert (pending.end, tool.start, tool.at_most) == (42_400_000_000, 42_402_000_000, True)
    # the step ends with its tool, and the next one waits from there
    assert second.start == tool.end == first.end


def test_who_needs_no_approval_waits_for_the_others() -> None:
    weather, danger, _ = phases.waterfall(RUNS["answered_parallel_step"]).lanes
    assert kinds(weather) == ["wait", "queue", "unattributed"]
    assert kinds(danger) == ["pending", "queue", "unattributed"]
    assert weather.phases[1].end == danger.phases[1].end == 21_002_000_000


def test_a_denied_call_has_no_tool_time() -> None:
    run = RUNS["denied_step"]
    assert run.tool_calls[0].status == "error"
    assert not {"tool", "failed"} & set(phases.waterfall(run).totals)


def test_functions_of_this_kernel_run_one_after_the_other_and_then_the_server_goes_on() -> None:
    weather, one, two, _ = phases.waterfall(RUNS["functions_step"]).lanes
    assert [phase.end - phase.start for lane in (one, two) for phase in lane.phases if phase.kind == "tool"] == [
        750_000_000
    ] * 2
    assert two.phases[-1].start == one.end
    assert (kinds(weather)[-2:], weather.phases[-1].start) == (["queue", "unattributed"], two.end)


def test_time_goes_on_while_a_person_is_waited_for() -> None:
    run = RUNS["asks_three"]
    for now in (None, 42_000_000_000):
        fall = phases.waterfall(run, now)
        asked = [lane.phases[-1] for lane in fall.lanes if lane.phases[-1].kind == "pending"]
        assert len(asked) == 3
        assert {phase.end for phase in asked} == {fall.end} == {now or run.ended_at}
    # a saved run knows of answers that were not sent yet
    half = phases.waterfall(RUNS["half_answered"])
    assert half.end == 31_000_000_000
    assert [kinds(lane)[-1] for lane in half.lanes] == ["queue", "queue", "pending", "pending"]


def test_a_run_that_goes_on_after_a_denial_waits_for_the_model() -> None:
    whole = RUNS["denied_step"]
    run = whole.blank(record=True)
    for item in list(whole.history())[:-7]:
        run.take(item)
    assert (run.status, run.tool_calls[0].approval) == ("running", "denied")
    *_, last = phases.waterfall(run, 9_000_000_000).lanes
    assert (last.step, kinds(last), last.end) == (1, ["wait"], 9_000_000_000)


def test_the_reports_of_an_earlier_leg_do_not_end_a_later_one() -> None:
    run = RUNS["asks_three"].blank(record=True)
    for item in RUNS["asks_three"].history():
        run.take(item)
    run.end(700_000_000)
    for call in run.pending:
        call.approval, call.answered_at, call.started_at = "approved", 5_000_000_000, 5_000_000_000
    run.begin("answer", None, 5_000_000_000)
    run.end(8_000_000_000)
    assert phases.stopped_at(run) == 8_000_000_000


def test_arguments_that_stall_are_still_arriving() -> None:
    run = RUNS["arriving"]
    *_, last = phases.waterfall(run, 12_000_000_000).lanes
    assert (kinds(last)[-1], last.end) == ("arguments", 12_000_000_000)
    one, two, three = phases.waterfall(RUNS["held"], 3_000_000_000).lanes
    assert [kinds(lane)[-1] for lane in (one, two, three)] == ["queue", "queue", "arguments"]


def test_a_return_that_was_fetched_has_no_time() -> None:
    whole = load("0.16.8/v1_multi_tok")
    run = whole.blank(record=True)
    for received in whole.log or ():
        if received.at < 2_000_000_000:
            run.receive(received)
    call = run.tool_calls[0]
    call.has_returned, call.return_source, call.result, call.status = True, "server", "4", "success"
    run.end(3_000_000_000, cancelled=True)
    (lane,) = phases.waterfall(run).lanes
    assert kinds(lane) == ["wait", "reasoning", "arguments", "unattributed"]


def test_a_resumed_run_is_not_marked_as_cut() -> None:
    fall = phases.waterfall(RUNS["resumed"])
    assert not any(lane.cut for lane in fall.lanes)
    assert len(fall.lanes) == 4


def test_a_call_that_is_answered_after_its_run_failed_is_within_the_axis() -> None:
    run = load("0.16.8/v1_approve_parallel_step_1request")
    run.status = "failed"
    for call in run.tool_calls:
        run.decided(call, approve=False, reason=None, at=500_000_000_000)
    fall = phases.waterfall(run)
    assert fall.end == max(lane.end for lane in fall.lanes) == 500_000_000_000
    assert all(total <= fall.end for total in fall.totals.values())
