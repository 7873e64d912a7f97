"""Runs read from files: run files (their format is told in `record`), recorded bytes of a server (`.sse`), and
transcripts of Letta's events."""

from __future__ import annotations

import glob
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydantic_core

from letta_nb import events, paths, sse, transcripts
from letta_nb.entries import CallTimes, Cancel, RunError, TrialFacts
from letta_nb.errors import InputError
from letta_nb.log import Received
from letta_nb.run import Run

VERSION = 1
# what `run.note` says of a run whose file was torn, as it is while it is written
TORN = "Its run file ends in the middle of a line: it was cut off there, or is still being written."
_DATA = ',"data":'
# an event as `record` writes one: where its data is an event, the line is JSON, and need not be parsed for itself
_EVENT = re.compile(r'\{"at":((?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?),"data":(\{.*\})\}', re.DOTALL)
# what a header may tell of a run beside its request and when it began
_FACTS = "uid timed agent_id agent_name model provider server conversation_id redacted".split()


def load(path: str | Path) -> Run | list[Run]:
    """A run file, raw recorded bytes (`.sse`) or a transcript of events (NDJSON) as a Run; "-" reads standard input.

    A pattern with `*`, `?` or `[`, and a transcript of several turns, are a list of Runs.

    Beside `NAME.sse` a `NAME.json` may stand with the request and arrival times (`lines_ms_len`); without it the run
    has no times, and every latency is NA. Raises InputError with the file's name and what was expected.
    """
    if isinstance(path, Run):
        raise InputError("This is a Run already, and load takes the path of a run file: use it as it is.")
    paths.named(path, "load")
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
    except OSError as problem:
        raise InputError(f"{path} cannot be read: {problem.strerror or problem}. Name a file that can.") from problem
    return _parse(path, content)


def _parse(path: Path, content: bytes) -> list[Run]:
    if not content.strip() and path.suffix != ".sse":
        raise InputError(f"{path} is empty, so it is not a run file: take another copy of it, or leave it out.")
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


_NO_RUN_FILE = (
    f'is not a run file: its first line should be {{"letta_nb": {VERSION}, ...}}. '
    "A transcript has one event a line; raw bytes of a server need the suffix .sse."
)
_NO_HEAD = (
    "is not a run file any more: its first line, which says what was asked and when, is damaged. "
    "Take another copy of it, or leave it out."
)
# what reading JSON of the wrong shape can raise
_MISSHAPEN = (ValueError, TypeError, KeyError, AttributeError, OverflowError)


def _load_run_file(path: Path, content: bytes) -> Run:
    lines = content.split(b"\n")
    try:
        head = json.loads(lines[0])
        version, facts = head["letta_nb"], head["run"]
        run = _begun(facts) if version == VERSION else None
    except _MISSHAPEN:
        raise InputError(f"{path} {_NO_HEAD if _was_run_file(lines) else _NO_RUN_FILE}") from None
    if run is None:
        raise InputError(f"{path} is a run file of version {version}; this letta_nb reads version {VERSION}.")
    for number, line in enumerate(lines[1:], start=2):
        if line:
            _read_line(run, line, path, number, last=number == len(lines))
    run.partial = run.status == "running" or TORN in (run.note or "")
    run.end(run.log.at[-1] if run.log and run.timed else None)
    return run


def _was_run_file(lines: list[bytes]) -> bool:
    """Whether only the first line of a file is wrong."""
    return lines[0].startswith(b'{"letta_nb"') or (len(lines) > 1 and lines[1].startswith(b'{"at":'))


def _begun(facts: dict[str, Any]) -> Run:
    """The run that a header tells of; a fact from a later release is left out."""
    known = {name: facts[name] for name in _FACTS if name in facts}
    told = facts.get("trial")
    trial = None if told is None else TrialFacts(*(told[name] for name in TrialFacts._fields))
    texts: list[Any] = [known.get("agent_name"), known.get("model")]
    texts += [trial.fan_out, trial.request_model] if trial else []
    numbers: list[Any] = [trial.number, trial.repeat] if trial else []
    if not all(isinstance(text, str | None) for text in texts) or not all(isinstance(one, int) for one in numbers):
        raise TypeError("a name that is no text, or a place that is no number")
    return Run(facts["request"], started=datetime.fromisoformat(facts["started"]), trial=trial, **known)


def fan_out_of(path: Path) -> str | None:
    """The id of the fan-out that a file's run belongs to, None for any other file."""
    try:
        with path.open("rb") as file:
            trial = _begun(json.loads(file.readline())["run"]).trial
    except _MISSHAPEN:
        return None
    return None if trial is None else trial.fan_out


def _read_line(run: Run, line: bytes, path: Path, number: int, *, last: bool) -> None:
    try:
        text = line.decode("utf-8", "surrogatepass")
        told = _EVENT.fullmatch(text)
        at, data = told.groups() if told is not None else ("", "")
        event = events.known(data) if data else None
        row = _json(text) if event is None else None
    except ValueError:
        if last:  # the writer was stopped in the middle of it
            run.note = f"{run.note} {TORN}" if run.note else TORN
            return
        raise InputError(f"{path}, line {number}, is not JSON.") from None
    try:
        if event is not None:
            run.receive(Received(round(float(at) * 1e9), "", data), event)
        else:
            _take_row(run, row, text)
    except _MISSHAPEN:
        raise InputError(f"{path}, line {number}, is not a line of a run file.") from None


def _json(text: str) -> Any:
    try:
        return pydantic_core.from_json(text)  # three times as fast
    except (ValueError, TypeError):  # it knows no half surrogate pair, and no depth beyond 200
        return json.loads(text)


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e9)


def _take_row(run: Run, row: Any, line: str) -> None:
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
        text = row["text"] if "text" in row else _verbatim(line, row)
        at = -1 if row["at"] is None else round(row["at"] * 1e9)
        run.receive(Received(at, row.get("event", ""), text, row.get("torn", False)))


def _verbatim(line: str, row: dict[str, Any]) -> str:
    """An event's own words; of a line that another program has laid out anew, what it made of them."""
    start = line.find(_DATA)
    if start < 0 or not line.endswith("}") or next(reversed(row)) != "data":
        return json.dumps(row["data"], ensure_ascii=False, separators=(",", ":"))
    return line[start + len(_DATA) : -1]


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
