"""The fault matrix: whatever a server does, nothing is lost, nothing raw is raised, nothing is sent twice."""

from __future__ import annotations

import importlib.util
import json
import random
import re
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_embedded import TRIALS, Trial
from fault_play import KINDS, Players, Sent, cells, read, send, words
from faults import BASES, DONE, FAULTS, Base, Fault, Script, frames
from scripted import AGENT, STREAM

import letta_nb
from letta_nb import errors, sse
from letta_nb.log import Received
from letta_nb.run import Run

_script = importlib.util.spec_from_file_location("faults_table", Path(__file__).parent.parent / "scripts/faults.py")
assert _script is not None
assert _script.loader is not None
table = importlib.util.module_from_spec(_script)
# its dataclasses look their module up
sys.modules[_script.name] = table
_script.loader.exec_module(table)


@pytest.fixture(scope="module")
def players() -> Iterator[Players]:
    with Players() as playing:
        yield playing


def rows() -> Iterator[Any]:
    for fault in FAULTS:
        marks = [pytest.mark.xfail(strict=True, reason=fault.known)] if fault.known else []
        yield pytest.param(fault, id=f"{fault.group}: {fault.name}", marks=marks)


@pytest.mark.parametrize("fault", list(rows()))
def test_whatever_a_server_does(players: Players, fault: Fault) -> None:
    wrongs = [wrong for base, kind in cells(fault) for wrong in players.play(fault, base, kind).wrongs()]
    assert wrongs == []


def test_each_row_has_its_name_and_each_base_its_rows() -> None:
    names = [(fault.group, fault.name) for fault in FAULTS]
    assert len(names) == len(set(names))
    assert {base for fault in FAULTS for base, _ in cells(fault)} == set(BASES)


# -- cut at every byte ------------------------------------------------------------------------------------------------

CUT = (
    Base("modern", "token", "0.16.8/conv_multi_tok"),
    Base("modern", "step", "0.16.8/v1_toolerr_step"),
    Base("seed", "token", "0.7.16/memgpt_one_tok"),
    Base("seed", "step", "0.7.16/memgpt_toolerr_step"),
)
every_cut = pytest.mark.parametrize("base", CUT, ids=lambda base: f"{base.era}, {base.mode}")


def told(base: Base, sent: Sent) -> str:
    """The status that these messages justify: what a server has said, in the terms of its era."""
    said = [data for _, data in sent.whole]
    if base.era == "modern":
        return "completed" if any('"stop_reason":"end_turn"' in data for data in said) else "interrupted"
    return "completed" if "[DONE]" in said and any('"usage_statistics"' in data for data in said) else "interrupted"


def wrongs_of(run: Run, base: Base, sent: Sent, said: str, full: str) -> list[str]:
    assert run.log is not None
    found: list[str] = []
    if [(item.event, item.data) for item in run.log if not item.torn] != sent.whole:
        found.append("an event is lost")
    if [(item.event, item.data) for item in run.log if item.torn] != [sent.torn][: sent.torn is not None]:
        found.append("the torn rest is lost")
    if run.status != told(base, sent):
        found.append(f"status {run.status}")
    if run.text != said or not full.startswith(said):
        found.append(f"text {run.text!r}")
    return found


@every_cut
def test_a_stream_cut_at_every_byte(base: Base) -> None:
    wrongs, before, whole = dict[int, list[str]](), 0, list[tuple[str, str]]()
    full = words(read(base.body).whole)
    for frame in frames(base):
        said = words(whole)
        for length in range(len(frame) + (frame == DONE)):
            decoder, run = sse.Decoder(), Run({"messages": [], "stream_tokens": base.mode == "token"})
            for message in [*decoder.feed(base.body[: before + length]), *decoder.end()]:
                run.receive(Received(length, *message))
            run.end(length)
            part = read(frame[:length])
            sent = Sent(whole + part.whole, part.torn)
            if found := wrongs_of(run, base, sent, said, full):
                wrongs[before + length] = found
        before, whole = before + len(frame), whole + read(frame).whole
    assert before == len(base.body)
    assert wrongs == {}


@every_cut
@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_cut_anywhere_over_a_socket(players: Players, base: Base, kind: Any) -> None:
    body, wrongs = base.body, dict[int, list[str]]()
    full = words(read(body).whole)
    # the last bytes decide how it ended
    lengths = {*random.Random(base.name).sample(range(len(body)), 50), *range(len(body) - 30, len(body) + 1)}
    for length in sorted(lengths):
        outcome = players.outcome(Script((STREAM + body[:length],), body), base, kind)
        assert outcome.run is not None
        assert (outcome.raw, outcome.raised, outcome.posts) == (None, None, 1)
        sent = read(body[:length])
        if found := wrongs_of(outcome.run, base, sent, words(sent.whole), full):
            wrongs[length] = found
    assert wrongs == {}


# -- what never ends --------------------------------------------------------------------------------------------------

PAGE = b"content-type: text/html\r\n\r\n"
ENDLESS = [
    pytest.param(b"HTTP/1.1 200 OK\r\n" + PAGE, b"<p>more</p>", "ProtocolError", id="a page"),
    pytest.param(b"HTTP/1.1 500 X\r\n" + PAGE, b"<p>more</p>", "ServerError", id="a refusal"),
    pytest.param(STREAM + b"data: ", b"more and ", "connection_lost", id="a line"),
    pytest.param(STREAM, b"event: more\n", "connection_lost", id="a message"),
]
MIB = 2**20


def endless(piece: bytes, sent: list[int]) -> Callable[[socket.socket], None]:
    """Far more than anyone should read, and then the end, so that a test comes to one."""

    def pour(connection: socket.socket) -> None:
        block = piece * (MIB // len(piece))
        for _ in range(48):
            connection.sendall(block)
            sent.append(len(block))

    return pour


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("head", "piece", "said"), ENDLESS)
def test_what_never_ends_is_not_read_for_ever(
    players: Players, monkeypatch: pytest.MonkeyPatch, head: bytes, piece: bytes, said: str, kind: Any
) -> None:
    monkeypatch.setattr(sse, "LONGEST", 4 * MIB)
    sent: list[int] = []
    outcome = players.outcome(Script((head, endless(piece, sent)), b""), BASES[0], kind)
    assert (outcome.raw, outcome.said[0]) == (None, said)
    assert sum(sent) < 40 * MIB


# -- the embedded server ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trial", TRIALS, ids=str)
def test_whatever_the_embedded_server_is_told_to_do(trial: Trial) -> None:
    assert trial.wrongs() == []


# -- the table ---------------------------------------------------------------------------------------------------------


def cell(**facts: Any) -> Any:
    given = {
        "group": "ends",
        "fault": "cut",
        "era": "modern",
        "mode": "step",
        "client": "Client",
        "status": "interrupted",
    }
    given |= {
        "kept": 4,
        "sent": 4,
        "text_kept": 2,
        "text_sent": 2,
        "torn": False,
        "said": "gone",
        "lost": 0,
        "raw": None,
    }
    return table.Row(**{**given, "repeated": 0, **facts})


def test_cells_that_are_equal_are_one_line() -> None:
    rows = [cell(era=era, mode=mode) for era in ("modern", "seed") for mode in ("step", "token")]
    assert [line.split() for line in table.lines(rows)] == [["cut", "interrupted", "16/16", "8/8", "gone"]]
    rows[3] = cell(era="seed", mode="token", status="failed")
    first, second = table.lines(rows)
    assert first.split()[-4:] == ["interrupted", "12/12", "6/6", "gone"]
    assert second.split() == ["seed", "token", "failed", "4/4", "2/2", "gone"]


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({}, 0),
        ({"lost": 1}, 1),
        ({"raw": "KeyError: 1"}, 1),
        ({"repeated": 2}, 1),
        ({"wrongs": ["x"]}, 1),
        ({"wrongs": ["x"], "known": "a bug"}, 0),
    ],
)
def test_the_table_says_whether_all_is_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], facts: dict[str, Any], code: int
) -> None:
    monkeypatch.setattr(table, "play", lambda: iter([cell(), cell(fault="reset", **facts)]))
    monkeypatch.setattr(sys, "argv", ["faults.py"])
    assert table.main() == code
    last = capsys.readouterr().out.splitlines()[-1]
    counts = [int(number) for number in re.findall(r"\d+", last)]
    assert counts == [2, facts.get("lost", 0), int("raw" in facts), facts.get("repeated", 0)]
    monkeypatch.setattr(sys, "argv", ["faults.py", "--json"])
    assert table.main() == code
    assert [row["fault"] for row in json.loads(capsys.readouterr().out)] == ["cut", "reset"]


# -- one client's life ------------------------------------------------------------------------------------------------


def test_nobody_there_is_one_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with letta_nb.Client(f"http://127.0.0.1:{port}") as client:
        outcome = send(client, AGENT, True, lambda _: None)
    assert (outcome.raised, outcome.raw) == (errors.ConnectionFailed.__name__, None)


def test_after_any_fault_the_next_message_is_well(players: Players) -> None:
    """One client meets fault after fault; the next message goes out once, over a connection of its own, and is well."""
    well = FAULTS[0]
    broken = [fault for fault in FAULTS if fault.silence is None and fault.group in ("ends", "answers")]
    for fault in broken:
        for base, kind in cells(fault):
            if base == BASES[1]:
                players.play(fault, base, kind)
                assert players.play(well, base, kind).wrongs() == []
