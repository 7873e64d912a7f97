"""A run without what nobody else may read: the same run, with `[redacted]` where it stood.

All that a run file holds is gone through: the request, events, further legs, the server's answers, errors, who it was
sent to. Texts that came in pieces are looked at whole, and the mark is spread over their pieces, so that a key that was
cut between two of them goes too; times, the order of events and what joins them stay.
"""

from __future__ import annotations

import copy
import inspect
import json
import re
import warnings
from array import array
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from typing import Any

from letta_nb import events as ev
from letta_nb.entries import Buffer, Entry, Leg, RunError, ToolCallEntry
from letta_nb.errors import InputError
from letta_nb.log import Received
from letta_nb.redaction_rules import MARK, Redact, Rules, Span, may_hold_keys, rules_of, spread
from letta_nb.redaction_walk import REPEATED, VOCABULARY, Place, Threads, Walk, is_id
from letta_nb.run import Run

_FACTS = ("agent_id", "agent_name", "model", "provider", "server", "conversation_id", "request")
_EVENT_NAMES = frozenset({"", "error", "cancelled", "message", ev.SESSION})
_NUMBERED = re.compile(r'"seq_id":\s*\d')
# events that are searched for keys together
_TOGETHER = 1_000
# texts that are short and come often, such as dates, and how many of them are remembered
_SHORT, _MANY = 100, 10_000
_NOWHERE = Place()


def redacted(run: Run, redact: Redact = (), redact_fields: str | Iterable[str] = ()) -> Run:
    """The run as it stands, without `redact`, the values of `redact_fields`, and keys; itself if it has none of them.

    `redact`: texts, which go wherever they stand, and compiled patterns; False keeps everything, keys too.
    `redact_fields`: names such as "content" or "tool_return", whose values go, also inside of arguments and results
    that hold JSON. Keys in the shapes of known providers (`sk-...`, `AIza...`, `ghp_...`, `Bearer ...`) always go.
    A run that broke off may end in the first half of one of the texts: that goes too. Upper and lower case differ, but
    for patterns with `re.IGNORECASE`. Warns of what is nowhere in the run. Raises InputError.
    """
    rules = rules_of(redact, redact_fields)
    made = without(run, rules)
    tell_missed(rules)
    return made


def tell_missed(rules: Rules | None, where: str = "this run") -> None:
    """Warn of what somebody asked for and is nowhere: it may be misspelt, and stand there still."""
    if rules is None or not (missed := rules.missed()):
        return
    # said of the line outside of this package that asked
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == __name__.partition(".")[0]:
        frame, level = frame.f_back, level + 1
    words = f"letta_nb: nothing in {where} was redacted for {', '.join(missed)}: check the spelling."
    more = "Upper and lower case differ, and a pattern has to be re.compile(...)."
    warnings.warn(f"{words} {more}", stacklevel=level + 1)


def without(run: Run, rules: Rules | None) -> Run:
    """`redacted` by rules that may be those of several runs; they know then what was found. Raises InputError."""
    if rules is not None and rules.asked and run.log is None:
        raise InputError("This run kept no events (record=False), so nothing can be taken out of it.")
    if rules is None:
        return run
    if run.log is None:
        return _unrecorded(run, rules)
    if not (rules.asked or _may_hold_keys(run)):
        return run
    if wrong := sorted(name for name in rules.fields if is_id(name) or name in VOCABULARY or name == "seq_id"):
        raise InputError(f"redact_fields cannot take {wrong[0]!r}: without it a run cannot be put together again.")
    return _Redaction(rules, run.still()).made()


def _may_hold_keys(run: Run) -> bool:
    """Whether it is worth a closer look."""
    texts = (f"{entry.text}\n{getattr(entry, 'reason', None)}" for entry in run.entries)
    facts = [getattr(run, name) for name in _FACTS], [leg.request for leg in run.legs], run.fetched.copy()
    if may_hold_keys("\n".join([*texts, str((facts, run.error, run.note, run.cancellation))])):
        return True
    events = iter(run.log or ())
    while some := [received.data for received in islice(events, _TOGETHER)]:
        if may_hold_keys("\n".join(some)):
            return True
    return False


def _unrecorded(run: Run, rules: Rules) -> Run:
    """A run that kept no events, without keys in what is left of it: its entries, how it ended, who it was sent to."""

    changed = False

    def new(value: Any) -> Any:
        nonlocal changed
        made = rules.replaced(value) if isinstance(value, str) else value
        changed = changed or made != value
        return made

    made = copy.copy(run)
    made.entries = [_entry(entry, new) for entry in run.entries]
    made.note, made.agent_name, made.model = new(run.note), new(run.agent_name), new(run.model)
    if (error := run.error) is not None:
        made.error = RunError(*map(new, (error.type, error.message, error.detail)))
    return made if changed else run


def _entry(entry: Entry, new: Callable[[Any], Any]) -> Entry:
    made = replace(entry, name=new(entry.name), buffer=Buffer(new(entry.text)))
    if isinstance(made, ToolCallEntry):
        made.result, made.reason = new(made.result), new(made.reason)
        made.stdout, made.stderr = (part and [*map(new, part)] for part in (made.stdout, made.stderr))
    return made


class _Redaction:
    """One run made anew: first all its texts in pieces are collected and looked at whole, then it is told again."""

    def __init__(self, rules: Rules, run: Run) -> None:
        self._rules = rules
        self._run = run
        # as it ends now: another thread may answer it meanwhile
        self._end = copy.copy(run)
        self._end.entries, self._end.fetched = run.entries.copy(), run.fetched.copy()
        self._threads = Threads()
        # the next text in pieces, once what becomes of them is known
        self._next: int | None = None
        # how many texts in pieces there are before each item of the history, and the items of which other things go
        self._firsts = array("q")
        self._touched: set[int] = set()
        self._walk = Walk(rules, self._text)
        self._decode = _Decoder()
        self._short: dict[str, str] = {}
        # what a stored stream brought again, word for word, is told as the first time
        self._repeats = any(leg.kind == "resume" for leg in run.legs)
        self._told: dict[str, str] = {}
        self._changed = False

    def made(self) -> Run:
        """The run without it; the run itself if it has none of it."""
        run = self._run
        if not self._look():
            return run
        self._next, self._told = 0, {}
        made = Run(**self._facts(), started=run.started, uid=run.uid, timed=run.timed, redacted=True)
        for number, item in enumerate(islice(run.history(), len(self._firsts) - 1)):
            made.take(self._item(item) if self._goes(number) else item)
        self._next = self._firsts[-1]
        made.close_like(self._closing())
        return made

    def _look(self) -> bool:
        """Read all of it once and find out what becomes of texts in pieces; whether anything goes."""
        self._facts()
        changed = self._changed
        for number, item in enumerate(self._run.history()):
            self._firsts.append(len(self._threads.spots))
            self._changed = False
            self._item(item)
            if self._changed:
                self._touched.add(number)
        self._firsts.append(len(self._threads.spots))
        self._closing()
        cut = self._end.status not in ("completed", "requires_approval")
        for thread in self._threads.all:
            text = "".join(thread.pieces)
            whole = [Span(0, len(text))] if thread.named and text not in ("", MARK) else None
            inside = self._rules.spans(text, cut=cut)  # looked for in what goes anyway, so that it counts as found
            thread.made = spread(thread.pieces, whole or inside)
        return changed or self._changed or bool(self._touched) or any(thread.made for thread in self._threads.all)

    def _goes(self, number: int) -> bool:
        """Whether something of an item goes: most are told as they are."""
        self._next = first = self._firsts[number]
        spots = self._threads.spots[first : self._firsts[number + 1]]
        return self._repeats or number in self._touched or any(spot.is_made for spot in spots)

    # -- what a run file holds, in order -------------------------------------------------------------------------------

    def _facts(self) -> dict[str, Any]:
        facts = {name: self._value(getattr(self._run, name), Place(name)) for name in _FACTS}
        if (trial := self._run.trial) is not None:
            trial = trial._replace(request_model=self._value(trial.request_model, Place("model")))
        return {**facts, "trial": trial}

    def _item(self, item: Leg | Received) -> Leg | Received:
        if isinstance(item, Received):
            return self._event(item)
        calls = {self._value(call, Place("tool_call_id")): times for call, times in item.calls.items()}
        return replace(item, request=self._value(item.request), calls=calls)

    def _event(self, received: Received) -> Received:
        data = received.data
        if data == ev.DONE:
            return received
        self._threads.next_event()
        numbered = self._repeats and _NUMBERED.search(data) is not None
        new = self._told.get(data) if numbered else None
        if new is None:
            new = self._data(data)
        if numbered:
            self._told[data] = new
        name = received.event if received.event in _EVENT_NAMES else self._value(received.event)
        return received._replace(data=new, event=name)

    def _data(self, data: str) -> str:
        try:
            old, is_tidy = self._decode(data)
            new = self._value(old)
        except (ValueError, RecursionError):
            return self._value(data)
        if not self._walk.changed and (is_tidy or not self._rules.spans(data)):
            return data  # as it was received
        self._changed = True
        text = json.dumps(new, ensure_ascii=False, separators=(",", ":"))
        # half a surrogate pair stays escaped: as itself it would be no JSON
        return text.encode("utf-8", "backslashreplace").decode("utf-8")

    def _closing(self) -> Run:
        """The run as `close_like` reads it, which is all that does not come from its history."""
        end = copy.copy(self._end)
        end.entries = [
            replace(entry, reason=self._value(entry.reason)) if isinstance(entry, ToolCallEntry) else entry
            for entry in end.entries
        ]
        end.note = self._value(end.note)
        if (error := end.error) is not None:
            end.error = RunError(*map(self._value, (error.type, error.message, error.detail)))
        if (stop := end.cancellation) is not None:
            end.cancellation = replace(stop, words=self._value(stop.words))
        self._threads.next_event()
        end.fetched = self._value(end.fetched, Place(whole=True))
        return end

    # -- texts ---------------------------------------------------------------------------------------------------------

    def _value(self, value: Any, at: Place = _NOWHERE) -> Any:
        self._walk.changed = False
        if (named := at.key in self._rules.fields) and value is not None:
            self._rules.found.add(at.key)
        made = self._walk(value, at._replace(named=named))
        self._changed = self._changed or self._walk.changed
        return made

    def _text(self, text: str, at: Place) -> str:
        if at.message is None or at.key in REPEATED:
            alone = self._alone(text)
            return MARK if at.named and text else alone
        if self._next is None:
            self._threads.add(text, at)
            return text
        self._next += 1
        return self._threads.spots[self._next - 1].text

    def _alone(self, text: str) -> str:
        if len(text) > _SHORT:
            return self._rules.replaced(text)
        if text not in self._short:
            if len(self._short) == _MANY:
                self._short.clear()
            self._short[text] = self._rules.replaced(text)
        return self._short[text]


class _Decoder:
    """JSON, and whether reading loses nothing of it: a name that is there twice, a number in another form."""

    def __init__(self) -> None:
        self._is_tidy = True
        self._decode = json.JSONDecoder(object_pairs_hook=self._object, parse_float=self._number).decode

    def __call__(self, text: str) -> tuple[Any, bool]:
        self._is_tidy = True
        return self._decode(text), self._is_tidy

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            self._is_tidy = False
        return made

    def _number(self, text: str) -> float:
        value = float(text)
        if repr(value) != text:
            self._is_tidy = False
        return value
