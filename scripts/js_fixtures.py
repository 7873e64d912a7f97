"""Writes js/fixtures/*.json: what the page is sent for real recordings, for the TypeScript tests and the demo page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from letta_nb import feed, record
from letta_nb.entries import RunError
from letta_nb.run import Run

ROOT = Path(__file__).resolve().parent.parent
RECORDINGS = ROOT / "tests/fixtures"
MODERN = (
    "multi_tok multi_step toolerr_tok toolerr_step parallel2_tok parallel_step approve_tok_1request "
    "approve_parallel_step_1request clienttools_step_1request disc_tok cancel_slowtok err500_tok err2_tok unicode_tok "
    "longjson_step empty_tok loop_maxsteps3_step badargs_tok hello_tok"
).split()
SEED = "memgpt_multi_step memgpt_one_tok memgpt_err500_tok memgpt_loop_maxsteps3".split()


def server_rows(name: str) -> list[dict[str, Any]]:
    """A run's `/steps` with each step's `/metrics`, as recorded beside its stream."""
    folder = RECORDINGS / "0.16.8"
    rows: list[dict[str, Any]] = json.loads((folder / f"{name}_run_steps.json").read_text())["body"]
    metrics = [json.loads(path.read_text())["body"] for path in sorted(folder.glob(f"{name}_step*_metrics.json"))]
    by_id = {row["id"]: row for row in metrics}
    return [row | by_id.get(row["id"], {}) for row in rows]


def cut(run: Run, seconds: float) -> Run:
    """The same run, as if the connection had closed after so many seconds."""
    again = run.blank(record=True)
    for received in run.log or ():
        if received.at <= seconds * 1e9:
            again.receive(received)
    again.end(round(seconds * 1e9), RunError("connection_closed", "The connection closed before the run ended."))
    return again


def main() -> None:
    out = ROOT / "js/fixtures"
    out.mkdir(exist_ok=True)
    runs = {name: record.load_one(RECORDINGS / f"0.16.8/v1_{name}.sse") for name in MODERN}
    runs |= {f"seed_{name}": record.load_one(RECORDINGS / f"0.7.16/{name}.sse") for name in SEED}
    runs["multi2_tok_server"] = record.load_one(RECORDINGS / "0.16.8/v1_multi2_tok.sse")
    runs["multi2_tok_server"].join_server_steps(server_rows("v1_multi2"))
    runs["parallel2_tok_server"] = record.load_one(RECORDINGS / "0.16.8/v1_parallel2_tok.sse")
    runs["parallel2_tok_server"].join_server_steps(server_rows("v1_parallel2"))
    runs["interrupted"] = cut(runs["multi_tok"], 9.514)
    for name, run in sorted(runs.items()):
        run.uid = name  # the only thing about a loaded recording that is random
        text = json.dumps(feed.snapshot(run), ensure_ascii=False, indent=0, sort_keys=True)
        (out / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{len(text):8,}  {name}")


if __name__ == "__main__":
    main()
