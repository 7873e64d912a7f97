"""`make faults`: what becomes of a message stream in every way in which it is known to go wrong, as one table.

Each fault is met over a real socket by Client and AsyncClient, on real servers' bytes of both eras, in step and token
mode, and once more from the embedded server. Lines of a fault that are equal are one. `kept`: events in the log of
events sent whole; `text`: characters of what the agent said, of those sent. `--json` prints all cells as JSON.
Exit code 1 if an event was lost, a raw exception raised, a message sent twice, or anything is not as the tests have it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from fault_embedded import TRIALS, Trial
from fault_play import Cell, Outcome, Players, Sent, cells, words
from faults import FAULTS

# what differs from run to run, or says nothing here
_SAME = {r"after \d+\.\d\d s": "after … s", r"http://127\.0\.0\.1:\d{4,}(/v1/agents/agent-[^/]+/messages/stream)?": "…"}
_WIDTH = 110


@dataclass
class Row:
    """One cell as it is printed."""

    group: str
    fault: str
    era: str
    mode: str
    client: str
    status: str
    kept: int
    sent: int
    text_kept: int
    text_sent: int
    torn: bool
    said: str
    lost: int
    raw: str | None
    repeated: int
    wrongs: list[str] = field(default_factory=list)
    known: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        return self.era, self.mode, self.client


def said_by(outcome: Outcome) -> str:
    """What a person is told, without what differs from run to run."""
    if outcome.raw is not None:
        return f"RAW {outcome.raw}"
    kind, text = outcome.said
    if kind is None:
        reason = outcome.run.stop_reason if outcome.run is not None and outcome.run.status != "completed" else None
        return f"({reason})" if reason else ""
    for pattern, instead in _SAME.items():
        text = re.sub(pattern, instead, text)
    # escapes are shown, not obeyed
    return f"{kind}: {repr(' '.join(text.split()))[1:-1]}"


def row(
    group: str, fault: str, place: tuple[str, str, str], outcome: Outcome, sent: Sent, lost: int, wrongs: list[str]
) -> Row:
    text = outcome.run.text if outcome.run is not None else ""
    kept, torn = len(outcome.kept), bool(outcome.torn)
    sizes = (kept, len(sent.whole), len(text), len(words(sent.whole)))
    return Row(
        group,
        fault,
        *place,
        outcome.status,
        *sizes,
        torn,
        said_by(outcome),
        lost,
        outcome.raw,
        max(0, outcome.posts - 1),
        wrongs,
    )


def of_cell(cell: Cell) -> Row:
    place = (cell.base.era, cell.base.mode, cell.kind)
    found = row(cell.fault.group, cell.fault.name, place, cell.outcome, cell.sent, cell.lost, cell.wrongs())
    found.known, found.repeated = cell.fault.known, cell.repeated
    return found


def of_trial(trial: Trial) -> Iterator[Row]:
    for met in trial.meetings():
        place = ("modern", "token" if met.tokens else "step", met.kind)
        wrongs = list(met.wrongs(trial.want))
        yield row("embedded server", str(trial), place, met.outcome, met.sent, met.lost, wrongs)


def play() -> Iterator[Row]:
    """All cells, in the order of the table."""
    with Players() as players:
        for fault in FAULTS:
            for base, kind in cells(fault):
                yield of_cell(players.play(fault, base, kind))
    for trial in TRIALS:
        yield from of_trial(trial)


def where(some: list[Row], every: list[Row]) -> str:
    """Which cells these are, in as few words as tell them from the others of their fault."""
    if len(some) == len(every):
        return ""
    chosen = [sorted({part[axis] for part in (one.place for one in some)}) for axis in range(3)]
    inside = [one for one in every if all(one.place[axis] in chosen[axis] for axis in range(3))]
    if len(inside) != len(some):
        return "; ".join(" ".join(one.place) for one in some)
    whole = [sorted({one.place[axis] for one in every}) for axis in range(3)]
    return " ".join("+".join(chosen[axis]) for axis in range(3) if chosen[axis] != whole[axis])


def lines(of_fault: list[Row]) -> Iterator[str]:
    """The lines of one fault."""
    alike: dict[tuple[str, str, bool], list[Row]] = defaultdict(list)
    for one in of_fault:
        alike[one.status, one.said, one.torn].append(one)
    for number, ((status, said, torn), some) in enumerate(alike.items()):
        name = (of_fault[0].fault if number == 0 else "")[:36]
        kept = f"{sum(one.kept for one in some)}/{sum(one.sent for one in some)}{' + torn' * torn}"
        text = f"{sum(one.text_kept for one in some)}/{sum(one.text_sent for one in some)}"
        said = said if len(said) <= _WIDTH else said[: _WIDTH - 1] + "…"
        yield f"{name:37}{where(some, of_fault):20} {status:18}{kept:>15}  {text:>15}  {said}".rstrip()


def table(rows: Iterable[Row]) -> list[Row]:
    """Print each fault when it is known; all cells."""
    print(f"{'':57} {'status':18}{'kept':>15}  {'text':>15}  said")
    found: list[Row] = []
    of_fault: list[Row] = []
    for one in rows:
        if of_fault and (one.group, one.fault) != (of_fault[0].group, of_fault[0].fault):
            print(*lines(of_fault), sep="\n")
            of_fault = []
        if not found or found[-1].group != one.group:
            print(f"\n{one.group.upper()}")
        found.append(one)
        of_fault.append(one)
    print(*lines(of_fault), sep="\n")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="all cells as JSON instead of the table")
    as_json = parser.parse_args().json
    found = list(play()) if as_json else table(play())
    wrong = [text for one in found if not one.known for text in one.wrongs]
    lost, raw = sum(one.lost for one in found), sum(one.raw is not None for one in found)
    again = sum(one.repeated for one in found)
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=1))
    else:
        known = {f"{one.fault}: {one.known}" for one in found if one.known and one.wrongs}
        print("", *(f"known: {text}" for text in sorted(known)), *(f"wrong: {text}" for text in wrong), sep="\n")
        print(f"cells {len(found)}, events lost {lost}, raw exceptions {raw}, duplicate sends {again}")
    return 1 if lost or raw or again or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
