"""Writes tests/fixtures/phases.json: lanes, phases and totals of the runs in js/fixtures, for both implementations.

Times in ms with one decimal, as the page has them; a phase that is nothing at that resolution is left out, and a total
may differ by 0.1 a step.
"""

from __future__ import annotations

import json
from typing import Any

from js_fixtures import NOW, RECORDINGS, runs

from letta_nb import phases
from letta_nb.run import Run

GOLDEN = RECORDINGS / "phases.json"


def golden(run: Run, now: int | None = None) -> dict[str, Any]:
    """One run's waterfall in JSON's words."""
    fall = phases.waterfall(run, now)
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
    rows = [f"{json.dumps(name)}: {json.dumps(golden(run, NOW.get(name)))}" for name, run in sorted(runs().items())]
    GOLDEN.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
