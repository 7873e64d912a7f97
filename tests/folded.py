"""Recordings, folded: the runs that tests of tables, pages and pictures are about."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from recordings import FIXTURES

from letta_nb import record, sse
from letta_nb.calls import answers_in
from letta_nb.entries import CallTimes
from letta_nb.log import Received
from letta_nb.run import Run

S = 1_000_000_000
ROOT = FIXTURES / "0.16.8"
SCRIPTS = Path(__file__).parent.parent / "scripts"


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


fixtures = _script("js_fixtures")
golden = _script("phases_golden")
RUNS: dict[str, Run] = golden.runs()


def load(name: str) -> Run:
    return record.load_one(FIXTURES / f"{name}.sse")


def facts(name: str) -> dict[str, Any]:
    return json.loads((ROOT / f"{name}.json").read_bytes())


def feed_in(run: Run, name: str, start: int = 0) -> None:
    """The events of a recording, a millisecond apart from `start` (ns)."""
    for index, message in enumerate(sse.decode([(ROOT / f"{name}.sse").read_bytes()])):
        run.receive(Received(start + index * 1_000_000, *message))


def two_legs(name: str) -> Run:
    """A recorded run that asked for approval at about 0 s and was answered at 10 s."""
    run = Run(facts(f"{name}_1request")["request"]["body"])
    feed_in(run, f"{name}_1request")
    assert run.status == "requires_approval"
    answer = facts(f"{name}_2answer")["request"]["body"]
    calls = {str(item["tool_call_id"]): CallTimes(9 * S, 9 * S, 9 * S + 5) for item in answers_in(answer)}
    run.begin("answer", answer, 10 * S, calls=calls)
    feed_in(run, f"{name}_2answer", 11 * S)
    return run
