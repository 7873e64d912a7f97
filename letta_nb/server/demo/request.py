"""What a prompt asks the scripted agent for, read off its words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from letta_nb.server.demo.climate import MONTHS, cities, plain

Kind = Literal["weather", "arithmetic", "cities", "rent", "identity", "remember", "help"]


def _words(*alternatives: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(alternatives)})\b", re.IGNORECASE)


_BIKE = _words(r"bik\w*", "bicycle", r"cycl\w*", "ride", "riding")
_WEATHER = _words("weather", "climate", "temperature", r"warm\w*", r"cold\w*", "hot", "hotter", r"rain\w*", r"wind\w*")
_COMPARE = _words("compare", "versus", "vs", "wetter", "better", "umbrella")
_RENT = _words("rent", "book", "hire", "reserve", "renting", "booking", "hiring")
_HOURS = re.compile(r"\b(\d+(?:\.\d+)?|an?|one|two|three|four|five|six)\s*(?:h|hrs?|hours?)\b", re.IGNORECASE)
_COUNTS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_IDENTITY = _words(
    "who are you",
    "what are you",
    r"(?:what|which) (?:language )?model",
    "are you (?:an?|real|chatgpt|gpt|claude|human|alive)",
    "llm",
    "language model",
)
_REMEMBER = re.compile(r"\s*(?:please\s+)?remember(?:\s+that\b|\s*:)\s*(\S.*)", re.IGNORECASE | re.DOTALL)
_LIST = re.compile(r"\b(?:which|what|list|show)\b.*\b(?:cities|towns)\b", re.IGNORECASE)
_FOLLOW_UP = re.compile(r"^\s*(?:and|what about|how about|but|then)\b", re.IGNORECASE)
_NAME = r"[A-ZÀ-Þ][\w'’.-]*"
_PLACE = re.compile(
    rf"(?:\b(?:in|at|for|about|with|to|and|or|vs\.?|than)\s+|,\s*)({_NAME}(?:\s+(?:de\s+|del\s+)?{_NAME})*)"
)
_NO_PLACE = _words("I", "I'm", "I'd", "a", "the", "what", "which", "should", "please", "is", "it", *MONTHS)
_MONTH = _words(*MONTHS)
_TOKEN = r"(?:\d+(?:\.\d+)?|\*\*|//|[-+*/%^×÷()]|\b(?:sqrt|abs|round|log)\b)"
_ARITHMETIC = re.compile(rf"{_TOKEN}(?:\s*{_TOKEN})*")
_OPERATOR = re.compile(r"[\d)]\s*(?:\*\*|//|[-+*/%^×÷])\s*[-(\d]|\b(?:sqrt|abs|round|log)\s*\(")


@dataclass(frozen=True)
class Wish:
    """A prompt as the script understands it."""

    kind: Kind
    places: tuple[str, ...] = ()
    month: str | None = None
    bike: bool = False
    expression: str = ""
    country: str | None = None
    hours: float = 1
    fact: str = ""


def read_wish(prompt: str, earlier: Sequence[str] = ()) -> Wish:
    """What `prompt` asks for; a follow-up ("and in Bergen?") takes what it leaves out from the `earlier` prompts."""
    before: Wish | None = None
    for said in earlier:
        wish = _read(said, before)
        before = wish if wish.kind == "weather" else before
    return _read(prompt, before)


def _read(prompt: str, before: Wish | None) -> Wish:
    """What a prompt asks for, `before` being the last question about weather."""
    if told := _REMEMBER.match(prompt):
        return Wish("remember", fact=" ".join(told.group(1).split()))
    if expression := _expression(prompt):
        return Wish("arithmetic", expression=expression)
    places = _places(prompt)
    found = _MONTH.search(prompt)
    month = found.group().capitalize() if found else None
    bike = bool(_BIKE.search(prompt))
    if bike and _RENT.search(prompt):
        return Wish("rent", places, hours=_hours(prompt))
    if _LIST.search(prompt) and not places:
        return Wish("cities", country=_country(prompt))
    if _IDENTITY.search(prompt) and not places:
        return Wish("identity")
    if places and (bike or _WEATHER.search(prompt) or _COMPARE.search(prompt)):
        return Wish("weather", places, month, bike)
    if before and (places or month or bike) and (places or _FOLLOW_UP.search(prompt) or bike):
        return Wish("weather", places or before.places, month or before.month, bike or before.bike)
    return Wish("weather", places, month, bike) if places else Wish("help")


def _places(prompt: str) -> tuple[str, ...]:
    text = plain(prompt)
    found = {match.start(): c.name for key, c in cities().items() for match in re.finditer(rf"\b{key}\b", text)}
    known = " ".join(plain(name) for name in found.values())
    for match in _PLACE.finditer(prompt):
        name = match.group(1).rstrip(".'’-")
        if plain(name) not in known and not _NO_PLACE.match(name) and not _is_country(name):
            found[match.start(1)] = name
    return tuple(dict.fromkeys(found[start] for start in sorted(found)))


def _hours(prompt: str) -> float:
    found = _HOURS.search(prompt)
    if found is None:
        return 1
    count = found.group(1).lower()
    return _COUNTS[count] if count in _COUNTS else float(count)


def _is_country(name: str) -> bool:
    return any(name.lower() == city.country.lower() for city in cities().values())


def _country(prompt: str) -> str | None:
    named = (c.country for c in cities().values() if re.search(rf"\b{c.country}\b", prompt, re.IGNORECASE))
    return next(named, None)


def _expression(prompt: str) -> str:
    candidates = [match.group() for match in _ARITHMETIC.finditer(prompt)]
    sums = [text for text in candidates if _OPERATOR.search(text)]
    text = max(sums, key=len, default="")
    return text.replace("^", "**").replace("×", "*").replace("÷", "/")
