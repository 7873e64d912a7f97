"""One row a tool: counts that are the runs', percentiles by the common definition, and NA for what nobody timed."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from folded import RUNS, load
from hypothesis import given
from hypothesis import strategies as st
from recordings import ALL_STREAMS, FIXTURES

from letta_nb import frames, words
from letta_nb.errors import InputError
from letta_nb.log import Received
from letta_nb.run import Run
from letta_nb.summary import tool_summary

COLUMNS = {
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
TIMES = [name for name in COLUMNS if name.startswith("duration_")]


def row(table: pd.DataFrame, name: str) -> dict[str, Any]:
    (found,) = table[table["tool_name"] == name].to_dict("records")
    return found


def assert_columns(table: pd.DataFrame) -> None:
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == COLUMNS
    assert list(table.columns) == list(COLUMNS)


def calls_table(rows: list[tuple[str, str | None, float | None, str | None]]) -> pd.DataFrame:
    """A table of calls of one run: tool, status, seconds, source."""
    columns = dict(
        zip(("tool_name", "tool_status", "duration_s", "duration_source"), zip(*rows, strict=True), strict=True)
    )
    return pd.DataFrame(columns).assign(run_id="run-1", approval=None)


def test_figures_of_each_tool() -> None:
    table = tool_summary([RUNS["multi_tok"], RUNS["multi2_tok_server"], load("0.16.8/v1_loop_maxsteps3_step")])
    assert_columns(table)
    times = [
        call.duration / 1e9
        for name in ("multi_tok", "multi2_tok_server")
        for call in RUNS[name].tool_calls
        if call.name == "slow_lookup"
    ]
    slow = row(table, "slow_lookup")
    assert (slow["call_count"], slow["run_count"], slow["calls_per_run"]) == (2, 2, 1.0)
    assert (slow["error_count"], slow["error_rate"], slow["measured_count"]) == (0, 0.0, 2)
    assert (slow["client_share"], slow["server_share"]) == (0.5, 0.5)
    assert slow["duration_total_s"] == pytest.approx(sum(times))
    for name, percent in (("duration_p50_s", 50), ("duration_p95_s", 95), ("duration_p99_s", 99)):
        assert slow[name] == pytest.approx(np.percentile(times, percent, method="linear"))
    die = row(table, "roll_die")
    # three of its five calls came in steps that were delivered whole: nobody timed them
    assert (die["call_count"], die["run_count"], die["measured_count"]) == (5, 3, 2)
    assert die["calls_per_run"] == pytest.approx(5 / 3)


def test_the_slowest_in_all_comes_first_and_what_nobody_timed_last() -> None:
    rows = [("a", "success", 2.0, "client"), ("b", "success", 1.5, "client"), ("b", "success", 1.5, "client")]
    rows += [("c", "success", None, None), ("d", None, None, None), ("d", None, None, None)]
    table = tool_summary(calls_table(rows))
    assert table["tool_name"].tolist() == ["b", "a", "d", "c"]
    for name in [*TIMES, "client_share", "server_share"]:
        assert table[name].isna().tolist() == [False, False, True, True]
    assert table["measured_count"].tolist() == [2, 1, 0, 0]


def test_what_a_person_denied_did_not_fail() -> None:
    denied, failed = (
        row(tool_summary(RUNS["denied_step"]), "danger"),
        row(tool_summary(RUNS["toolerr_tok"]), "always_fails"),
    )
    assert (denied["call_count"], denied["error_count"], denied["error_rate"]) == (1, 0, 0.0)
    assert (failed["call_count"], failed["error_count"], failed["error_rate"]) == (1, 1, 1.0)


def test_counts_are_those_of_all_recorded_runs() -> None:
    runs = list({(run.run_id or run.uid): run for run in map(load, _names())}.values())
    table = tool_summary(runs)
    assert_columns(table)
    calls = [(run, call) for run in runs for call in run.tool_calls]
    assert len(calls) > 120
    assert table["call_count"].sum() == len(calls)
    assert table["error_count"].sum() == sum(words.failed(call) for _, call in calls) > 5
    assert table["measured_count"].sum() == sum(call.duration is not None for _, call in calls) > 40
    for its in table.to_dict("records"):
        name = None if pd.isna(its["tool_name"]) else its["tool_name"]
        of_tool = [(run, call) for run, call in calls if call.name == name]
        times = [call.duration / 1e9 for _, call in of_tool if call.duration is not None]
        assert its["call_count"] == len(of_tool)
        assert its["run_count"] == len({id(run) for run, _ in of_tool})
        assert pd.isna(its["duration_total_s"]) if not times else its["duration_total_s"] == pytest.approx(sum(times))


def _names() -> list[str]:
    return [path.relative_to(FIXTURES).with_suffix("").as_posix() for path in ALL_STREAMS]


def test_calls_without_a_name_are_a_row() -> None:
    table = tool_summary([load("0.16.8/v1_clienttools_step_2answer"), RUNS["multi_tok"]])
    (nameless,) = table[table["tool_name"].isna()].to_dict("records")
    assert nameless["call_count"] == 3


@pytest.mark.parametrize("x", [[], [Run()], RUNS["hello_tok"]], ids=["nothing", "empty run", "no tools"])
def test_the_same_columns_where_there_is_no_call(x: Any) -> None:
    table = tool_summary(x)
    assert_columns(table)
    assert len(table) == 0
    again = tool_summary(frames.tools_df(x))
    assert_columns(again)
    assert len(again) == 0


@pytest.mark.parametrize(
    "options", [{}, {"backend": "pyarrow"}, {"names": "otel"}, {"names": "otel", "backend": "pyarrow"}]
)
def test_a_table_of_calls_gives_what_its_runs_give(options: Any) -> None:
    runs = [RUNS["multi_tok"], RUNS["toolerr_tok"], RUNS["parallel2_tok_server"], RUNS["denied_step"]]
    table = frames.tools_df(runs, **options)
    pd.testing.assert_frame_equal(tool_summary(table), tool_summary(runs))


def test_a_table_from_a_file_with_rows_in_any_order() -> None:
    runs = [RUNS["multi_tok"], RUNS["toolerr_tok"], RUNS["parallel2_tok_server"]]
    saved = io.StringIO(frames.tools_df(runs).to_csv())
    # plain numpy dtypes, an index of its own, columns of its own
    table = pd.read_csv(saved).assign(mine=1).sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(tool_summary(table), tool_summary(runs))


def test_another_table_says_what_it_lacks() -> None:
    with pytest.raises(InputError, match=r"'tool_name'.*letta_nb\.tools_df"):
        tool_summary(frames.steps_df(RUNS["multi_tok"]))


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    RUNS["multi_tok"].save(tmp_path / "a.jsonl")
    (tmp_path / "b.jsonl").write_text("{", "utf-8")
    with pytest.raises(InputError):
        tool_summary(tmp_path / "*.jsonl")
    with pytest.warns(UserWarning, match="left out"):
        table = tool_summary(tmp_path / "*.jsonl", on_error="collect")
    assert len(table) == 3
    assert [str(tmp_path / "b.jsonl")] == [its["source"] for its in table.attrs["unread"]]


CALL = st.tuples(
    st.sampled_from(["a", "b"]),
    st.sampled_from(["success", "error", None]),
    st.none() | st.integers(0, 10**10).map(lambda ns: ns / 1e9),
    st.just("client"),
)


@given(st.lists(CALL, min_size=1, max_size=30))
def test_percentiles_are_numpy_s_of_what_was_timed(rows: list[Any]) -> None:
    table = tool_summary(calls_table(rows))
    assert table["call_count"].sum() == len(rows)
    for found in table.to_dict("records"):
        times = [seconds for name, _, seconds, _ in rows if name == found["tool_name"] and seconds is not None]
        assert found["measured_count"] == len(times)
        for name, percent in (("duration_p50_s", 50), ("duration_p95_s", 95), ("duration_p99_s", 99)):
            assert (
                pd.isna(found[name])
                if not times
                else found[name] == pytest.approx(np.percentile(times, percent), abs=1e-9)
            )
        assert found["error_count"] == sum(
            name == found["tool_name"] and status == "error" for name, status, *_ in rows
        )


def test_a_hostile_name_is_a_value() -> None:
    run = Run()
    call = {"name": "<b>\u202e$x$", "arguments": "{}", "tool_call_id": "c"}
    event = {"id": "message-1", "step_id": "step-1", "message_type": "tool_call_message", "tool_call": call}
    run.receive(Received(1, "", json.dumps(event | {"tool_calls": [call]})))
    assert tool_summary(run)["tool_name"].tolist() == ["<b>\u202e$x$"]
