"""Runs in files: our own run file (JSON Lines), raw recorded bytes of a server (`.sse`), and transcripts of Letta's
events, a line each (`.ndjson`, see `transcripts`). Reading is the same fold.

Run file, version 1, one JSON object a line, readable by `jq`:
  {"letta_nb": 1, "run": {...}}             first: the request and who it went to
  {"at": 0.1554, "data": {...}}             an event as received, `at` in seconds since the request; also "event" and
                                            "torn", and "text" in place of "data" for what is not one line of JSON
  {"leg": {"kind": "answer", ...}}          a further request: an answer to approval requests, or a resumed stream
  {"decided": [[call, approve, ...], ...]}  answers to approval requests that were not sent yet
  {"end": {"at": 12.3, "status": ...}}      how it ended; missing if the run was cut off while it was written
  {"server": {"steps": [...], ...}}         last: what the server told afterwards, as it answered (see `fetched`)
Keys and passwords are never in it: they are headers, and no header is kept.
"""

from __future__ import annotations

import glob
import hashlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydantic_core

from letta_nb import sse, transcripts
from letta_nb.calls import answers_in
from letta_nb.entries import CallTimes, Cancel, Leg, RunError
from letta_nb.errors import InputError
from letta_nb.log import Received
from letta_nb.run import Run

VERSION = 1
# what one message to a page holds of a long run
_PART_LINES = 2_000
_PART_CHARS = 256_000


def save(run: Run, path: str | Path) -> Path:
    """Write `run` to `path` (`.jsonl` is the usual suffix). Whole or not at all: it is renamed into place."""
    path = Path(path)
    if run.log is None:
        raise InputError("This run kept no events (record=False), so there is nothing to save.")
    if path.is_dir() or not path.parent.is_dir():
        problem = "is a folder" if path.is_dir() else f"cannot be written: there is no folder {path.parent}"
        raise InputError(f"{path} {problem}. Name a file, such as run.jsonl.")
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
            file.writelines(line + "\n" for line in lines(run))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def text_of(run: Run) -> str:
    """The run file as text that UTF-8 can hold."""
    return b"".join(encoded(run)).decode("utf-8")


def encoded(run: Run) -> Iterator[bytes]:
    """The lines of the run file, with their ends, in UTF-8."""
    return (_utf8(line + "\n") for line in lines(run))


def lines(run: Run) -> Iterator[str]:
    """The lines of the run file. A run that goes on meanwhile ends in them where it ended, or has no end yet."""
    have = 0
    while True:
        for line in arrived(run, have):
            yield line
            have += 1
        closing = list(_closing(run))
        # what it came to must not stand behind less than all that led to it
        if run.log is None or have == len(run.log) + len(run.legs):
            yield from closing
            return


def arrived(run: Run, have: int = 0) -> Iterator[str]:
    """The lines that stay while more come, without the first `have`: the header, events and further legs."""
    if have <= 0:
        yield _json({"letta_nb": VERSION, "run": _header(run)})
    for item in run.history(max(have - 1, 0)):
        yield _event_line(item) if isinstance(item, Received) else _json({"leg": _leg(item)})


def part(run: Run, have: int) -> tuple[list[str], bool]:
    """As many lines of `arrived` as one message should hold, and whether there are more."""
    taken: list[str] = []
    size = 0
    for line in arrived(run, have):
        size += len(line)
        if taken and (size > _PART_CHARS or len(taken) == _PART_LINES):
            return taken, True
        taken.append(_utf8(line).decode("utf-8"))
    return taken, False


def _utf8(line: str) -> bytes:
    """Half a surrogate pair, which UTF-8 cannot hold, escaped: in JSON it stands in a string."""
    return line.encode("utf-8", "backslashreplace")


def _closing(run: Run) -> Iterator[str]:
    if decided := _decided(run):
        yield _json({"decided": decided})
    if run.status != "running":
        error = run.error
        yield _json(
            {
                "end": {
                    "at": _seconds(run.ended_at),
                    "status": run.status,
                    "error": None if error is None else [error.type, error.message, error.detail],
                    **_stopped(run),
                }
            }
        )
    if run.fetched:
        yield _json({"server": run.fetched})


def _decided(run: Run) -> list[list[Any]]:
    """The answers that a person gave and nobody has sent yet."""
    sent = {item.get("tool_call_id") for leg in run.legs for item in answers_in(leg.request)}
    waits = [call for call in run.tool_calls if call.approval in ("approved", "denied") and not call.has_returned]
    return [
        [call.tool_call_id, call.approval == "approved", call.reason, _seconds(call.answered_at)]
        for call in waits
        if call.tool_call_id not in sent and not call.here and run.status == "requires_approval"
    ]


def _seconds(at: int | None) -> float | None:
    return None if at is None else at / 1e9


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e9)


def _leg(leg: Leg) -> dict[str, Any]:
    calls = {call_id: [_seconds(at) for at in times] for call_id, times in leg.calls.items()}
    return {
        "kind": leg.kind,
        "at": _seconds(leg.at),
        "lost_at": _seconds(leg.lost_at),
        "calls": calls,
        "request": leg.request,
    }


def _stopped(run: Run) -> dict[str, Any]:
    """How a person's Stop was answered, and how the run was come by, if there is something to tell."""
    cancel = run.cancellation
    stop = {} if cancel is None else {"cancel": [_seconds(cancel.asked_at), cancel.outcome, cancel.words]}
    return stop | ({} if run.note is None else {"note": run.note})


def _header(run: Run) -> dict[str, Any]:
    return {
        "uid": run.uid,
        "started": run.started.isoformat(),
        "timed": run.timed,
        "agent_id": run.agent_id,
        "agent_name": run.agent_name,
        "model": run.model,
        "provider": run.provider,
        "server": run.server,
        "conversation_id": run.conversation_id,
        "request": run.request,
    }


def _event_line(received: Received) -> str:
    head: dict[str, Any] = {"at": None if received.at < 0 else received.at / 1e9}
    if received.event:
        head["event"] = received.event
    if received.torn:
        head["torn"] = True
    if "\n" not in received.data and _is_json(received.data):
        # verbatim, not decoded and encoded again: what was received is what is kept
        return f'{_json(head)[:-1]},"data":{received.data}}}'
    return _json({**head, "text": received.data})


def _is_json(text: str) -> bool:
    try:
        pydantic_core.from_json(text, allow_inf_nan=False)
    except (ValueError, TypeError):  # TypeError: a lone surrogate
        return False
    return True


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def load(path: str | Path) -> Run | list[Run]:
    """A run file, raw recorded bytes (`.sse`) or a transcript of events (NDJSON) as a Run; "-" reads standard input.

    A pattern with `*`, `?` or `[`, and a transcript of several turns, are a list of Runs.

    Beside `NAME.sse` a `NAME.json` may stand with the request and arrival times (`lines_ms_len`); without it the run
    has no times, and every latency is NA. Raises InputError with the file's name and what was expected.
    """
    runs = [run for file in files(path) for run in load_all(file)]
    return runs[0] if len(runs) == 1 and not _is_pattern(path) else runs


def files(path: str | Path) -> list[Path]:
    """The files that a path or a pattern names, in the order of their names."""
    if not _is_pattern(path):
        return [Path(path)]
    return [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]


def _is_pattern(path: str | Path) -> bool:
    return any(sign in str(path) for sign in "*?[") and not Path(path).exists()


def load_one(path: Path) -> Run:
    """One file that holds one Run."""
    runs = load_all(path)
    if len(runs) != 1:
        raise InputError(f"{path} holds {len(runs)} runs; letta_nb.load gives them as a list.")
    return runs[0]


def load_all(path: Path) -> list[Run]:
    """The runs of one file: one, but for a transcript of several turns."""
    if str(path) == "-":
        return _parse(Path("standard input"), sys.stdin.buffer.read())
    if path.is_dir():
        raise InputError(f"{path} is a folder. Name a run file, or a pattern such as {path}/*.jsonl.")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.") from None
    return _parse(path, content)


def _parse(path: Path, content: bytes) -> list[Run]:
    if path.suffix == ".sse" or content.startswith((b"data:", b"event:")):
        return [_load_sse(path, content)]
    try:
        first = json.loads(content.lstrip().partition(b"\n")[0])
    except ValueError:
        first = None
    if transcripts.is_line(first):
        try:
            return transcripts.read(content.decode("utf-8", "surrogatepass"))
        except ValueError as problem:
            raise InputError(f"{path} is not a transcript of events, a JSON object a line: {problem}") from None
    return [_load_run_file(path, content)]


# what reading JSON of the wrong shape can raise
_MISSHAPEN = (ValueError, TypeError, KeyError, AttributeError, OverflowError)


def _load_run_file(path: Path, content: bytes) -> Run:
    lines = content.split(b"\n")
    try:
        head = json.loads(lines[0])
        version, facts = head["letta_nb"], head["run"]
        run = _begun(facts) if version == VERSION else None
    except _MISSHAPEN:
        raise InputError(
            f'{path} is not a run file: its first line should be {{"letta_nb": {VERSION}, ...}}. '
            "A transcript has one event a line; raw bytes of a server need the suffix .sse."
        ) from None
    if run is None:
        raise InputError(f"{path} is a run file of version {version}; this letta_nb reads version {VERSION}.")
    for number, line in enumerate(lines[1:], start=2):
        if line:
            _read_line(run, line, path, number, torn=number == len(lines))
    run.end(run.log.at[-1] if run.log and run.timed else None)
    return run


def _begun(facts: dict[str, Any]) -> Run:
    """The run that a header tells of; a fact from a later release is left out."""
    known = {name: facts[name] for name in _header(Run()) if name in facts and name not in ("request", "started")}
    return Run(facts["request"], started=datetime.fromisoformat(facts["started"]), **known)


def _read_line(run: Run, line: bytes, path: Path, number: int, *, torn: bool) -> None:
    try:
        text = line.decode("utf-8", "surrogatepass")
        row = json.loads(text)
    except ValueError:
        if torn:  # the writer was stopped in the middle of its last line
            return
        raise InputError(f"{path}, line {number}, is not JSON.") from None
    try:
        _take_row(run, row, text)
    except _MISSHAPEN:
        raise InputError(f"{path}, line {number}, is not a line of a run file.") from None


def _take_row(run: Run, row: dict[str, Any], line: str) -> None:
    if "end" in row:
        end = row["end"]
        if "cancel" in end:
            asked, outcome, words = end["cancel"]
            run.cancel_told(Cancel(asked_at=_ns(asked), outcome=outcome, words=words), _ns(asked))
        run.note = end.get("note")
        run.end_as(end["status"], _ns(end["at"]), RunError(*end["error"]) if end["error"] else None)
        if end["status"] == "cancelled" and run.status == "requires_approval":
            run.stop_waiting(_ns(end["at"]))
    elif "server" in row:
        run.join_server(row["server"], run.ended_at)
    elif "decided" in row:
        calls = {call.tool_call_id: call for call in run.tool_calls}
        for call_id, approve, reason, at in row["decided"]:
            if call_id in calls:
                run.decided(calls[call_id], approve=bool(approve), reason=reason, at=_ns(at))
    elif "leg" in row:
        leg = row["leg"]
        calls = {call_id: CallTimes(*map(_ns, times)) for call_id, times in leg["calls"].items()}
        run.begin(leg["kind"], leg["request"], _ns(leg["at"]), calls=calls, lost_at=_ns(leg["lost_at"]))
    else:
        text = row["text"] if "text" in row else _verbatim(line)
        at = -1 if row["at"] is None else round(row["at"] * 1e9)
        run.receive(Received(at, row.get("event", ""), text, row.get("torn", False)))


def _verbatim(line: str) -> str:
    return line[line.index(',"data":') + len(',"data":') : -1]


def _load_sse(path: Path, content: bytes) -> Run:
    sidecar = path.with_suffix(".json")
    try:
        facts: dict[str, Any] = json.loads(sidecar.read_bytes()) if sidecar.exists() else {}
        run = _recorded(facts, content) if facts.get("status", 200) == 200 else None
    except _MISSHAPEN:
        raise InputError(
            f"{sidecar} beside {path.name} does not say how it was recorded. Without that file the run loads, untimed."
        ) from None
    if run is None:
        words = content[:200].decode("utf-8", "replace")
        raise InputError(f"{path} is a refused request (HTTP {facts['status']}), not a stream: {words}")
    if not run.event_count:
        raise InputError(f"{path} holds no server-sent event.")
    return run


def _recorded(facts: dict[str, Any], content: bytes) -> Run:
    """The run of recorded bytes; `facts` is what stands beside them."""
    times = facts.get("lines_ms_len")
    request: dict[str, Any] = facts.get("request") or {}
    run = Run(
        request.get("body"),
        started=datetime.fromtimestamp(facts["started_at"], UTC) if "started_at" in facts else datetime.now(UTC),
        agent_id=_agent_in(request.get("path", "")),
        agent_name=facts.get("agent"),
        server=f"Letta {facts['server_version']}" if "server_version" in facts else None,
        timed=times is not None,
        # the same bytes are the same run, whenever they are loaded: tables made apart still join
        uid=hashlib.sha256(content + json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32],
    )
    clock = _Clock(times)
    for message in sse.decode(clock.chunks(content)):
        run.receive(Received(clock.at, message.event, message.data, message.torn))
    run.end(round(facts["total_ms"] * 1e6) if run.timed else None)
    return run


class _Clock:
    """Feeds a recording line by line, so that each event meets the time at which its last line came."""

    def __init__(self, times: list[tuple[float, int]] | None) -> None:
        self.times = times
        self.at = -1

    def chunks(self, content: bytes) -> Iterator[bytes]:
        if self.times is None:
            yield content
            return
        start = 0
        for ms, length in self.times:
            self.at = round(ms * 1e6)
            yield content[start : start + length]
            start += length
        yield content[start:]


def _agent_in(url_path: str) -> str | None:
    parts = url_path.split("/")
    return parts[parts.index("agents") + 1] if "agents" in parts else None
