"""Why slow, why costly: each remark with the rows that prove it, none without, none that the wire cannot support."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from by_hand import LOOKS, made, spent
from folded import RUNS, fixtures, load
from generated import streams
from hypothesis import given, settings
from recordings import ALL_STREAMS, BY_NAME

from letta_nb import frames, record
from letta_nb.entries import RunError
from letta_nb.errors import InputError
from letta_nb.explanation import NOTHING, Explanation, explain
from letta_nb.log import Received
from letta_nb.remarks import Note
from letta_nb.run import Run

S = 1_000_000_000
COLUMNS = {
    "run_id": "string",
    "kind": "string",
    "words": "string",
    "stake_s": "Float64",
    "stake_tokens": "Int64",
    "stake_usd": "Float64",
    "share": "Float64",
    "grain": "string",
    "row_count": "Int64",
}
EVERY_RUN = [*RUNS.values(), *map(record.load_one, ALL_STREAMS)]


def kinds(run: Run) -> set[str]:
    return {note.kind for note in explain(run)}


def one(run: Run, kind: str) -> Note:
    (note,) = [note for note in explain(run) if note.kind == kind]
    return note


# -- what holds for any run --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", EVERY_RUN, ids=range(len(EVERY_RUN)))
def test_no_note_without_rows_that_are_in_its_table(run: Run) -> None:
    for note in explain(run):
        table = frames.frame(note.grain, run)
        assert len(note.rows) > 0
        pd.testing.assert_frame_equal(note.rows[table.columns], table.loc[note.rows.index])
        assert set(note.shown) <= set(note.rows.columns)
        assert 0 < note.share <= 1
        assert re.fullmatch(r"\S.*[^.]\.", note.words, re.DOTALL)


@pytest.mark.parametrize("run", EVERY_RUN, ids=range(len(EVERY_RUN)))
def test_what_matters_most_comes_first_and_the_table_says_the_same(run: Run) -> None:
    found = explain(run)
    table = found.df
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == COLUMNS
    assert table["words"].tolist() == [note.words for note in found]
    assert table["row_count"].tolist() == [len(note.rows) for note in found]
    assert table["share"].is_monotonic_decreasing or len(table) == 0
    assert len(found) == len(table)
    ended_well = found.run.status not in ("failed", "interrupted", "running")
    assert (NOTHING.split(":")[0] in str(found)) == (len(found) == 0 and ended_well)


@given(streams)
@settings(max_examples=30)
def test_any_stream_is_explained(stream: list[str]) -> None:
    run = Run()
    for number, data in enumerate(stream):
        run.receive(Received(number * S, "", data))
    run.end(len(stream) * S)
    found = explain(run)
    assert str(found)
    assert found._repr_html_()
    assert len(found.df) == len(found)


@pytest.mark.parametrize("run", [run for run in EVERY_RUN if run.delivery == "step"], ids=lambda run: run.uid[:8])
def test_no_time_is_claimed_inside_steps_that_came_whole(run: Run) -> None:
    for note in explain(run):
        if note.kind == "slowest_tool":
            # functions of this kernel were timed where they ran
            assert all(call.here for call in run.tool_calls if call.duration is not None)
        assert note.kind != "calls_together"
        if note.kind in ("failed_calls", "repeated_calls"):
            assert note.stake_s is None or all(call.here for call in run.tool_calls)


# -- time --------------------------------------------------------------------------------------------------------------


def test_the_slowest_tool_and_its_share() -> None:
    note = one(RUNS["multi2_tok_server"], "slowest_tool")
    assert note.words == "The slowest tool is slow_lookup: 4.77 s, 39% of the run, in 1 call timed by the server."
    assert note.rows["duration_s"].sum() == pytest.approx(note.stake_s)
    assert note.share == pytest.approx(4.772 / 12.261, abs=1e-3)


def test_the_slowest_tool_is_so_in_all_its_calls() -> None:
    calls = [("often", json.dumps({"n": n}), "success") for n in range(4)]
    run = made(calls, seconds=1.0)
    note = one(run, "slowest_tool")
    assert "4.00 s" in note.words
    assert "in 4 calls timed by arrival, the longest 1.00 s" in note.words
    assert note.rows["duration_s"].tolist() == [1.0] * 4


def streamed(*events: tuple[float, dict[str, Any]], ended: float | None = None) -> Run:
    """A run of these events, each so many seconds after the one before, that ended, or broke off after so long."""
    run, at = Run({"input": "Go.", "stream_tokens": True}), 0.0
    for after, event in events:
        at += after
        ids = {"id": "message-0", "step_id": "step-0", "run_id": "run-1"}
        run.receive(Received(round(at * S), "", json.dumps({**ids, **event})))
    if ended is None:
        run.receive(Received(round(at * S), "", json.dumps({"message_type": "stop_reason", "stop_reason": "end_turn"})))
    run.end(round((at + (ended or 0)) * S))
    return run


def called(tool_call_id: str, name: str = "look", step: int = 0) -> dict[str, Any]:
    call = {"name": name, "arguments": "{}", "tool_call_id": tool_call_id}
    ids = {"id": f"message-{step}", "step_id": f"step-{step}"}
    return {"message_type": "tool_call_message", **ids, "tool_call": call, "tool_calls": call}


def returned(tool_call_id: str, status: str = "success", step: int = 0) -> dict[str, Any]:
    result = {"tool_return": "no" if status == "error" else "ok", "status": status, "tool_call_id": tool_call_id}
    return {"message_type": "tool_return_message", "id": f"m-{tool_call_id}", "step_id": f"step-{step}", **result}


PING: dict[str, Any] = {"message_type": "ping"}


def test_many_short_calls_make_no_tool_the_slowest() -> None:
    often = [event for n in range(40) for event in ((0.1, called(f"{n}", step=n)), (0.05, returned(f"{n}", step=n)))]
    run = streamed(*often, (0.1, called("c", "crawl", 41)), (1.9, returned("c", step=41)))
    assert one(run, "slowest_tool").words.startswith("The tool that took longest in all is look: 2.00 s, ")


def test_what_nobody_timed_may_be_slower_than_the_slowest_that_was() -> None:
    together = [(0.1, called("a", "scrape")), (0.1, called("b", "scrape")), (30, returned("a")), (0, returned("b"))]
    run = streamed(*together, (0.1, called("c", "quick", 1)), (5, returned("c", step=1)))
    assert one(run, "slowest_tool").words.startswith("Of the tools that were timed, the slowest is quick: 5.00 s, ")


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([(0.1, called("a")), (0.1, returned("a"))], "nothing arrived for 5:00, 100% of the run, until"),
        ([(0.1, called("a"))], "nothing arrived for 5:00, 100% of the run, until the connection closed, with look not"),
        ([(0.1, called("a")), (100, PING)], "nothing but 1 ping arrived for 6:40, 100% of the run, until"),
        ([(0.1, PING)], "nothing but 1 ping arrived for 5:00, 100% of the run, until"),
    ],
)
def test_a_silence_that_a_broken_connection_ended(events: list[tuple[float, dict[str, Any]]], words: str) -> None:
    run = streamed(*events, ended=300)
    assert run.status == "interrupted"
    note = one(run, "longest_gap")
    assert note.words.startswith(f"At the end {words}")
    # and is not told a second time as nobody's
    assert "unattributed" not in kinds(run)


def test_a_silence_of_which_nothing_is_a_proof_is_told_by_the_run_alone() -> None:
    assert kinds(streamed(ended=300)) == set()


def test_calls_that_returned_together_are_bounded_and_not_timed() -> None:
    note = one(RUNS["parallel2_tok_server"], "calls_together")
    assert note.words == (
        "get_weather (2 times), slow_lookup in step 1: they returned together after at most 10.6 s, 96% of the run. "
        "Nobody timed each of them; the server's longest was 4.18 s."
    )
    assert note.rows["duration_s"].isna().all()
    bounds = (note.rows["end_time"] - note.rows["start_time"]).dt.total_seconds()
    assert bounds.min() == pytest.approx(note.stake_s, abs=0.05)


def test_the_longest_gap_is_between_the_two_events_that_prove_it() -> None:
    note = one(load("0.16.8/v1_err2_tok"), "longest_gap")
    assert note.words == "Nothing arrived for 1.43 s, 24% of the run, while the model was waited for in step 2."
    before, after = note.rows["received_s"]
    assert after - before == pytest.approx(note.stake_s)


def test_pings_do_not_break_a_silence() -> None:
    note = one(load("0.16.8/v1_err500_tok"), "longest_gap")
    assert note.words == (
        "Nothing but 1 ping arrived for 1.80 s, 100% of the run, while the model was waited for in step 1."
    )
    assert note.stake_s == pytest.approx(note.rows["received_s"].iloc[-1])


def test_a_tool_s_time_is_no_gap_and_a_short_silence_none_either() -> None:
    assert "longest_gap" not in kinds(RUNS["multi_tok"])
    assert "longest_gap" not in kinds(made(LOOKS, waits=[0.9]))
    assert one(made(LOOKS, waits=[0.1, 1.1]), "longest_gap").words.endswith("for in step 2.")


def test_a_person_s_time_is_the_person_s() -> None:
    note = one(RUNS["answered_tok"], "approval_wait")
    assert note.words == "A person took 0:42, 90% of the run, to answer about danger."
    assert note.rows["approval_wait_s"].sum() == pytest.approx(note.stake_s, abs=0.01)
    assert "longest_gap" not in kinds(RUNS["answered_tok"])


def test_arrival_of_a_stored_stream_says_nothing() -> None:
    run = load("0.16.8/v1_bg_resume_after0")
    assert kinds(run) <= {"unattributed"}


def test_time_that_nobody_can_attribute() -> None:
    note = one(RUNS["functions_step"], "unattributed")
    assert note.words == (
        "3.43 s, 34% of the run, that nobody can attribute to the model or a tool, most of it in step 1 (3.42 s)."
    )
    assert note.rows["unattributed_s"].sum() == pytest.approx(note.stake_s)


def test_overlapping_lanes_count_once() -> None:
    run = RUNS["answered_parallel_step"]
    assert one(run, "unattributed").stake_s < run.duration


def test_steps_that_came_whole_leave_their_parts_open() -> None:
    note = one(RUNS["multi_step"], "unattributed")
    assert note.words.startswith("3 steps with tools came whole: of 14.4 s, 98% of the run, nobody said")
    assert note.rows["duration_s"].sum() == pytest.approx(note.stake_s)
    assert note.rows["llm_duration_s"].isna().all()
    # nothing had run there when it asked
    assert "unattributed" not in kinds(RUNS["clienttools_step_1request"])


# -- calls -------------------------------------------------------------------------------------------------------------


def test_the_same_call_again_however_it_is_spelled() -> None:
    calls = [
        ("look", '{"a": 1, "b": 2}', "success"),
        ("look", '{"b":2,"a":1}', "success"),
        ("look", '{"a": 2}', "success"),
    ]
    note = one(made([*calls, ("see", '{"a": 1, "b": 2}', "success")]), "repeated_calls")
    assert note.words == 'look was called 2 times with the same arguments, {"a": 1, "b": 2}, with the same result.'
    assert note.rows["tool_arguments"].tolist() == ['{"a": 1, "b": 2}', '{"b":2,"a":1}']


def test_what_repeats_cost_is_what_their_own_steps_cost() -> None:
    note = one(
        made([LOOKS[0]] * 3, [spent(1000), spent(1100), spent(1200), spent(1300)], seconds=0.5), "repeated_calls"
    )
    assert note.words.endswith("The repeats took 1.00 s of tool time and 2,400 tokens in 2 steps.")
    assert (note.stake_s, note.stake_tokens, len(note.rows)) == (1.0, 2400, 3)


def test_arguments_that_nobody_knows_are_not_the_same() -> None:
    assert "repeated_calls" not in kinds(load("0.16.8/v1_clienttools_step_2answer"))
    hidden = [("look", '{"key": "[redacted]"}', "success")] * 2
    assert "repeated_calls" not in kinds(made(hidden))
    assert "repeated_calls" not in kinds(made(LOOKS))


def test_what_a_model_says_along_is_no_argument() -> None:
    """0.6 to 0.16 have MemGPT agents say their thoughts in the arguments."""
    said = [{"q": "x", "request_heartbeat": n > 0, "inner_thoughts": f"Thought {n}."} for n in range(3)]
    note = one(made([("look", json.dumps(its), "success") for its in said]), "repeated_calls")
    assert note.words.startswith('look was called 3 times with the same arguments, {"q": "x"}, with the same result')


def test_calls_at_once_are_no_second_try() -> None:
    calls = [(0.1, called(its)) for its in "abc"]
    run = streamed(*calls, *[(0.3, returned(its, "error")) for its in "abc"])
    assert "again" not in one(run, "failed_calls").words


def test_failed_calls_and_whether_they_were_tried_again() -> None:
    note = one(made([("look", "{}", "error"), ("look", '{"a": 1}', "success")], seconds=0.5), "failed_calls")
    assert note.words == (
        "1 of 2 tool calls failed: look (Error: no); 1 time the tool was then called again. "
        "It took 500 ms of tool time."
    )
    assert note.rows["tool_status"].tolist() == ["error"]
    assert "failed_calls" not in kinds(RUNS["denied_step"])


# -- tokens and cost ---------------------------------------------------------------------------------------------------


def test_a_cache_that_is_no_longer_read() -> None:
    rows = [
        spent(8000, cached_input_tokens=7200),
        spent(9000, cached_input_tokens=0),
        spent(9000, cached_input_tokens=0),
    ]
    note = one(made(LOOKS, [*rows, spent(9000, cached_input_tokens=8000)]), "cache_drop")
    assert note.words == (
        "The cache hit rate fell from 90% to 0% in step 2: "
        "7,200 tokens that could have been read from the cache were not."
    )
    assert note.stake_tokens == 7200
    assert note.rows["cache_read_input_tokens"].tolist() == [7200, 0]
    # no model reads another's cache
    between = [spent(8000, cached_input_tokens=7200), spent(3000, cached_input_tokens=0) | {"model": "gpt-4o"}]
    assert "cache_drop" not in kinds(made(LOOKS, [*between, spent(9000, cached_input_tokens=8000), spent(9000)]))
    again = one(made(LOOKS, [*between, *rows[1:]]), "cache_drop")
    assert again.rows["step_index"].tolist() == [0, 2]
    # what was not reported is no drop
    assert "cache_drop" not in kinds(made(LOOKS, [spent(8000, cached_input_tokens=7200), spent(9000)]))
    assert "cache_drop" not in kinds(RUNS["multi2_tok_server"])


def test_a_context_that_grows_and_how_near_it_is_to_the_window() -> None:
    rows = [spent(2000), spent(4000), spent(7000), spent(3000)]
    note = one(made(LOOKS, rows, window=8000), "context_growth")
    assert note.words == (
        "The context grew from 2,000 tokens in step 1 to 7,000 in step 3, read as 8,000 tokens more in all; "
        "88% of the window of 8,000."
    )
    assert note.rows["input_tokens"].tolist() == [2000, 4000, 7000, 3000]
    assert note.rows["context_window"].tolist() == [8000] * 4
    assert "window" not in one(made(LOOKS, rows), "context_growth").words
    full = one(made(LOOKS, [spent(7000)] * 4, window=8000), "context_growth")
    assert full.words == "The context was 7,050 tokens in step 1; 88% of the window of 8,000."
    assert full.stake_tokens is None
    assert "context_growth" not in kinds(RUNS["multi2_tok_server"])


def test_one_step_that_costs_most() -> None:
    note = one(made(LOOKS, [spent(500), spent(500), spent(20_000, 900), spent(500)]), "costly_step")
    assert note.words == "Step 3 cost $0.0035, 92% of what all 4 steps cost ($0.0039)."
    assert note.stake_usd == note.rows["total_cost_usd"].max()
    assert note.stake_tokens == 20_900
    unpriced = [spent(count) | {"model": "nobody-sells-this"} for count in (500, 20_000, 500, 500)]
    by_tokens = one(made(LOOKS, unpriced), "costly_step")
    assert by_tokens.words.startswith("Step 2 cost 20,050 tokens, 9")
    assert by_tokens.stake_usd is None
    assert "costly_step" not in kinds(made(LOOKS, [spent(500)] * 4))
    # of two steps one always has half
    assert "costly_step" not in kinds(made(LOOKS[:1], [spent(500), spent(700)]))


def test_reasoning_s_share_of_the_output() -> None:
    rows = [spent(500, 300, reasoning_tokens=250), spent(500, 100, reasoning_tokens=90)]
    note = one(made(LOOKS[:1], rows), "reasoning_share")
    assert note.words == "Reasoning is 340 of 400 output tokens (85%)."
    assert note.rows["reasoning_output_tokens"].sum() == note.stake_tokens == 340
    assert "reasoning_share" not in kinds(made(LOOKS[:1], [spent(500, 300), spent(500, 100)]))
    assert "reasoning_share" not in kinds(RUNS["hello_tok"])


# -- how it is shown ---------------------------------------------------------------------------------------------------


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.styles: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.styles |= {value or "" for name, value in attrs if name == "style"}
        assert {name for name, _ in attrs} <= {"style"}
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


BARE = {"p", "strong", "em", "br", "details", "summary", "table", "tr", "td", "th", "span"}


@pytest.mark.parametrize("name", sorted(RUNS))
def test_html_is_bare_and_has_no_colour(name: str) -> None:
    parser = _Tags()
    parser.feed(explain(RUNS[name])._repr_html_())
    assert parser.tags <= BARE
    assert parser.open == []
    assert not any(word in style for style in parser.styles for word in ("color", "background", "font"))


def test_an_agent_s_words_are_text() -> None:
    nasty = "<img src=x onerror=alert(1)>\x1b[31m\u202e"
    run = made([(nasty, json.dumps({nasty: nasty}), "error")] * 2, seconds=2.0)
    run.agent_name = nasty
    found = explain(run)
    html = found._repr_html_()
    parser = _Tags()
    parser.feed(html)
    assert parser.tags <= BARE
    assert "&lt;img" in html
    for text in (str(found), repr(found), html):
        assert not {"\x1b", "\u202e"} & set(text)


def test_long_proof_is_cut_in_the_page_and_says_so_and_is_whole_in_rows() -> None:
    found = explain(load("0.7.16/memgpt_loop_maxsteps3"))
    (index,) = [index for index, note in enumerate(found) if note.kind == "repeated_calls"]
    html = found._repr_html_()
    assert html.count("<tr>") == 21
    assert f"… 20 rows more, in explanation[{index}].rows" in html
    assert len(found[index].rows) == 40


def test_text_is_numbered_and_narrow() -> None:
    text = str(explain(RUNS["multi2_tok_server"]))
    assert text == (
        "Completed, 12.3 s, 4 steps, 7,950 tokens in (512 cached), 54 out (22 reasoning),\n"
        "$0.0012.\n"
        "  1  The slowest tool is slow_lookup: 4.77 s, 39% of the run, in 1 call timed by\n"
        "     the server. [1 row of tools_df]"
    )
    for run in RUNS.values():
        assert max(map(len, str(explain(run)).splitlines())) <= 80


def test_nothing_remarkable_and_what_could_not_be_judged() -> None:
    found = explain(RUNS["hello_tok"])
    assert (len(found), bool(found), list(found)) == (0, False, [])
    assert NOTHING in " ".join(str(found).split())
    assert NOTHING in found._repr_html_()
    assert len(found.unknown) == 1
    assert "tokens of the steps" in found.unknown[0]
    assert explain(RUNS["multi2_tok_server"]).unknown == []
    assert "sent the steps whole" in explain(RUNS["multi_step"]).unknown[0]
    (untimed, _) = explain(_untimed()).unknown
    assert "times; this recording has none" in untimed


def _untimed() -> Run:
    run = Run(timed=False)
    for received in RUNS["multi_tok"].log or ():
        run.receive(received._replace(at=-1))
    run.end(None)
    return run


def test_a_run_without_times_is_explained_by_its_calls() -> None:
    assert kinds(_untimed()) == set()
    run = made([LOOKS[0]] * 3)
    again = Run(timed=False)
    for received in run.log or ():
        again.receive(received._replace(at=-1))
    again.end(None)
    assert kinds(again) == {"repeated_calls"}


def test_runs_by_path_and_one_at_a_time(tmp_path: Path) -> None:
    path = RUNS["multi_tok"].save(tmp_path / "run.jsonl")
    assert str(explain(path)) == str(explain(RUNS["multi_tok"])) == str(RUNS["multi_tok"].explain())
    assert isinstance(explain([path]), Explanation)
    with pytest.raises(InputError, match="One run is explained at a time, not 2"):
        explain([RUNS["multi_tok"], RUNS["hello_tok"]])
    with pytest.raises(InputError, match="not int"):
        explain(3)  # type: ignore[arg-type]


def test_a_run_that_goes_on_is_explained_so_far() -> None:
    assert kinds(RUNS["arriving"]) == {"slowest_tool"}
    assert kinds(fixtures.until(RUNS["multi_tok"], 0.1)) == set()


def test_a_run_that_failed_says_why_first() -> None:
    run = record.load_one(BY_NAME["0.16.8/v1_disc_tok"].path)
    told = str(explain(run))
    assert "Nothing remarkable" not in told
    assert "The model's stream broke off in step 1, so the server ended the run." in told
    assert "below" not in told  # where no transcript is
    broken = Run(agent_name="quick")
    broken.fail(3, RunError("HTTPError", "HTTP 401: no such key"))
    assert "HTTP 401: no such key" in str(explain(broken))
    assert "HTTP 401: no such key" in explain(broken)._repr_html_()


def test_a_run_that_was_cut_off_may_go_on_elsewhere() -> None:
    told = " ".join(str(explain(record.load_one(BY_NAME["0.16.8/v1_bg_dropped"].path))).split())
    assert "The agent may still be running on the server." in told


def test_a_run_that_goes_on_is_not_judged_yet() -> None:
    assert "It goes on" in str(explain(Run()))
