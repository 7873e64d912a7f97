"""The measurements of large pages work: tiny ones, so that what `make bench` prints is what it says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import big_runs
import page_grows
import page_saved

from letta_nb.run import Run

HERE = Path(__file__).parent
needs_chromium = pytest.mark.skipif(
    not (os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")),
    reason="no Chromium on this machine",
)


def test_the_runs_are_as_large_as_they_say() -> None:
    calls = big_runs.finished(big_runs.call_events(110))
    assert (len(calls.steps), len(calls.tool_calls), len(calls.log or ())) == (110, 110, 332)
    assert [call.index for call in calls.tool_calls if call.status == "error"] == [12, 206]
    assert calls.status == "completed"
    tokens = big_runs.finished(big_runs.token_events(1000, rate=400))
    assert [len(entry.text.split()) for entry in tokens.entries if entry.kind != "user"] == [500, 500]
    assert tokens.ended_at == (300 + 999 * 2.5 + 1) * big_runs.MS


def test_a_page_is_told_all_of_a_run_in_order_a_message_every_33_ms() -> None:
    run = Run({"messages": [{"role": "user", "content": "go"}], "stream_tokens": True})
    told = list(page_grows.batches(run, big_runs.token_events(2000, rate=400)))
    assert [batch["seq"] for batch in told] == [*range(1, len(told) + 1)]
    assert len(told) == pytest.approx(2000 / 400 / 0.035, rel=0.05)
    changes: list[dict[str, Any]] = [change for batch in told for change in batch["changes"]]
    texts = {
        index: "".join(its["text"] for its in changes if "text" in its and its["entry"] == index) for index in (1, 2)
    }
    assert texts == {entry.index: entry.text for entry in run.entries if entry.index}


def test_a_trace_tells_the_tasks_of_the_page_from_a_mark_on() -> None:
    trace = page_saved.Trace()
    here = {"pid": 1, "tid": 2}
    trace.events += [
        {"name": "begun", "ph": "I", "ts": 5_000, **here},
        {"name": "painted", "ph": "I", "ts": 40_000, **here},
        {"name": "RunTask", "ph": "X", "ts": 0, "dur": 4_000, "tdur": 4_000, **here},
        {"name": "RunTask", "ph": "X", "ts": 4_500, "dur": 20_000, "tdur": 7_000, **here},
        {"name": "RunTask", "ph": "X", "ts": 30_000, "dur": 1_000, "tdur": 900, **here},
        {"name": "RunTask", "ph": "X", "ts": 41_000, "dur": 30_000, "tdur": 30_000, **here},
        {"name": "RunTask", "ph": "X", "ts": 6_000, "dur": 90_000, "tdur": 90_000, "pid": 1, "tid": 3},
        {"name": "RunTask", "ph": "B", "ts": 80_000, **here},
        {"name": "Layout", "ph": "X", "ts": 50_000, "dur": 99_000, **here},
    ]
    assert trace.longest("begun") == 30.0
    assert trace.cpu("begun", "painted") == 7.9


@needs_chromium
def test_a_saved_page_is_measured_as_it_is_used(tmp_path: Path) -> None:
    html, events = page_saved.html_of("calls", 15)
    path = tmp_path / "run.html"
    path.write_text(page_saved.marked(html), encoding="utf-8")
    with page_saved.running_chromium() as browser:
        figures = page_saved.measured(browser, path.as_uri(), events)
    assert events == 47
    assert all(value > 0 for value in figures.values())
    assert figures.keys() == {
        *(
            "contentful_ms",
            "opened_ms",
            "view_ms",
            "view_cpu_ms",
            "scrub_ms",
            "open_ms",
            "scroll_ms",
            "raw_ms",
            "filter_ms",
        ),
        *("elements", "heap_mb", "nodes"),
    }


@needs_chromium
def test_a_page_that_grows_is_measured() -> None:
    command = [sys.executable, str(HERE / "page_grows.py"), "calls", "150"]
    figures = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    # of 50 calls, 45 are told after the first measurement: each row stands in the page, or its step does
    assert figures["nodes_grown"] >= 45
    assert 0.01 < figures["told_mb"] < 0.1
