"""JSON values gone through for what has to go, and which texts in them are pieces of one.

Texts are pieces of one as `fold` joins them, and wherever else a message has one field many times: joined once too
often, more is found. Names of the wire and its own words stay, and ids that differ do so afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast, get_args

from letta_nb import events as ev
from letta_nb.redaction_rules import MARK, Rules

# the wire's own words, under names of its own: not what somebody has to hide, whatever they look like
VOCABULARY = frozenset(
    "message_type type subtype role status stop_reason state source event_type agent_type origin kind".split()
)
_EVENTS = get_args(get_args(ev.TypedEvent)[0])
_WORDS = frozenset(
    "message approval tool tool_return text image function object json_schema user system assistant tool_call "
    "success error end_turn llm_api_error invalid_llm_response invalid_tool_call max_steps max_tokens_exceeded "
    "no_tool_call tool_rule requires_approval insufficient_credits context_window_overflow_in_system_prompt "
    "reasoner_model non_reasoner_model redacted omitted compaction created pending init interrupted result retry "
    "recovery auto_approval control_request control_response stream_event tool_execution_started "
    "tool_execution_finished queue letta_v1_agent memgpt_agent running completed cancelled failed".split()
) | {model.model_fields["message_type"].default for model in _EVENTS}
_NAMES = frozenset(
    "run_ids messages input approvals content data event error code result usage model provider steps run memory "
    "before after label value limit role type text stream_tokens max_steps client_tools parameters description "
    "properties required background arguments pending".split()
).union(*(model.model_fields for model in _EVENTS))
# the path of a tool call, whichever field it is in
_CALL = "call"
# texts that a request may hold in parts
_PARTED = frozenset({"content", "input", "tool_return", "stdout", "stderr"})
# levels of nesting
_DEEPEST = 150
# texts that every piece of a message repeats: they are not pieces of one
REPEATED = VOCABULARY | {"date", "name", "label"}


def is_id(key: str) -> bool:
    """Whether values of that name join things."""
    return key in ("id", "otid", "uid", "run_ids") or key.endswith("_id")


# -- going through what JSON holds ------------------------------------------------------------------------------------


class Place(NamedTuple):
    """Where a value stands: under which names, in which message (its type, otid and id), of which call.

    `named`: in a field that has to go. `whole`: what came in pieces before stands here as one.
    """

    key: str = ""
    path: str = ""
    message: tuple[Any, Any, Any] | None = None
    call: str | None = None
    named: bool = False
    whole: bool = False
    depth: int = 0


class Walk:
    """Goes through JSON values, always in the same order, and makes them anew with what `text` gives for each text."""

    def __init__(self, rules: Rules, text: Callable[[str, Place], str]) -> None:
        self._rules = rules
        self._text = text
        self._ids: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._texts = 0
        self.changed = False

    def __call__(self, value: Any, at: Place) -> Any:
        """Raises RecursionError for what is nested too deep, wherever it is called from."""
        if isinstance(value, str):
            return self._string(value, at)
        if isinstance(value, dict | list | tuple):
            if at.depth == _DEEPEST:
                raise RecursionError
            at = Place(*at[:-1], at.depth + 1)
            if isinstance(value, dict):
                return self._object(cast("dict[Any, Any]", value), at)
            if at.message is None and at.key in _PARTED:
                # the parts of one text, in a request: it is read as a whole
                self._texts += 1
                at = at._replace(message=("", self._texts, None), path=".content")
            return [self(item, at) for item in cast("Sequence[Any]", value)]
        if isinstance(value, int | float) and not is_id(at.key):
            return self._number(value, at)
        return value

    def _object(self, value: dict[Any, Any], at: Place) -> dict[Any, Any]:
        call, kind = value.get("tool_call_id"), value.get("message_type")
        if isinstance(call, str):
            at = at._replace(call=call)
        if isinstance(kind, str):
            message, otid = (its if isinstance(its, str) else None for its in (value.get("id"), value.get("otid")))
            at = at._replace(message=(kind, otid or message, message), path="")
        # the older of two fields that say the same comes last: it then repeats the other
        order = sorted(value, key=lambda key: key == "tool_call") if "tool_call" in value else value
        made = {key: None if value[key] is None else self(value[key], self._at(key, value[key], at)) for key in order}
        return {self._key(key): made[key] for key in value}

    def _at(self, key: Any, value: Any, at: Place) -> Place:
        name = str(key)
        if name in ("tool_call", "tool_calls"):
            path = _CALL
        elif name == "text" and at.path in (".content", ".message"):
            path = at.path  # the parts of a text
        else:
            path = f"{at.path}.{name}"
        whole = at.whole or (name == "tool_calls" and isinstance(value, list))
        if named := name in self._rules.fields:
            self._rules.found.add(name)
        return Place(name, path, at.message, at.call, at.named or named, whole, at.depth)

    def _key(self, key: Any) -> Any:
        known = key in _NAMES or not isinstance(key, str) or key in self._rules.fields or is_id(key)
        return key if known else self._noted(key, self._rules.replaced(key))

    def _string(self, value: str, at: Place) -> str:
        if at.key in VOCABULARY and value in _WORDS:
            return value
        return self._noted(value, self._id(value) if is_id(at.key) else self._text(value, at))

    def _id(self, value: str) -> str:
        """What is joined by an id stays joined, and what is apart stays apart."""
        if value not in self._ids:
            made = new = self._rules.replaced(value)
            while made != value and self._owners.setdefault(made, value) != value:
                made = f"{new}:{len(self._owners)}"
                self._owners.setdefault(made, value)
            self._ids[value] = made
        return self._ids[value]

    def _number(self, value: float, at: Place) -> Any:
        if at.named:
            self.changed = True
            return None
        if isinstance(value, bool) or at.key in _NAMES or at.key.endswith(("_ns", "_tokens", "_count")):
            return value
        return value if self._rules.replaced(str(value)) == str(value) else self._noted(str(value), MARK)

    def _noted(self, old: str, new: str) -> str:
        self.changed = self.changed or old != new
        return new


# -- texts in pieces ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Thread:
    """A text that came in pieces. `made`: what becomes of the pieces that change; `nameless`: a call without an id."""

    pieces: list[str] = field(default_factory=list[str])
    named: bool = False
    nameless: bool = False
    made: dict[int, str] = field(default_factory=dict[int, str])

    def spot(self, text: str, *, whole: bool) -> Spot | None:
        """Where a text belongs that is the next piece, or all so far and maybe more; None if it is not that."""
        known = "".join(self.pieces) if whole else ""
        if not text.startswith(known):
            return None
        self.pieces.append(text[len(known) :])
        return Spot(self, len(self.pieces) - 1, whole)


class Spot(NamedTuple):
    """A text's place in its thread: one piece, or (`whole`) all as far as this one."""

    thread: Thread
    number: int
    whole: bool

    @property
    def is_made(self) -> bool:
        """Whether it changes."""
        made = self.thread.made
        return bool(made) and (any(number <= self.number for number in made) if self.whole else self.number in made)

    @property
    def text(self) -> str:
        pieces, made = self.thread.pieces, self.thread.made
        numbers = range(0 if self.whole else self.number, self.number + 1)
        return "".join(made.get(number, pieces[number]) for number in numbers)


class Threads:
    """Which texts are pieces of which. `spots`: where each text belongs, in the order in which they were added."""

    def __init__(self) -> None:
        self.all: list[Thread] = []
        self.spots: list[Spot] = []
        self._texts: dict[tuple[Any, ...], Thread] = {}
        # by message and field, whatever the otid: what is fetched later is known by the message alone
        self._fields: dict[tuple[Any, ...], list[Thread]] = {}
        self._calls: dict[str, Thread] = {}
        self._begun: dict[Any, Thread] = {}
        # the arguments that the event at hand told already
        self._told: dict[int, tuple[str, Spot]] = {}

    def next_event(self) -> None:
        """The texts that follow are of another event."""
        self._told = {}

    def add(self, text: str, at: Place) -> None:
        """The next text that belongs to a message."""
        spot = self._argument(text, at) if at.path == f"{_CALL}.arguments" else self._field(text, at)
        spot.thread.named = spot.thread.named or at.named
        self.spots.append(spot)

    def _argument(self, text: str, at: Place) -> Spot:
        thread = self._call(at)
        told = self._told.get(id(thread))
        if told is not None:
            # a call is in two fields of one event; should they differ, each is a text of its own
            return told[1] if told[0] == text else self._alone(text)
        spot = thread.spot(text, whole=at.whole) or self._alone(text)
        self._told[id(thread)] = (text, spot)
        return spot

    def _call(self, at: Place) -> Thread:
        message = at.message[2] if at.message else None
        known = self._calls.get(at.call) if at.call else None
        last = self._begun.get(message)
        if known is None and last is not None and (not at.call or last.nameless):
            known = last
        if known is None:
            known = self._begun[message] = self._new()
            known.nameless = not at.call
        if at.call:
            self._calls[at.call], known.nameless = known, False
        return known

    def _field(self, text: str, at: Place) -> Spot:
        kind, key, message = at.message or (None, None, None)
        of_field = self._fields.setdefault((kind, message, at.path), [])
        if at.whole:
            known = [thread for thread in of_field if thread.pieces]
            for thread in known:
                if spot := thread.spot(text, whole=True):
                    return spot
            of_field.append(self._new())
            return of_field[-1].spot(text, whole=True) or self._alone(text)
        thread = self._texts.get((kind, key, at.call, at.path))
        if thread is None:
            thread = self._texts[kind, key, at.call, at.path] = self._new()
            of_field.append(thread)
        return thread.spot(text, whole=False) or self._alone(text)

    def _alone(self, text: str) -> Spot:
        thread = self._new()
        thread.pieces.append(text)
        return Spot(thread, 0, False)

    def _new(self) -> Thread:
        self.all.append(Thread())
        return self.all[-1]
