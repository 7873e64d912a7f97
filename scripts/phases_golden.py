"""Writes tests/fixtures/phases.json: lanes, phases and totals of the runs in js/fixtures, for both implementations.

Times in ms with one decimal, as the page has them; a phase that is nothing at that resolution is left out, and a total
may differ by 0.1 a step.
"""

from __future__ import annotations

import json
from typing import Any

from js_fixtures import MODERN, RECORDINGS, SEED, cut, server_rows

from letta_nb import phases, record
from letta_nb.run import Run

GOLDEN = RECORDINGS / "phases.json"


def runs() -> dict[str, Run]:
    """The runs of js/fixtures, by name."""
    found = {name: record.load_one(RECORDINGS / f"0.16.8/v1_{name}.sse") for name in MODERN}
    found |= {f"seed_{name}": record.load_one(RECORDINGS / f"0.7.16/{name}.sse") for name in SEED}
    for name in ("multi2", "parallel2"):
        run = record.load_one(RECORDINGS / f"0.16.8/v1_{name}_tok.sse")
        run.join_server_steps(server_rows(f"v1_{name}"))
        found[f"{name}_tok_server"] = run
    found["interrupted"] = cut(found["multi_tok"], 9.514)
    return found


def golden(run: Run) -> dict[str, Any]:
    """One run's waterfall in JSON's words."""
    fall = phases.waterfall(run)
    return {
        "end": _ms(fall.end),
        "lanes": [
            {
                "step": lane.step,
                "label": lane.label,
                "first": lane.first,
                "entry": lane.entry,
                "cut": lane.cut,
                "start": _ms(lane.start),
                "end": _ms(lane.end),
                "phases": [
                    [p.kind, _ms(p.start), _ms(p.end), p.source, p.at_most]
                    for p in lane.phases
                    if _ms(p.start) < _ms(p.end)
                ],
            }
            for lane in fall.lanes
        ],
        "totals": {kind: _ms(ns) for kind, ns in fall.totals.items()},
        "at_most": sorted(fall.at_most),
    }


def _ms(ns: int) -> float:
    return round(ns / 1e6, 1)


def main() -> None:
    rows = [f"{json.dumps(name)}: {json.dumps(golden(run))}" for name, run in sorted(runs().items())]
    GOLDEN.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
