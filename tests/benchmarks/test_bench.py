"""The benchmark itself works: a tiny run of it, so that `make bench` is not found broken on the day it is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from recordings import BY_NAME

sys.path.insert(0, str(Path(__file__).parent))
import loopback

from letta_nb import sse

BENCH = Path(__file__).resolve().parents[2] / "scripts/bench.py"


def test_the_loopback_body_is_so_many_events_a_chunk_each() -> None:
    for count in (10, 501, 20_000):
        chunks = b"".join(loopback.body(count))
        assert chunks.count(b"\r\ndata: ") == count
        assert chunks.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    recorded = [message.data for message in sse.decode([BY_NAME["0.16.8/v1_long_tok"].content])]
    assert loopback.recorded()[0][0][6:-2].decode() in recorded


def test_a_tiny_benchmark(tmp_path: Path) -> None:
    kept = tmp_path / "bench.json"
    command = [
        sys.executable,
        str(BENCH),
        "--scale",
        "0.02",
        "--repeat",
        "1",
        "--only",
        "fold + record",
        "--json",
        str(kept),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "typed + fold + record" in done.stdout
    (row,) = json.loads(kept.read_text())["rows"]
    assert row["value"] > 0
