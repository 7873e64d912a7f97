"""The same run live, saved, loaded, replayed and read from Parquet: the same six tables, whose totals are their sums.

Whatever a server may send: see `wire_made`, and the wilder `streams` of `test_run`, which no server sends.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from alike import sorted_rows
from generated import replayed, streams
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_made import Made, made_runs

from letta_nb import frames
from letta_nb.columns import TABLES, Grain
from letta_nb.log import Received
from letta_nb.parquet import to_parquet
from letta_nb.replay import Replay
from letta_nb.run import Run

EXAMPLES = settings.default.max_examples  # pyright: ignore[reportOptionalMemberAccess]
Tables = dict[Grain, pd.DataFrame]
SUMMED = (
    "input_tokens output_tokens total_tokens cache_read_input_tokens cache_creation_input_tokens "
    "reasoning_output_tokens"
).split()


def tables(x: Any) -> Tables:
    return {grain: frames.frame(grain, x) for grain in TABLES}


def from_parquet(x: Any, folder: Path) -> Tables:
    """As `parquet` says: pandas gives the dtypes back, and the day of the folder as one column more."""
    to_parquet(x, folder)
    return {grain: pd.read_parquet(folder / grain).drop(columns="start_date") for grain in TABLES}


def assert_same(found: Tables, wanted: Tables) -> None:
    for grain in TABLES:
        pd.testing.assert_frame_equal(found[grain], wanted[grain], check_exact=True, obj=grain)


def assert_identical(run: Run) -> Tables:
    """The tables of a run, which are the same by all ways."""
    live = tables(run)
    with tempfile.TemporaryDirectory() as folder:
        path = run.save(Path(folder) / "run.jsonl")
        assert_same(tables(path), live)
        assert_same(from_parquet(path, Path(folder) / "data"), live)
    if run.timed:
        assert_same(tables(Replay(run, speed=1e12).play()), live)
    again = run.blank(record=True)
    for _ in again.follow(run):
        pass
    assert_same(tables(again), live)
    return live


def total(values: pd.Series[Any]) -> Any:
    """The sum of what is known, NA where nothing is."""
    return values.sum(min_count=1)


def equal(one: Any, other: Any) -> bool:
    return bool(pd.isna(one) and pd.isna(other)) or one == pytest.approx(other, rel=1e-12, abs=1e-9)


def assert_totals(of: Tables, run: Run) -> None:
    """What a run's row says is what the rows of the other tables come to."""
    (row,) = of["runs"].to_dict("records")
    steps, tools, usage, events = (of[grain] for grain in ("steps", "tools", "usage", "events"))
    assert (row["step_count"], row["tool_call_count"], row["event_count"]) == (len(steps), len(tools), len(events))
    assert row["tool_call_count"] == steps["tool_call_count"].sum() + tools["step_index"].isna().sum()
    failed = (tools["tool_status"] == "error") & (tools["approval"] != "denied").fillna(True)
    assert row["tool_error_count"] == failed.sum() == tools["error_message"].notna().sum()
    for name in SUMMED:
        assert equal(row[name], total(usage[name])), name
    assert equal(row["context_tokens"], usage["context_tokens"].iloc[-1] if len(usage) else pd.NA)
    for name, parts in (
        ("llm_duration_s", steps["llm_duration_s"]),
        ("overhead_s", steps["overhead_s"]),
        ("tool_duration_s", tools["duration_s"]),
    ):
        whole = len(parts) > 0 and parts.notna().all()
        assert equal(row[name], parts.sum() if whole else pd.NA), name
    assert equal(row["approval_wait_s"], total(steps["approval_wait_s"]))
    assert equal(row["longest_gap_s"], steps["longest_gap_s"].max())
    assert equal(row["ttft_s"], steps["ttft_s"].iloc[0] if len(steps) else pd.NA)
    if run.timed:
        assert equal(events["gap_s"].sum(), events["received_s"].iloc[-1] if len(events) else 0.0)
        assert (events["received_s"] <= row["duration_s"]).all()
    returned = of["messages"]["message_type"] == "tool_return_message"
    assert sorted(of["messages"]["tool_call_id"][returned].dropna()) == sorted(
        tools["tool_call_id"][tools["tool_result"].notna()].dropna()
    )


def assert_costs(of: Tables, made: Made) -> None:
    """A run costs what its steps do where the server tells of all of them, else what its usage does."""
    (row,) = of["runs"].to_dict("records")
    steps, usage = of["steps"], of["usage"]
    if made.joined and len(steps) and made.ending == "done":
        for name in SUMMED:
            assert equal(total(steps[name]), row[name]), name
        assert equal(row["total_cost_usd"], total(steps["total_cost_usd"])) or steps["total_cost_usd"].isna().any()
    elif len(usage) == 1 and not made.joined:
        assert equal(row["total_cost_usd"], usage["total_cost_usd"].iloc[0])
    assert pd.isna(row["total_cost_usd"]) == pd.isna(row["price_date"])


@given(made_runs())
@settings(max_examples=EXAMPLES // 3)
def test_a_servers_run_is_the_same_by_all_ways_and_its_totals_are_sums(made: Made) -> None:
    run = made.run("a")
    live = assert_identical(run)
    assert_totals(live, run)
    assert_costs(live, made)


@given(streams, st.booleans())
@settings(max_examples=EXAMPLES // 6)
def test_so_is_what_no_server_sends(data: list[str], timed: bool) -> None:
    run = replayed(data, uid="a")[0] if timed else Run(timed=False, uid="a")
    if not timed:
        for text in data:
            run.receive(Received(-1, "", text))
        run.end(None)
    assert_totals(assert_identical(run), run)


@given(st.lists(made_runs(), max_size=4))
@settings(max_examples=EXAMPLES // 10)
def test_many_runs_are_the_rows_of_each(many: list[Made]) -> None:
    runs = [made.run(f"r{number}", days=number % 2) for number, made in enumerate(many)]
    whole = tables(runs)
    for grain in TABLES:
        alone = pd.concat([frames.frame(grain, run) for run in runs or [[]]], ignore_index=True)
        pd.testing.assert_frame_equal(whole[grain], alone, check_exact=True)
    with tempfile.TemporaryDirectory() as folder:
        for number, run in enumerate(runs):
            run.save(Path(folder) / f"{number}.jsonl")
        if runs:
            assert_same(tables(f"{folder}/*.jsonl"), whole)
            back = from_parquet(f"{folder}/*.jsonl", Path(folder) / "data")
            # parts lie by day and are called by what is in them: the order of the files is nobody's
            assert_same(*({grain: sorted_rows(of[grain]) for grain in TABLES} for of in (back, whole)))
