"""Runs in files: our own run file (JSON Lines), raw recorded bytes of a server (`.sse`), and transcripts of Letta's
events, a line each (`.ndjson`, see `transcripts`). Reading is the same fold.

Run file, version 1, one JSON object a line, readable by `jq`:
  {"letta_nb": 1, "run": {...}}             first: the request, who it went to, its "trial" in a fan-out
  {"at": 0.1554, "data": {...}}             an event as received, `at` in seconds since the request; also "event" and
                                            "torn", and "text" in place of "data" for what is not one line of JSON
  {"leg": {"kind": "answer", ...}}          a further request: an answer to approval requests, or a resumed stream
  {"decided": [[call, approve, ...], ...]}  answers to approval requests that were not sent yet
  {"end": {"at": 12.3, "status": ...}}      how it ended; missing if the run was cut off while it was written
  {"server": {"steps": [...], ...}}         last: what the server told afterwards, as it answered (see `fetched`)
Lines are only ever added: a file may be read while it grows (see `recorder`), and may end in mid-line.
Keys and passwords that requests are sent with are never in it: they are headers, and no header is kept. What else looks
like a provider's key, in a prompt or a tool's output, is replaced by `[redacted]` when a run is saved, and so is what
`redact=[...]` names; then `"redacted": true` stands in "run". Everything else is as it was received.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pydantic_core

from letta_nb import paths
from letta_nb.calls import answers_in
from letta_nb.entries import Leg
from letta_nb.errors import InputError
from letta_nb.log import Received
from letta_nb.record_read import VERSION, fan_out_of, files, load, load_all, load_one
from letta_nb.redaction import redacted
from letta_nb.redaction_rules import Redact
from letta_nb.run import Run

__all__ = [
    "arrived",
    "encoded",
    "fan_out_of",
    "files",
    "lines",
    "load",
    "load_all",
    "load_one",
    "part",
    "save",
    "text_of",
]

# what one message to a page holds of a long run
_PART_LINES = 2_000
_PART_CHARS = 256_000


def save(run: Run, path: str | Path, redact: Redact = (), redact_fields: str | Iterable[str] = ()) -> Path:
    """Write `run` to `path` (`.jsonl` is the usual suffix). Whole or not at all: it is renamed into place.

    `redact`, `redact_fields`: what is replaced by `[redacted]`, see `redaction.redacted`; keys of providers always are,
    unless `redact` is False.
    """
    path = paths.to_write(path, "save")
    if run.log is None:
        raise InputError("This run kept no events (record=False), so there is nothing to save.")
    run = redacted(run, redact, redact_fields)
    partial = path.with_name(path.name + ".part")
    with paths.writing(path):
        try:
            with partial.open("w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
                file.writelines(line + "\n" for line in lines(run))
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return path


def text_of(run: Run) -> str:
    """The run file, as `save` writes it, as text that UTF-8 can hold."""
    return b"".join(encoded(redacted(run))).decode("utf-8")


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
        **({"redacted": True} if run.redacted else {}),
        **({} if run.trial is None else {"trial": run.trial._asdict()}),
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
