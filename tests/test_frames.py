"""Frames: the promised columns for any input, ids that join, figures equal to the server's own, and honest NA."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from folded import RUNS, fixtures, load
from generated import streams
from hypothesis import given, settings
from recordings import ALL_STREAMS, EXPECTED, FIXTURES, Expected

import letta_nb
from letta_nb import frames, record
from letta_nb.columns import TABLES, Grain
from letta_nb.errors import InputError
from letta_nb.log import Received
from letta_nb.run import Run
from letta_nb.views import Numbers

GRAINS: list[Grain] = list(TABLES)
IDS = {"run_id", "agent_id", "conversation_id"}
TOKENS = (
    "input_tokens output_tokens total_tokens cache_read_input_tokens cache_creation_input_tokens "
    "reasoning_output_tokens context_tokens"
).split()
# the names that docs, notebooks and other people's code rely on
PROMISED: dict[Grain, list[str]] = {
    "runs": [*TOKENS, "start_time", "end_time", "duration_s", "ttft_s", "error_type", "error_message", "stop_reason"],
    "steps": [
        *TOKENS,
        *("step_id step_index start_time end_time duration_s ttft_s llm_duration_s tool_duration_s").split(),
        *("duration_source stop_reason error_type error_message total_cost_usd price_date").split(),
    ],
    "tools": (
        "step_id message_id step_index tool_name tool_call_id tool_arguments tool_result tool_status stdout stderr "
        "start_time end_time duration_s duration_source error_type error_message"
    ).split(),
    "usage": [*TOKENS, "total_cost_usd", "price_date"],
    "messages": "step_id message_id step_index message_type content".split(),
    "events": "step_id message_id step_index received_s gap_s seq_id raw_json".split(),
}


def na(values: Any) -> list[bool]:
    return pd.isna(values).tolist()


def with_server(name: str) -> Run:
    return RUNS[f"{name}_tok_server"]


def test_what_is_no_run_is_said_with_what_to_pass() -> None:
    async def fetched() -> Any:
        yield Run()

    wrong: list[tuple[Any, str]] = [
        (letta_nb.Client("http://127.0.0.1:1"), r"not Client\. A server's runs are client.runs\("),
        (fetched(), r"not async_generator\. Collect them first: \[run async for run in runs\]"),
        (7, r"not int\.$"),
        (pd.DataFrame({"run_id": ["run-1"]}), r"not DataFrame\.$"),
        ({"run-1": Run()}, r"not dict\. Pass its values: list\(runs.values\(\)\)"),
    ]
    for x, words in wrong:
        with pytest.raises(InputError, match=words):
            frames.runs_df(x)


# -- columns -----------------------------------------------------------------------------------------------------------


def assert_columns(grain: Grain, table: pd.DataFrame) -> None:
    columns = TABLES[grain][1]
    assert list(table.columns) == [column.name for column in columns]
    assert [str(dtype) for dtype in table.dtypes] == [column.dtype for column in columns]
    assert list(table.index) == list(range(len(table)))


@pytest.mark.parametrize("grain", GRAINS)
def test_the_promised_columns_are_there(grain: Grain) -> None:
    names = [column.name for column in TABLES[grain][1]]
    assert {*IDS, *PROMISED[grain]} <= set(names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize("empty", [[], [Run()], [Run(timed=False), Run()]], ids=["nothing", "empty run", "two"])
def test_the_same_columns_whatever_is_in_it(grain: Grain, empty: list[Run]) -> None:
    table = frames.frame(grain, empty)
    assert_columns(grain, table)
    assert len(table) == (len(empty) if grain == "runs" else 0)


@pytest.mark.parametrize("path", ALL_STREAMS, ids=lambda path: path.stem)
def test_the_same_columns_for_every_recording(path: Path) -> None:
    run = record.load_one(path)
    for grain in GRAINS:
        table = frames.frame(grain, run)
        assert_columns(grain, table)
        assert not any(na(table["run_id"]))


def test_ids_join() -> None:
    runs_by_id = {run.run_id or run.uid: run for run in map(record.load_one, ALL_STREAMS)}
    tables = {grain: frames.frame(grain, runs_by_id.values()) for grain in GRAINS}
    runs, steps = tables["runs"], tables["steps"]
    assert len(runs) == len(runs_by_id) > 90
    for grain in GRAINS[1:]:
        merged = runs.merge(tables[grain], on="run_id", validate="one_to_many", suffixes=("_run", ""))
        assert len(merged) == len(tables[grain])
    for grain in ("tools", "messages", "events"):
        inside = tables[grain][tables[grain]["step_index"].notna()]
        merged = steps.merge(inside, on=["run_id", "step_index"], validate="one_to_many", suffixes=("_step", ""))
        assert len(merged) == len(inside)
        merged = steps.merge(inside, on=["run_id", "step_id"], validate="one_to_many", suffixes=("_step", ""))
        assert (merged["step_index_step"] == merged["step_index"]).all()
        assert len(merged) == len(inside)


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda expected: expected.name)
def test_rows_are_never_capped_and_texts_are_whole(expected: Expected) -> None:
    run = record.load_one(expected.path)
    assert len(run.steps_df()) == expected.steps
    assert len(run.tools_df()) == len(expected.story.calls)
    assert len(run.events_df()) == run.event_count
    assert len(run.usage_df()) == len(run.usage_reports)
    messages = run.messages_df()
    said = messages[messages["message_type"] == "assistant_message"]["content"]
    assert tuple(said) == expected.story.says
    returns = messages[messages["message_type"] == "tool_return_message"]
    assert len(returns) == sum(call.status is not None for call in expected.story.calls)


def test_several_runs_keep_their_rows_apart(tmp_path: Path) -> None:
    names = ("v1_multi_tok", "v1_parallel_step", "v1_hello_tok")
    paths = [FIXTURES / f"0.16.8/{name}.sse" for name in names]
    steps = frames.steps_df(paths)
    assert steps.groupby("run_id", sort=False).size().tolist() == [4, 2, 1]
    alone = pd.concat([frames.steps_df(path) for path in paths], ignore_index=True)
    pd.testing.assert_frame_equal(steps, alone)
    for path in paths:
        record.load_one(path).save(tmp_path / f"{path.stem}.jsonl")
    pd.testing.assert_frame_equal(
        frames.steps_df(str(tmp_path / "*.jsonl")),
        frames.steps_df(sorted(tmp_path.iterdir())),
    )


@given(streams)
@settings(max_examples=30)
def test_any_stream_makes_the_six_tables(stream: list[str]) -> None:
    run = Run()
    for number, data in enumerate(stream):
        run.receive(Received(number, "", data))
    for _ in range(2):
        for grain in GRAINS:
            assert_columns(grain, frames.frame(grain, run))
        run.end(len(stream))


# -- input that cannot be used -----------------------------------------------------------------------------------------


def test_two_runs_of_one_id_are_refused() -> None:
    run = load("0.16.8/v1_bg_multi_tok")
    resumed = load("0.16.8/v1_bg_resume_after0")
    with pytest.raises(InputError, match=rf"Two runs have the id {run.run_id}"):
        frames.runs_df([run, resumed])


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not int"):
        frames.runs_df(3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="no file"):
        frames.runs_df("nowhere.jsonl")
    with pytest.raises(InputError, match="No file matches"):
        frames.runs_df(str(tmp_path / "*.jsonl"))


def test_pandas_is_not_imported_before_it_is_used() -> None:
    code = "import sys, letta_nb.frames; sys.exit('pandas' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("grain", GRAINS)
def test_half_a_surrogate_pair_stops_no_table(grain: Grain) -> None:
    run = Run({"messages": [{"role": "user", "content": "half \ud800"}]})
    for data in ("\udfff no JSON", '{"message_type":"assistant_message","id":"m","content":"a"}'):
        run.receive(Received(1, "", data))
    run.end(2)
    assert_columns(grain, frames.frame(grain, run))
    assert frames.messages_df(run)["content"][0] == "half \\ud800"


# -- figures, against the server's own answers -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["multi2", "parallel2"])
def test_tokens_of_steps_are_the_servers(name: str) -> None:
    run = with_server(name)
    rows: dict[str, Any] = {row["id"]: row for row in fixtures.server_rows(f"v1_{name}")}
    steps = run.steps_df()
    assert set(steps["step_id"]) == set(rows)
    for step in steps.to_dict("records"):
        row = rows[step["step_id"]]
        assert step["input_tokens"] == row["prompt_tokens"]
        assert step["output_tokens"] == row["completion_tokens"]
        assert step["total_tokens"] == row["total_tokens"]
        assert step["cache_read_input_tokens"] == row["cached_input_tokens"]
        assert step["reasoning_output_tokens"] == row["reasoning_tokens"]
        assert pd.isna(step["cache_creation_input_tokens"])
        assert step["llm_duration_s"] == pytest.approx(row["llm_request_ns"] / 1e9)
        assert step["duration_source"] == "server"
        assert step["model"] == "gpt-4o-mini"
    # and they add up to what the stream reported
    for name_ in (
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "cache_read_input_tokens",
        "reasoning_output_tokens",
    ):
        assert steps[name_].sum() == run.usage_df()[name_].sum() == run.usage_df()[name_][0]


def test_usage_of_a_run_is_the_servers() -> None:
    body = json.loads((FIXTURES / "0.16.8/v1_multi2_run_usage.json").read_text())["body"]
    (usage,) = load("0.16.8/v1_multi2_tok").usage_df().to_dict("records")
    assert (usage["output_tokens"], usage["input_tokens"], usage["total_tokens"]) == (
        body["completion_tokens"],
        body["prompt_tokens"],
        body["total_tokens"],
    )


def test_tool_latency_by_arrival_is_the_servers_within_its_commit() -> None:
    by_arrival = load("0.16.8/v1_multi2_tok").tools_df()
    by_server = with_server("multi2").tools_df()
    assert by_arrival["duration_source"].tolist() == ["client"] * 3
    assert by_server["duration_source"].tolist() == ["server"] * 3
    overhead = by_arrival["duration_s"] - by_server["duration_s"]
    assert ((overhead >= 0) & (overhead < 0.06)).all()


def test_times_of_a_step() -> None:
    run = load("0.16.8/v1_multi2_tok")
    steps = run.steps_df()
    assert steps["start_time"][0] == run.started
    assert steps["start_time"][1:].tolist() == steps["end_time"][:-1].tolist()
    lengths = (steps["end_time"] - steps["start_time"]).dt.total_seconds()
    assert lengths.tolist() == pytest.approx(steps["duration_s"].tolist(), abs=1e-6)
    assert steps["ttft_s"].tolist() == pytest.approx([0.20774, 0.05337, 0.05147, 0.05923], abs=1e-4)
    assert steps["llm_duration_s"][0] == pytest.approx(0.26021)
    assert steps["duration_source"].tolist() == ["client"] * 4
    (row,) = frames.runs_df(run).to_dict("records")
    assert row["duration_s"] == pytest.approx(12.26097)
    assert row["ttft_s"] == pytest.approx(0.20774)


def test_events_carry_their_time_and_gap() -> None:
    run = load("0.16.8/v1_multi_tok")
    events = run.events_df()
    assert run.log is not None
    assert events["raw_json"].tolist() == [received.data for received in run.log]
    assert events["received_s"].tolist() == pytest.approx([received.at / 1e9 for received in run.log])
    assert events["gap_s"].cumsum().tolist() == pytest.approx(events["received_s"].tolist())
    assert events["message_type"].iloc[-3:].tolist()[:2] == ["stop_reason", "usage_statistics"]
    assert na(events["message_type"])[-1]
    seq = load("0.16.8/v1_bg_multi_tok").events_df()["seq_id"].dropna()
    assert seq.tolist() == sorted(seq)


# -- NA: not reported, never 0 -----------------------------------------------------------------------------------------


def test_steps_that_come_whole_say_nothing_of_the_inside() -> None:
    run = load("0.16.8/v1_multi_step")
    tools, steps = run.tools_df(), run.steps_df()
    assert tools["tool_status"].tolist() == ["success"] * 3
    for name in ("duration_s", "duration_source", "start_time"):
        assert all(na(tools[name]))
    for name in ("ttft_s", "llm_duration_s", "tool_duration_s", "duration_source"):
        assert all(na(steps[name]))
    assert not any(na(steps["duration_s"]))


def test_calls_that_returned_together_have_no_time_of_their_own() -> None:
    for run in (load("0.16.8/v1_parallel2_tok"), with_server("parallel2")):
        tools = run.tools_df()
        assert len(tools) == 3
        assert all(na(tools["duration_s"]))
        assert not any(na(tools["end_time"]))
        assert na(run.steps_df()["tool_duration_s"]) == [True, True]


def test_a_recording_without_times_has_none(tmp_path: Path) -> None:
    (tmp_path / "bare.sse").write_bytes((FIXTURES / "0.16.8/v1_multi_tok.sse").read_bytes())
    run = record.load_one(tmp_path / "bare.sse")
    for grain in GRAINS:
        table = frames.frame(grain, run)
        timed = [name for name in table.columns if name.endswith(("_time", "_s"))]
        assert timed
        assert table[timed].isna().all(axis=None)


def test_tokens_that_were_not_reported_are_na() -> None:
    usage = load("0.7.16/memgpt_multi_step").usage_df()
    assert na(usage[["cache_read_input_tokens", "reasoning_output_tokens", "context_tokens"]].iloc[0]) == [True] * 3
    assert usage["input_tokens"][0] > 0
    steps = load("0.16.8/v1_multi_tok").steps_df()
    assert steps[TOKENS].isna().all(axis=None)
    failed = frames.runs_df(load("0.16.8/v1_err500_tok"))
    assert failed[TOKENS].isna().all(axis=None)
    assert failed["step_count"][0] == 0


def test_pending_calls_and_their_answers() -> None:
    asked = load("0.16.8/v1_approve_tok_1request").tools_df()
    assert asked[["tool_name", "approval"]].to_numpy().tolist() == [["danger", "pending"]]
    assert na(asked[["tool_status", "tool_result", "duration_s", "end_time"]].iloc[0]) == [True] * 4
    answered = load("0.16.8/v1_approve_tok_2answer").tools_df()
    assert answered["tool_call_id"][0] == asked["tool_call_id"][0]
    assert answered["tool_status"][0] == "success"
    assert na(answered["duration_s"]) == [True]


def test_what_was_denied_before_is_no_failure_of_the_run_that_hears_of_it() -> None:
    """By the request that was sent, as recorded, and by what a server lists of the run."""
    sent = load("0.16.8/v1_deny_step_2answer")
    (returned,) = [event for event in sent.events if getattr(event, "message_type", "") == "tool_return_message"]
    item = {"type": "approval", "approve": False, "tool_call_id": sent.tool_calls[0].tool_call_id, "reason": "no"}
    said = {"message_type": "approval_response_message", "id": "message-1", "approvals": [item]}
    listed = Run()
    for event in (said, returned.model_dump()):
        listed.receive(Received(-1, "", json.dumps(event)))
    listed.end(None)
    for run, reason in ((sent, "too risky"), (listed, "no")):
        assert run.tools_df()[["approval", "tool_status"]].to_numpy().tolist() == [["denied", "error"]]
        assert run.tool_calls[0].reason == reason
        assert run.runs_df()["tool_error_count"][0] == 0
        assert "tool call failed" not in str(letta_nb.explain(run))


def test_a_resumed_stream_has_no_latencies() -> None:
    run = load("0.16.8/v1_bg_resume_after0")
    assert all(na(run.tools_df()["duration_s"]))
    assert all(na(run.steps_df()["ttft_s"]))


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("0.16.8/v1_toolerr_tok", "ValueError", 'scripted tool failure: test "quotes" & unicode é'),
        ("0.16.8/v1_badargs_tok", "TypeError", "get_weather() missing 1 required positional argument: 'city'"),
        ("0.7.16/memgpt_mem_tok", None, "No function named memory_insert"),
    ],
)
def test_a_failed_tool_names_its_error(name: str, kind: str | None, message: str) -> None:
    (row,) = load(name).tools_df()[["tool_status", "error_type", "error_message"]].astype(object).to_dict("records")
    assert row["tool_status"] == "error"
    assert (None if pd.isna(row["error_type"]) else row["error_type"]) == kind
    assert row["error_message"] == message


def test_an_unknown_tool_names_its_error() -> None:
    (row,) = load("0.16.8/v1_unknowntool_step").tools_df().to_dict("records")
    assert row["error_type"] == "ToolConstraintError"
    assert row["error_message"].startswith("Cannot call no_such_tool")


def test_a_failed_run_names_its_error_and_the_step() -> None:
    run = load("0.16.8/v1_disc_tok")
    (row,) = frames.runs_df(run).to_dict("records")
    assert (row["status"], row["stop_reason"], row["error_type"]) == ("failed", "llm_api_error", "internal_error")
    assert "incomplete chunked read" in row["error_message"]
    assert run.steps_df()["error_type"].tolist() == ["internal_error"]
    # this one broke in a step of which nothing came
    assert all(na(load("0.16.8/v1_err2_tok").steps_df()["error_type"]))


# -- where the time of a step and a run went ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(RUNS))
def test_a_run_is_the_sum_of_its_steps_and_calls(name: str) -> None:
    run = RUNS[name]
    (row,) = frames.runs_df(run).to_dict("records")
    steps, tools = run.steps_df(), run.tools_df()
    for column in ("llm_duration_s", "overhead_s"):
        known = len(steps) > 0 and steps[column].notna().all()
        assert pd.isna(row[column]) != known
        assert not known or row[column] == pytest.approx(steps[column].sum())
    known = len(tools) > 0 and tools["duration_s"].notna().all()
    assert pd.isna(row["tool_duration_s"]) != known
    assert not known or row["tool_duration_s"] == pytest.approx(tools["duration_s"].sum())
    assert row["approval_wait_s"] == steps["approval_wait_s"].sum() or not steps["approval_wait_s"].notna().any()
    assert row["longest_gap_s"] == steps["longest_gap_s"].max() or pd.isna(steps["longest_gap_s"].max())
    assert row["step_count"] == len(steps)
    assert row["tool_call_count"] == len(tools)


@pytest.mark.parametrize("name", sorted(RUNS))
def test_a_step_is_its_model_its_tool_its_waiting_and_what_is_left(name: str) -> None:
    steps = RUNS[name].steps_df().fillna({"tool_duration_s": 0.0, "approval_wait_s": 0.0})
    known = steps[steps["overhead_s"].notna()]
    parts = known[["llm_duration_s", "tool_duration_s", "approval_wait_s", "overhead_s"]].sum(axis=1)
    assert parts.tolist() == pytest.approx(known["duration_s"].tolist())
    assert (known["overhead_s"] >= 0).all()


def test_what_a_server_does_around_a_tool_is_overhead_where_it_tells_the_tools_time() -> None:
    by_arrival, by_server = load("0.16.8/v1_multi2_tok").steps_df(), with_server("multi2").steps_df()
    assert all(na(by_arrival["overhead_s"].iloc[:3]))  # it is there, within the tool's time
    assert 0 < by_arrival["overhead_s"].iloc[3] < 0.1  # after the answer, of a step without a call
    assert ((by_server["overhead_s"] > 0.001) & (by_server["overhead_s"] < 0.3)).iloc[:3].all()


def test_figures_that_no_server_can_mean_leave_no_overhead() -> None:
    run = load("0.16.8/v1_multi2_tok")
    most = 2**63 - 1
    rows = fixtures.server_rows("v1_multi2")
    run.join_server({"steps": [{**row, "llm_request_ns": most, "tool_execution_ns": most} for row in rows]})
    steps = run.steps_df()
    assert steps["llm_duration_s"].tolist() == [most / 1e9] * 4
    assert all(na(steps["overhead_s"]))


@pytest.mark.parametrize("values", [[], [None], [1, None, 2**62 + 1], [2**62 + 1, 3], [None, 5]])
def test_numbers_are_what_they_were_made_of(values: list[int | None]) -> None:
    numbers = Numbers.of(values)
    assert list(numbers) == [numbers[row] for row in range(len(numbers))] == values
    assert list(numbers.otherwise(Numbers.of([7] * len(values)))) == [7 if value is None else value for value in values]
    assert list(Numbers.of([7] * len(values)) - numbers) == [None if value is None else 7 - value for value in values]


def test_the_longest_gap_lies_within_the_reply() -> None:
    run = load("0.16.8/v1_multi2_tok")
    steps, events = run.steps_df(), run.events_df()
    for step in steps.itertuples():
        said = events[(events["step_index"] == step.step_index) & ~events["message_type"].str.contains("return")]
        assert step.longest_gap_s == pytest.approx(said["gap_s"].iloc[1:].max())
    assert all(na(load("0.16.8/v1_multi_step").steps_df()["longest_gap_s"]))


def test_time_per_token_needs_both_sides() -> None:
    for step in with_server("multi2").steps_df().itertuples():
        assert 0 < step.time_per_output_token_s * (step.output_tokens - 1) < step.llm_duration_s
    assert all(na(load("0.16.8/v1_multi2_tok").steps_df()["time_per_output_token_s"]))


@pytest.mark.parametrize(
    ("pieces", "reasoning", "tokens", "each"),
    [
        # three pieces in 1 s, the first at 20 s
        ("assistant assistant assistant", None, 101, 0.01),
        # all of the reasoning was over before the first of them
        ("assistant assistant assistant", 2000, 2101, 0.01),
        # the reasoning is what came
        ("reasoning reasoning assistant", 80, 101, 0.01),
        # a piece is no time, and a token no rate
        ("assistant", None, 60, None),
        ("assistant assistant", 60, 61, None),
    ],
)
def test_time_per_token_is_of_the_tokens_that_came(
    pieces: str, reasoning: int | None, tokens: int, each: float | None
) -> None:
    run, at = Run({"input": "Go.", "stream_tokens": True}), 20_000_000_000
    for kind in pieces.split():
        ids = {"id": f"message-{kind}", "step_id": "step-1", "run_id": "run-1"}
        said = {"reasoning": "Hm."} if kind == "reasoning" else {"content": "So."}
        run.receive(Received(at, "", json.dumps({"message_type": f"{kind}_message", **ids, **said})))
        at += 500_000_000
    run.receive(Received(at, "", json.dumps({"message_type": "stop_reason", "stop_reason": "end_turn"})))
    run.end(at)
    run.join_server({"steps": [{"id": "step-1", "completion_tokens": tokens, "reasoning_tokens": reasoning}]})
    found = run.steps_df()["time_per_output_token_s"]
    assert found.tolist() == [pytest.approx(each)] if each else all(na(found))


def test_waiting_for_a_person_is_told_of_the_call_the_step_and_the_run() -> None:
    run = RUNS["answered_tok"]
    (waited,) = run.tools_df()["approval_wait_s"].dropna()
    call = next(call for call in run.tool_calls if call.approval)
    assert call.answered_at is not None
    assert call.last_at is not None
    assert waited == pytest.approx((call.answered_at - call.last_at) / 1e9)
    assert run.steps_df()["approval_wait_s"].dropna().tolist() == [waited]
    assert frames.runs_df(run)["approval_wait_s"].tolist() == [waited]
    assert all(na(load("0.16.8/v1_multi_tok").tools_df()["approval_wait_s"]))
