"""From a run's changes to the browser's words (`page`): written down at once, merged where a page cannot tell apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, cast

from letta_nb import page
from letta_nb.entries import (
    USAGE_NAMES,
    Change,
    Entry,
    EntryChanged,
    EntryOpened,
    RunChanged,
    Step,
    StepChanged,
    TextAppended,
    ToolCallEntry,
    Usage,
    compaction_of,
    count,
)
from letta_nb.run import Run
from letta_nb.words import saying

# Pieces of text that arrive within this time share a mark: it is what a batch takes, and marks stay below the text.
_MARK_MS = 33.0


def ms(at: int | None) -> float | None:
    """ns to ms with one decimal, which is as fine as the page ever shows."""
    return None if at is None else round(at / 1e6, 1)


def _units(text: str) -> int:
    """UTF-16 units, as JavaScript counts."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _whole(text: str) -> str:
    """`text` as it can be sent: two halves of a surrogate pair are one character, half a one is U+FFFD. As long."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _sendable(value: Any) -> Any:
    """The same words with each text in them whole."""
    if isinstance(value, str):
        return _whole(value)
    if isinstance(value, dict):
        return {name: _sendable(part) for name, part in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [_sendable(part) for part in cast(list[Any], value)]
    return value


class _Text:
    """The pieces of one entry's text, until they are sent."""

    __slots__ = ("entry", "length", "marks", "parts", "since")

    def __init__(self, entry: int) -> None:
        self.entry = entry
        self.parts: list[str] = []
        self.marks: list[float] = []
        self.length = 0
        self.since = -_MARK_MS

    def add(self, text: str, at: float | None) -> None:
        self.parts.append(text)
        self.length += _units(text)
        if at is None:
            return
        if at - self.since < _MARK_MS and self.marks:
            self.marks[-2:] = [at, self.length]
        else:
            self.marks += [at, self.length]
            self.since = at

    def absorb(self, words: page.TextChange) -> None:
        self.parts.append(words["text"])
        length = _units(words["text"])
        marks = words.get("marks") or ([words["at"], length] if "at" in words else [])
        self.marks += [mark + self.length if index % 2 else mark for index, mark in enumerate(marks)]
        self.length += length

    def words(self) -> page.TextChange:
        self.parts = [_whole("".join(self.parts))]
        words: page.TextChange = {"entry": self.entry, "text": self.parts[0]}
        if len(self.marks) == 2 and self.marks[1] == self.length:
            words["at"] = self.marks[0]
        elif self.marks:
            words["marks"] = list(self.marks)
        return words


class ChangeLog:
    """Changes in the browser's words, in order; text for one entry stays in one piece, with marks of when it came."""

    def __init__(self) -> None:
        self._items: list[page.Change | _Text] = []
        self._texts: dict[int, _Text] = {}

    def __bool__(self) -> bool:
        return bool(self._items)

    def add(self, run: Run, changes: Iterable[Change]) -> None:
        """Write changes down now: they point at entries that will go on changing."""
        for change in changes:
            if isinstance(change, TextAppended):
                self._text(change.entry.index).add(change.text, ms(change.at))
            else:
                self._items.append(_sendable(_words(run, change)))

    def absorb(self, changes: Iterable[page.Change]) -> None:
        """Take in what another log has written down."""
        for change in changes:
            if "text" in change:
                self._text(change["entry"]).absorb(change)
            else:
                self._items.append(change)

    def _text(self, entry: int) -> _Text:
        text = self._texts.get(entry)
        if text is None:
            text = self._texts[entry] = _Text(entry)
            self._items.append(text)
        return text

    def changes(self) -> list[page.Change]:
        """All of it, ready for JSON."""
        return [item.words() if isinstance(item, _Text) else item for item in self._items]

    def take(self) -> list[page.Change]:
        """All of it, and forget it."""
        taken = self.changes()
        self._items, self._texts = [], {}
        return taken


def _words(run: Run, change: EntryOpened | EntryChanged | StepChanged | RunChanged) -> page.Change:
    if isinstance(change, EntryOpened):
        return _open(change.at, change.entry)
    if isinstance(change, EntryChanged):
        return {"op": "entry", "at": ms(change.at), "entry": change.entry.index, "set": _facts(change.entry)}
    if isinstance(change, StepChanged):
        return _step(change.at, change.step)
    return _run(run, change)


def _open(at: int | None, entry: Entry) -> page.OpenChange:
    words: page.OpenChange = {
        "op": "open",
        "at": ms(at),
        "entry": entry.index,
        "kind": entry.kind,
        "step": entry.step_index,
    }
    if entry.kind == "unknown":
        words["message_type"] = entry.message_type
    if isinstance(entry, ToolCallEntry):
        words["name"] = entry.name
        words["call_id"] = entry.tool_call_id
        if entry.approval:
            words["approval"] = entry.approval
    return words


def _facts(entry: Entry) -> page.EntryFacts:
    facts: page.EntryFacts = {}
    if entry.cut:
        facts["cut"] = True
    if entry.kind in ("compaction", "summary"):
        facts["trigger"], facts["tokens_before"], facts["tokens_after"] = compaction_of(entry)
    if not isinstance(entry, ToolCallEntry):
        return facts
    facts["name"] = entry.name
    facts["call_id"] = entry.tool_call_id
    if entry.approval or entry.answered_elsewhere:
        # nulls too: an answer that could not be sent is taken back
        facts["approval"] = entry.approval
        facts["answered"] = ms(entry.answered_at)
        facts["reason"] = entry.reason
        facts["started"] = ms(entry.started_at)
    if entry.here:
        facts["here"] = True
    if entry.has_returned:
        facts["returned"] = ms(entry.returned_at)
        facts["result"] = entry.result or ""
        facts["status"] = entry.status or ""
        facts["stdout"] = entry.stdout or []
        facts["stderr"] = entry.stderr or []
        if entry.return_source is not None:
            facts["return_source"] = entry.return_source
        facts["duration"] = ms(entry.duration if entry.duration is not None else entry.at_most)
        facts["duration_source"] = entry.duration_source
        facts["at_most"] = entry.at_most is not None
    return facts


def _step(at: int | None, step: Step) -> page.StepChange:
    words: page.StepChange = {"op": "step", "at": ms(at), "step": step.index, "id": step.step_id}
    if step.server:
        server = step.server
        words["llm_ms"] = ms(count(server.get("llm_request_ns")))
        words["tool_ms"] = ms(count(server.get("tool_execution_ns")))
        words["step_ms"] = ms(count(server.get("step_ns")))
        words["input_tokens"] = count(server.get("prompt_tokens"))
        words["output_tokens"] = count(server.get("completion_tokens"))
        words["context_window"] = count(server.get("context_window_limit"))
    return words


def _usage(run: Run) -> page.Usage | None:
    usage: Usage | None = run.usage
    return None if usage is None else cast(page.Usage, {name: count(getattr(usage, name)) for name in USAGE_NAMES})


def _error(run: Run) -> page.ErrorInfo | None:
    error = run.error
    return None if error is None else {"type": error.type, "message": error.message, "detail": error.detail}


def _cancel(run: Run) -> page.CancelInfo | None:
    cancel = run.cancellation
    if cancel is None:
        return None
    return {"asked": ms(cancel.asked_at), "outcome": cancel.outcome, "words": cancel.words}


def _connection(run: Run) -> page.ConnectionInfo | None:
    resumed = [leg for leg in run.legs if leg.kind == "resume" and leg.lost_at is not None]
    if run.lost_at is not None:
        return {"lost": ms(run.lost_at), "back": None, "times": len(resumed) + 1}
    return {"lost": ms(resumed[-1].lost_at), "back": ms(resumed[-1].at), "times": len(resumed)} if resumed else None


def _cost(run: Run) -> page.Cost | None:
    cost = run.cost
    return None if cost is None else {"usd": cost.usd, "price_date": cost.price_date}


def _memory(run: Run) -> list[page.MemoryBlock] | None:
    blocks = run.memory
    return None if blocks is None else [cast(page.MemoryBlock, asdict(block)) for block in blocks]


_HEAD: dict[str, Callable[[Run], Any]] = {
    "uid": lambda run: run.uid,
    "run_id": lambda run: run.run_id,
    "agent": lambda run: run.agent_name or run.agent_id,
    "model": lambda run: run.model,
    "server": lambda run: run.server,
    "status": lambda run: run.status,
    "stop_reason": lambda run: run.stop_reason,
    "error": _error,
    "started": lambda run: run.started.isoformat(),
    "ended": lambda run: ms(run.ended_at),
    "timed": lambda run: run.timed,
    "delivery": lambda run: run.delivery,
    "events": lambda run: run.event_count,
    "usage": _usage,
    "answers": lambda run: sum(leg.kind == "answer" for leg in run.legs),
    "cancel": _cancel,
    "connection": _connection,
    "cost": _cost,
    "max_steps": lambda run: count((run.request or {}).get("max_steps")),
    "memory": _memory,
}


# what the words under the header are about
_SAID = {"status", "stop_reason", "error", "ended", "cancel", "connection", "note"}


def _say(run: Run) -> page.Say | None:
    said = saying(run)
    if said is None:
        return None
    verdict, dim = said
    return {**cast(page.Say, verdict._asdict()), "dim": dim}


def _run(run: Run, change: RunChanged) -> page.RunChange:
    facts = cast(page.RunHead, {name: _HEAD[name](run) for name in change.names if name != "note"})
    if not _SAID.isdisjoint(change.names):
        facts["say"] = _say(run)
    return {"op": "run", "at": ms(change.at), "set": facts}


def snapshot(run: Run) -> page.Snapshot:
    """The whole run in the browser's words, by folding its log once more."""
    log = ChangeLog()
    again = run.blank()
    log.add(again, again.opening())
    for item in run.history():
        log.add(again, again.take(item))
    log.add(again, again.close_like(run))
    return {"seq": 0, "now": ms(run.ended_at), "changes": log.changes()}
