"""Every recording whose server was asked afterwards, against its answers: tokens equal, latencies where a wire tells.

The answers lie beside the streams, a file each, and are found by what they were asked for: a new one is compared too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd
import pytest
from recordings import ALL_STREAMS, FIXTURES

from letta_nb import frames, record
from letta_nb.run import Run

Row = dict[str, Any]
TOKENS = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "total_tokens": "total_tokens",
    "cache_read_input_tokens": "cached_input_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
    "reasoning_output_tokens": "reasoning_tokens",
}
CLOSE = 0.05
# what a server does between the end of a tool and sending its return: it commits, 44 to 59 ms on these recordings
COMMIT = 0.06
# seconds by which a server's figure of a whole run is another than the stream's length, where that is more than CLOSE
LONGER = {
    "v2_hello_tok": 0.36,  # the first run of an agent: the server went on after the stream was closed
    "v1_multi_step": 0.07,  # of `/metrics`, which counts the run's own end too
    "v2_multi_step": 0.08,
    "v1_bg_hello_step": -0.09,  # a stored stream, which is closed when its reader next looks
}


def answers() -> Iterator[tuple[str, Any]]:
    """Path and body of everything a server answered in JSON."""
    for path in sorted(FIXTURES.glob("*/*.json")):
        facts = json.loads(path.read_bytes())
        if isinstance(facts, dict) and facts.get("status") == 200 and facts.get("body"):
            yield facts["request"]["path"], facts["body"]


class Known(NamedTuple):
    """What servers told: rows of steps by run, metrics by step, rows of runs and usage by run."""

    steps: dict[str, list[Row]]
    metrics: dict[str, Row]
    runs: dict[str, Row]
    usage: dict[str, Row]


def known() -> Known:
    found = Known({}, {}, {}, {})
    for path, body in answers():
        run_id = (re.search(r"run-[0-9a-f-]+", path) or [""])[0]
        if re.fullmatch(r"/v1/runs/[^/]+/steps", path.partition("?")[0]):
            found.steps[run_id] = body
        elif re.fullmatch(r"/v1/steps/[^/]+/metrics", path):
            found.metrics[body["id"]] = body
        elif re.fullmatch(r"/v1/runs/[^/]+/usage", path):
            found.usage[run_id] = body
        elif re.fullmatch(r"/v1/runs/[^/]+/metrics", path):
            found.runs.setdefault(run_id, {})["total_duration_ns"] = body["run_ns"]
        elif re.fullmatch(r"/v1/runs/run-[^/?]+", path):
            found.runs.setdefault(run_id, {}).update({key: value for key, value in body.items() if value is not None})
        elif path.startswith("/v1/runs/?"):
            for row in body:
                found.runs.setdefault(row["id"], {}).update(row)
    return found


KNOWN = known()
RUNS: dict[str, Run] = {path.stem: record.load_one(path) for path in ALL_STREAMS if path.parent.name == "0.16.8"}
ASKED = sorted(name for name, run in RUNS.items() if run.run_id in KNOWN.steps)
TOTALS = sorted(
    name
    for name, run in RUNS.items()
    if KNOWN.runs.get(run.run_id or "", {}).get("total_duration_ns")
    and "resume" not in name.removesuffix("_for_resume")  # a stored stream comes faster than it was made
    and run.status != "interrupted"
)


def joined(name: str) -> tuple[Run, dict[str, Row]]:
    """A recording with its server's rows joined, and the rows by step_id."""
    run = record.load_one(FIXTURES / f"0.16.8/{name}.sse")
    rows = [row | KNOWN.metrics.get(row["id"], {}) for row in KNOWN.steps[run.run_id or ""]]
    run.join_server({"steps": rows})
    return run, {row["id"]: row for row in rows}


def plain(value: Any) -> Any:
    return None if pd.isna(value) else value


def test_the_recordings_that_can_be_checked() -> None:
    assert ASKED == ["v1_multi2_tok", "v1_multi_step", "v1_parallel2_tok", "v2_multi_step"]
    assert set(KNOWN.steps) == {RUNS[name].run_id for name in ASKED}
    stepped = {step.step_id for name in ASKED for step in RUNS[name].steps}
    assert set(KNOWN.metrics) <= stepped
    assert len(KNOWN.metrics) == 8
    assert len(TOTALS) >= 14
    assert set(LONGER) <= set(TOTALS)


@pytest.mark.parametrize("name", ASKED)
def test_tokens_are_the_servers(name: str) -> None:
    run, rows = joined(name)
    steps = run.steps_df()
    assert steps["step_id"].tolist() == [step.step_id for step in RUNS[name].steps]
    assert set(steps["step_id"]) == set(rows)
    for step in steps.to_dict("records"):
        row = rows[step["step_id"]]
        assert {ours: plain(step[ours]) for ours in TOKENS} == {ours: row[theirs] for ours, theirs in TOKENS.items()}
        assert (plain(step["model"]), plain(step["stop_reason"])) == (row["model"], row["stop_reason"])
    # the stream reports the whole run: the same, without having asked for a step
    (streamed,) = frames.runs_df(RUNS[name]).to_dict("records")
    for ours in TOKENS:
        # 0.16.8 reports 0 tokens written to a cache of steps whose rows say null
        assert (plain(streamed[ours]) or 0) == steps[ours].sum(), ours
        assert steps[ours].notna().any() or not plain(streamed[ours])


@pytest.mark.parametrize("run_id", sorted(KNOWN.usage))
def test_usage_of_a_run_is_the_servers(run_id: str) -> None:
    (run,) = (run for run in RUNS.values() if run.run_id == run_id)
    (row,) = frames.runs_df(run).to_dict("records")
    usage = KNOWN.usage[run_id]
    for ours in ("input_tokens", "output_tokens", "total_tokens"):
        assert row[ours] == usage[TOKENS[ours]]


@pytest.mark.parametrize("name", ASKED)
def test_latencies_are_the_servers_where_it_was_asked(name: str) -> None:
    run, rows = joined(name)
    tools = run.tools_df()
    for step in run.steps_df().to_dict("records"):
        row = rows[step["step_id"]]
        calls = tools[tools["step_id"] == step["step_id"]]
        if "llm_request_ns" in row:
            assert step["llm_duration_s"] == pytest.approx(row["llm_request_ns"] / 1e9, abs=1e-6)
            assert step["duration_source"] == "server"
        else:  # delivered whole, and its metrics were not asked for
            assert plain(step["llm_duration_s"]) is None
        told = row.get("tool_execution_ns")
        if told is not None and len(calls) == 1:
            assert calls["duration_s"].tolist() == pytest.approx([told / 1e9], abs=1e-6)
            assert calls["duration_source"].tolist() == ["server"]
        else:  # of several calls it tells the longest alone
            assert calls["duration_s"].isna().all()
        if "step_ns" in row:  # from the request or the step before, so that it holds the server's own time and more
            assert row["step_ns"] / 1e9 <= step["duration_s"]


@pytest.mark.parametrize("name", ASKED)
def test_latencies_by_arrival_are_the_servers_or_none(name: str) -> None:
    run = RUNS[name]
    tools = run.tools_df()
    for number, step in enumerate(run.steps_df().to_dict("records")):
        row = KNOWN.metrics.get(step["step_id"], {})
        calls = tools[tools["step_id"] == step["step_id"]]
        if run.delivery == "step" or len(calls) > 1:
            assert calls["duration_s"].isna().all()
        elif len(calls):
            assert 0 <= calls["duration_s"].iloc[0] - row["tool_execution_ns"] / 1e9 < COMMIT
        if run.delivery == "step":
            assert plain(step["llm_duration_s"]) is None
        elif number:  # the first counts from the request, and the server prepares before it asks the model
            assert 0 <= step["llm_duration_s"] - row["llm_request_ns"] / 1e9 < CLOSE


@pytest.mark.parametrize("name", TOTALS)
def test_a_run_took_and_ended_as_the_server_says(name: str) -> None:
    (row,) = frames.runs_df(RUNS[name]).to_dict("records")
    told = KNOWN.runs[row["run_id"]]
    assert (row["status"], row["stop_reason"]) == (told["status"], told["stop_reason"])
    assert told["total_duration_ns"] / 1e9 - row["duration_s"] == pytest.approx(LONGER.get(name, 0), abs=CLOSE)
