"""Very many run files, and what it costs to make tables of them: `python run_files.py WHAT FILES URL` prints figures.

A file is a run of 33 steps, a thought, a call and its return each: with its end, 102 events as a modern server sends
them. `WHAT` is one of our tables, or a way by which pandas reads the same lines into one table: as they are, for steps
and tools are in no line. Each in a process of its own, for its peak memory.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / ".bench"
STEPS = 33
EVENTS = 3 * STEPS + 3
MS = 0.001


def made(files: int) -> Path:
    """The folder of so many run files; written once, and then known."""
    folder = FOLDER / f"runs-{files}"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        partial.mkdir(parents=True, exist_ok=True)
        body = list(_lines())
        for number in range(files):
            ids = f"{number:08d}"
            text = "\n".join([_header(number), *body, ""]).replace("NUMBER", ids)
            (partial / f"{ids}.jsonl").write_text(text, encoding="utf-8")
        partial.rename(folder)
    return folder


def _header(number: int) -> str:
    facts = {
        "uid": "NUMBER",
        "started": f"2026-01-{1 + number % 28:02d}T03:04:05+00:00",
        "agent_id": f"agent-{number % 7}",
        "agent_name": "bench",
        "model": "gpt-4o-mini",
        "provider": "openai",
        "request": {"messages": [{"role": "user", "content": "Go through it."}], "stream_tokens": True},
    }
    return json.dumps({"letta_nb": 1, "run": facts}, separators=(",", ":"))


def _lines() -> list[str]:
    """The events of a run; NUMBER stands for the run's."""
    found: list[str] = []

    def add(at: float, data: dict[str, Any]) -> None:
        found.append(f'{{"at":{at:.6f},"data":{json.dumps(data, separators=(",", ":"))}}}')

    for step in range(STEPS):
        at = step * 300 * MS
        ids = {"id": f"message-{step}", "date": "2026-01-02T03:04:05+00:00", "otid": f"otid-{step}", "is_err": None}
        ids |= {"step_id": f"step-NUMBER-{step}", "run_id": "run-NUMBER", "seq_id": None, "name": None}
        call = {"name": f"tool_{step % 5}", "arguments": '{"key":"k","n":1}', "tool_call_id": f"call-{step}"}
        back: dict[str, Any] = {"tool_return": '{"value": 1}', "status": "success", "stdout": []}
        back["tool_call_id"] = call["tool_call_id"]
        add(at + 50 * MS, ids | {"message_type": "reasoning_message", "reasoning": f"Now number {step}."})
        add(at + 80 * MS, ids | {"message_type": "tool_call_message", "tool_call": call, "tool_calls": call})
        add(at + 280 * MS, ids | {"message_type": "tool_return_message", **back})
    over = STEPS * 300 * MS
    add(over, {"message_type": "stop_reason", "stop_reason": "end_turn"})
    usage = {"prompt_tokens": 9000, "completion_tokens": 900, "total_tokens": 9900, "step_count": STEPS}
    add(over, {"message_type": "usage_statistics", **usage, "cached_input_tokens": 512})
    found.append(f'{{"at":{over:.6f},"text":"[DONE]"}}')
    found.append(json.dumps({"end": {"at": over, "status": "completed", "error": None}}, separators=(",", ":")))
    return found


# -- what is measured --------------------------------------------------------------------------------------------------


def ours(grain: str) -> Callable[[Path], Any]:
    """One of our tables, over the pattern."""

    def read(folder: Path) -> Any:
        import letta_nb

        return getattr(letta_nb, grain)(str(folder / "*.jsonl"), progress=False)

    return read


def read_json(folder: Path) -> Any:
    """`pd.read_json(lines=True)` of each file, one below the other."""
    import pandas as pd

    return pd.concat([pd.read_json(path, lines=True) for path in sorted(folder.glob("*.jsonl"))], ignore_index=True)


def json_normalize(folder: Path) -> Any:
    """`pd.json_normalize` of all lines."""
    import pandas as pd

    lines = (line for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines())
    return pd.json_normalize([json.loads(line) for line in lines])


WAYS: dict[str, Callable[[Path], Any]] = {
    **{name: ours(name) for name in ("runs_df", "steps_df", "tools_df", "messages_df", "events_df")},
    "read_json": read_json,
    "json_normalize": json_normalize,
}


def main(way: str, files: int) -> dict[str, float]:
    folder = made(files)
    WAYS[way](made(2))  # what is imported is no part of it
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start, wall = time.process_time(), time.perf_counter()
    table = WAYS[way](folder)
    cpu, wall = time.process_time() - start, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu_s": cpu, "wall_s": wall, "rows": len(table), "peak_mb": peak, "grown_mb": peak - before}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
