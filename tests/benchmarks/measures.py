"""One measurement a process: `python measures.py NAME NUMBER URL` prints its figures as JSON.

CPU is this process's own, all threads, so that the server's work and waiting do not count.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from loopback import agent, recorded

Figures = dict[str, float]
BODY = {"messages": [{"role": "user", "content": "go"}], "stream_tokens": True}


def resident_mb() -> float:
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def consumed(events: Iterable[Any], number: int, warm: int = 1000) -> Figures:
    """Read all events: CPU in all, memory grown since the first thousand."""
    start, before, count = time.process_time(), 0.0, 0
    for _ in events:
        count += 1
        if count == warm:
            before = resident_mb()
    cpu = time.process_time() - start
    assert count in (number, number - 1), (count, number)  # letta-client does not yield [DONE]
    return {"cpu_s": cpu, "us_per_event": cpu / count * 1e6, "grown_mb": resident_mb() - before}


# -- from the socket ---------------------------------------------------------------------------------------------------


def typed(number: int, url: str) -> Figures:
    """Bytes to typed events, on the same HTTP client as ours, and nothing more."""
    import httpx

    from letta_nb import events, sse

    path = f"{url}/v1/agents/{agent(number)}/messages/stream"
    with httpx.Client(timeout=None) as client, client.stream("POST", path, json=BODY) as response:
        return consumed((events.parse(one.data, one.event) for one in sse.decode(sse.body_of(response))), number)


def _pipeline(number: int, url: str, record: bool) -> Figures:
    import letta_nb

    with letta_nb.Client(url) as client, client.stream(agent(number), "go", record=record) as stream:
        figures = consumed(stream, number)
        assert stream.run.status == "completed"
        return figures


def pipeline(number: int, url: str) -> Figures:
    """What a person gets: typed, folded, recorded with times."""
    return _pipeline(number, url, record=True)


def unrecorded(number: int, url: str) -> Figures:
    return _pipeline(number, url, record=False)


def official(number: int, url: str) -> Figures:
    """letta-client's decoding of the same bytes."""
    from letta_client import Letta

    client = Letta(base_url=url, api_key="none", max_retries=0, timeout=None)
    return consumed(client.agents.messages.stream(agent_id=agent(number), **BODY), number)


def big_ours(size: int, url: str) -> Figures:
    import letta_nb

    with letta_nb.Client(url) as client:
        start = time.process_time()
        with client.stream(agent(size, big=True), "go") as stream:
            assert sum(1 for _ in stream) == 4
            cpu = time.process_time() - start
        assert len(stream.run.tool_calls[0].result or "") == size
    return {"cpu_s": cpu}


def big_official(size: int, url: str) -> Figures:
    from letta_client import Letta

    client = Letta(base_url=url, api_key="none", max_retries=0, timeout=None)
    start = time.process_time()
    assert sum(1 for _ in client.agents.messages.stream(agent_id=agent(size, big=True), **BODY)) == 3
    return {"cpu_s": time.process_time() - start}


# -- without a socket --------------------------------------------------------------------------------------------------


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    gc.collect()
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def _run_of(steps: int) -> Any:
    """A run of so many steps, a tool call each, as a modern server sends it."""
    from letta_nb.log import Received
    from letta_nb.run import Run

    run = Run({"messages": [{"role": "user", "content": "go"}], "stream_tokens": True})
    for number in range(steps):
        ids = {"id": f"message-{number}", "step_id": f"step-{number}", "run_id": f"run-{run.uid}", "is_err": None}
        call = {"name": "f", "arguments": '{"n":1}', "tool_call_id": f"call-{number}"}
        back = {"tool_return": "ok", "status": "success", "tool_call_id": f"call-{number}", "stdout": None}
        for at, event in enumerate(
            (
                {"message_type": "reasoning_message", **ids, "reasoning": "Next."},
                {"message_type": "tool_call_message", **ids, "tool_call": call, "tool_calls": call},
                {"message_type": "tool_return_message", **ids, **back},
            )
        ):
            run.receive(Received(number * 1_000_000 + at, "", json.dumps(event)))
    run.receive(Received(steps * 1_000_000, "", '{"message_type":"stop_reason","stop_reason":"end_turn"}'))
    run.receive(Received(steps * 1_000_000, "", "[DONE]"))
    return run


def step_rows(number: int, url: str) -> Figures:
    """Runs of 100 steps to one table, and as many records of the same shape by json_normalize."""
    import pandas as pd

    from letta_nb import frames

    runs = [_run_of(100) for _ in range(number // 100)]
    frames.steps_df(runs[:2])
    ours, table = min((_timed(lambda: frames.steps_df(runs)) for _ in range(3)), key=lambda pair: pair[0])
    assert len(table) == number
    flat = json.loads(table.to_json(orient="records", date_format="iso"))
    nested = [{"step": {key: row[key] for key in list(row)[:6]}, **dict(list(row.items())[6:])} for row in flat]
    theirs = min(_timed(lambda: pd.json_normalize(nested))[0] for _ in range(3))
    return {"cpu_s": ours, "rows_per_s": number / ours, "json_normalize_s": theirs, "ratio": theirs / ours}


def recorded_frames(number: int, url: str) -> Figures:
    """Recorded runs of so many events, in memory, to their steps and tools."""
    from letta_nb import frames

    runs = [_run_of(100) for _ in range(number // 302)]
    frames.steps_df(_run_of(10))
    before = resident_mb()
    cpu, _ = _timed(lambda: (frames.steps_df(runs), frames.tools_df(runs)))
    return {"cpu_s": cpu, "events_per_s": number / cpu, "grown_mb": resident_mb() - before}


def page_bytes(number: int, url: str) -> Figures:
    """Words to the page for so many tokens at 400 a second, flushed every 33 ms, against their text."""
    from letta_nb.feed import ChangeLog
    from letta_nb.log import Received
    from letta_nb.run import Run

    tokens = recorded()[0]
    run, log, sent, flushed, batch = Run(), ChangeLog(), 0, 0, 0
    start = time.process_time()
    for index in range(number):
        at = index * 2_500_000
        log.add(run, run.receive(Received(at, "", tokens[index % len(tokens)][6:-2].decode()))[1])
        if at - flushed >= 33_000_000 or index == number - 1:
            batch, flushed = batch + 1, at
            words = {"seq": batch, "changes": log.take()}
            sent += len(json.dumps(words, ensure_ascii=False, separators=(",", ":")).encode())
    text = len(run.text.encode())
    return {
        "sent": sent,
        "text": text,
        "ratio": sent / text,
        "messages": batch,
        "cpu_s": time.process_time() - start,
    }


def frozen(steps: int, url: str) -> Figures:
    """kB of a run of so many steps as a cell's output, by its parts, and what it takes to make it."""
    from letta_nb import bare, static_html

    run = _run_of(steps)
    run.end(steps * 1_000_000)
    cpu, html = _timed(lambda: static_html.fragment(run))
    without = static_html.upgraded("", {"seq": 0, "now": None, "changes": []}, "")
    parts = {"bare": bare.html(run), "code": without, "raw": static_html.packed_file(run)}
    figures = {f"{name}_kb": len(part) / 1000 for name, part in parts.items()}
    figures["data_kb"] = len(html) / 1000 - sum(figures.values())
    return {"cpu_s": cpu, "kb": len(html) / 1000, **figures}


if __name__ == "__main__":
    name, number, url = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    print(json.dumps(globals()[name](number, url)))
