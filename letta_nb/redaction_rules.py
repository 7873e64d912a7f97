"""What has to go out of a text, and where it stands: words, patterns, values of named fields, and keys of providers.

A text may hold JSON, which may hold JSON: what is looked for is also found where it is escaped, as often as it may be
(`pass\\"word`, `\\u00e9`, half a surrogate pair beside its other half). What is encoded otherwise, in base64 for one,
is not found.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Literal, NamedTuple, cast

from letta_nb.errors import InputError

MARK = "[redacted]"
Redact = str | re.Pattern[str] | Iterable[str | re.Pattern[str]] | Literal[False]

# API keys in the shapes that their providers give them: OpenAI, Anthropic, OpenRouter and Letta, Google, GitHub, AWS,
# Slack, Hugging Face, Groq, xAI; what stands behind `Bearer`; private keys
KEYS = re.compile(
    r"(?<![\w-])(?:"
    r"sk-(?=[\w-]*\d)[\w-]{16,}=*"
    r"|AIza[\w-]{35}"
    r"|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{22,}"
    r"|A[KS]IA[0-9A-Z]{16}"
    r"|xox[abeprs]-(?=[\w-]*\d)[\w-]{10,}"
    r"|hf_[A-Za-z0-9]{30,}|gsk_[A-Za-z0-9]{30,}|xai-[A-Za-z0-9]{30,}"
    r")"
    r"|(?<=\bBearer )(?=\S*\d)[\w.~+/-]{16,}=*|(?<=\bbearer )(?=\S*\d)[\w.~+/-]{16,}=*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.ASCII | re.DOTALL,
)
# one of them is in every text that holds a key, however it is escaped
_HINTS = (
    *("sk-", "AIza", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "AKIA", "ASIA", "xox", "hf_", "gsk_"),
    *("xai-", "Bearer ", "bearer ", "PRIVATE KEY"),
)
# the least that is taken for the beginning of a word, where a text was cut off
_BEGINNING = 4
# JSON in JSON in JSON: nobody goes deeper
_DEEPEST = 8
# the halves of a surrogate pair, each as itself or escaped
_HIGH, _LOW = r"(?:\\u[dD][89abAB][0-9a-fA-F]{2}|[\ud800-\udbff])", r"(?:\\u[dD][c-fC-F][0-9a-fA-F]{2}|[\udc00-\udfff])"
_PAIR = re.compile(r"[\ud800-\udbff][\udc00-\udfff]")
_ESCAPE = re.compile(rf"""{_HIGH}{_LOW}|\\(?:u[0-9a-fA-F]{{4}}|U[0-9a-fA-F]{{8}}|x[0-9a-fA-F]{{2}}|["'\\/abfnrtv])""")
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_QUOTED = {quote: re.compile(rf"((?:[^{quote}\\]|\\.)*)(?:{quote}|\\?\Z)", re.DOTALL) for quote in "\"'"}
_BARE = re.compile(r"[^\s,}\])]+")
_NESTING = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[\[{]|[\]}]""", re.DOTALL)


def may_hold_keys(text: str) -> bool:
    """Whether it is worth a closer look; `in` is much quicker than a pattern."""
    return any(hint in text for hint in _HINTS)


class Span(NamedTuple):
    """Characters of a text, and what stands in their place."""

    start: int
    end: int
    mark: str = MARK


@dataclass(frozen=True)
class Rules:
    """What is looked for. `asked`: somebody asked for more than the keys, which always go.

    `given`: texts and patterns in the order in which they were asked for. `found`: those, and fields, that were there.
    """

    words: tuple[str, ...] = ()
    patterns: tuple[re.Pattern[str], ...] = (KEYS,)
    fields: frozenset[str] = frozenset()
    given: tuple[str | re.Pattern[str], ...] = ()
    found: set[str | re.Pattern[str]] = field(default_factory=set["str | re.Pattern[str]"], compare=False)

    @property
    def asked(self) -> bool:
        return bool(self.words or self.fields or len(self.patterns) > 1)

    def missed(self) -> list[str]:
        """What was asked for and is nowhere, in words that do not tell it: it may be a secret."""
        several = len(self.given) > 1
        return [
            f"redact{f'[{index}]' if several else ''} ({_hint(one)})"
            for index, one in enumerate(self.given)
            if one not in self.found
        ] + [f"redact_fields {name!r}" for name in sorted(self.fields - self.found)]

    def spans(self, text: str, *, cut: bool = False) -> list[Span]:
        """Where it stands in a text, in order, none touching another. `cut`: a word may be cut off at the end."""
        found: list[Span] = []
        places: Sequence[int] = range(len(text) + 1)
        view, at = _read_once(_PAIR, text, places) or (text, places)
        for depth in range(_DEEPEST):
            for start, end, mark in self._matches(view, cut):
                found.append(Span(at[start], at[end], mark if depth == 0 else MARK))
            inner = _read_once(_ESCAPE, view, at)
            if inner is None:
                break
            view, at = inner
        # an escape goes as a whole: what is left of JSON is still JSON
        return _merged(Span(at[bisect_right(at, a) - 1], at[bisect_left(at, b)], mark) for a, b, mark in found)

    def replaced(self, text: str) -> str:
        """A text of its own without what has to go."""
        return spread([text], self.spans(text)).get(0, text)

    def _matches(self, text: str, cut: bool) -> Iterator[Span]:
        for word in self.words:
            start = text.find(word)
            if start >= 0:
                self.found.add(word)
            while start >= 0:
                yield Span(start, start + len(word))
                start = text.find(word, start + len(word))
            if cut:
                least = max(_BEGINNING, (len(word) + 1) // 2)
                for size in range(len(word) - 1, least - 1, -1):
                    if text.endswith(word[:size]):
                        self.found.add(word)
                        yield Span(len(text) - size, len(text))
        for pattern in self.patterns:
            for match in pattern.finditer(text):
                if match.end() > match.start():
                    self.found.add(pattern)
                    yield Span(*match.span())
        if self.fields:
            names = "|".join(map(re.escape, self.fields))
            for match in re.finditer(rf"""(["'])({names})\1\s*:\s*""", text):
                self.found.add(match[2])
                yield from _value(text, match.end())


def rules_of(redact: Redact, fields: str | Iterable[str]) -> Rules | None:
    """What a person asks for; None if nothing may be taken out, not even keys. Raises InputError."""
    if not isinstance(redact, Iterable | re.Pattern) and redact is not False:  # pyright: ignore[reportUnnecessaryComparison]
        raise InputError(f'redact takes texts and patterns, such as redact=["Alice"], or False, not {redact!r:.80}.')
    if not isinstance(fields, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f'redact_fields takes names of fields, such as ["content"], not {fields!r:.80}.')
    names = frozenset([fields] if isinstance(fields, str) else fields)
    if redact is False:
        if names:
            raise InputError("redact=False keeps everything, and redact_fields takes something out: choose one.")
        return None
    given = [redact] if isinstance(redact, str | re.Pattern) else list(cast("Iterable[Any]", redact))
    for one in given:
        pattern: object = cast("Any", one).pattern if isinstance(one, re.Pattern) else one
        if not isinstance(pattern, str):
            raise InputError(f"redact takes texts and compiled patterns of texts, not {one!r:.80}.")
        if not one:
            raise InputError("redact: an empty text stands everywhere. Name what has to go.")
    if wrong := [name for name in names if not isinstance(name, str) or not name]:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"redact_fields takes names of fields, such as 'content', not {wrong[0]!r:.80}.")
    patterns = [cast("re.Pattern[str]", one) for one in given if isinstance(one, re.Pattern)]
    # a long word first: what is a part of it goes with it
    words = sorted({one for one in given if isinstance(one, str)}, key=lambda word: (-len(word), word))
    return Rules(tuple(words), (KEYS, *patterns), names, tuple(given))


def _hint(one: str | re.Pattern[str]) -> str:
    text = one if isinstance(one, str) else one.pattern
    kind = "a text" if isinstance(one, str) else "a pattern"
    return f"{text[:2]!r}…, {kind} of {len(text)} characters"


def spread(pieces: Sequence[str], spans: Sequence[Span]) -> dict[int, str]:
    """The pieces of a text that change when the spans of the whole text go.

    A mark is spread over the pieces that its span had: none becomes empty that tells by its arrival when the text
    began or ended.
    """
    starts = list(accumulate(map(len, pieces), initial=0))
    edits: dict[int, list[Span]] = {}
    for span in spans:
        first, last = bisect_right(starts, span.start) - 1, bisect_left(starts, span.end)
        touched = [number for number in range(first, last) if pieces[number]]
        for number, share in zip(touched, _shares(span.mark, len(touched)), strict=True):
            begin = starts[number]
            local = Span(max(span.start - begin, 0), min(span.end - begin, len(pieces[number])), share)
            edits.setdefault(number, []).append(local)
    return {number: _edited(pieces[number], of_piece) for number, of_piece in edits.items()}


def _shares(mark: str, count: int) -> list[str]:
    size = len(mark)
    if count <= size:
        return [mark[number * size // count : (number + 1) * size // count] for number in range(count)]
    return [*mark[:-1], *[""] * (count - size), mark[-1]]


def _edited(text: str, edits: Sequence[Span]) -> str:
    made: list[str] = []
    done = 0
    for start, end, mark in edits:
        made += (text[done:start], mark)
        done = end
    return "".join([*made, text[done:]])


def _merged(spans: Iterable[Span]) -> list[Span]:
    made: list[Span] = []
    for span in sorted(spans):
        if made and span.start <= made[-1].end:
            widest = span if span.end - span.start > made[-1].end - made[-1].start else made[-1]
            made[-1] = Span(made[-1].start, max(made[-1].end, span.end), widest.mark)
        else:
            made.append(span)
    return made


def _read_once(escapes: re.Pattern[str], text: str, at: Sequence[int]) -> tuple[str, Sequence[int]] | None:
    """The text with its escapes read once, and where each of its characters stands; None if it has no escape.

    `at`: where each character of `text` stands, and its end.
    """
    parts: list[str] = []
    places = array("q")
    done = 0
    for match in escapes.finditer(text):
        start, end = match.span()
        parts += (text[done:start], _read(match[0]))
        places.extend(at[done : start + 1])
        done = end
    if not parts:
        return None
    parts.append(text[done:])
    places.extend(at[done:])
    return "".join(parts), places


def _read(escape: str) -> str:
    if escape[0] != "\\" or len(escape) in (7, 12):  # both halves of a pair
        high, low = _half(escape), _half(escape[-6:] if escape[-6:-5] == "\\" else escape[-1:])
        return chr(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00)
    if escape[1] in "uUx":
        code = int(escape[2:], 16)
        return chr(code) if code < 0x110000 else "\ufffd"
    return _ESCAPED.get(escape[1], escape[1])


def _half(text: str) -> int:
    return int(text[2:6], 16) if text[0] == "\\" else ord(text[0])


def _value(text: str, start: int) -> Iterator[Span]:
    """The value that begins there, in JSON or as Python writes it; a cut one to its end."""
    opening = text[start : start + 1]
    if opening in _QUOTED:
        match = _QUOTED[opening].match(text, start + 1)
        end = match.end(1) if match else len(text)
        if end > start + 1:
            yield Span(start + 1, end)
    elif opening in ("{", "["):
        depth = 0
        for token in _NESTING.finditer(text, start):
            depth += (token[0] in "{[") - (token[0] in "}]")
            if depth == 0:
                yield Span(start, token.end(), f'"{MARK}"')
                return
        yield Span(start, len(text), f'"{MARK}"')
    elif (bare := _BARE.match(text, start)) and bare[0] not in ("null", "None"):
        yield Span(*bare.span(), f'"{MARK}"')
