"""Figures as people read them, the same in the page, in saved output and in a terminal: times, counts, sizes."""

from __future__ import annotations

import math


def _round(value: float) -> int:
    """Half up, as JavaScript's `Math.round`: the page and the saved text must not differ in the last digit."""
    return math.floor(value + 0.5)


def time(ns: int) -> str:
    """`0.4 ms`, `317 ms`, `4.61 s`, `16.0 s`, `2:04`, `1:02:04`."""
    ms = ns / 1e6
    if ms < 0.95:
        return f"{_round(ms * 10) / 10:.1f} ms"
    if ms < 999.5:
        return f"{_round(ms)} ms"
    if ms < 9_995:
        return f"{_round(ms / 10) / 100:.2f} s"
    if ms < 59_950:
        return f"{_round(ms / 100) / 10:.1f} s"
    return _clock_face(_round(ms / 1000))


def bound(ns: int) -> str:
    """`7 ms` of 6.6 ms: as `time`, of what is at most so long, which no rounding may make shorter than it is."""
    for unit, most, told in ((100_000, 9, 10), (1_000_000, 999, 1), (10_000_000, 999, 100), (100_000_000, 599, 10)):
        number = -(-ns // unit)
        if number <= most:
            places = len(str(told)) - 1
            return f"{number / told:.{places}f} {'ms' if unit <= 1_000_000 else 's'}"
    return _clock_face(-(-ns // 1_000_000_000))


def patience(ns: int) -> str:
    """How long a person was waited for: `0:42`; under a second as any other time."""
    return time(max(ns, 0)) if ns < 999_500_000 else _clock_face(_round(ns / 1e9))


def _clock_face(total: int) -> str:
    minutes, seconds = divmod(total, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def count(number: int) -> str:
    """`7,950`."""
    return f"{number:,}"


def plural(number: int, noun: str) -> str:
    """`1 step`, `4 steps`."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def size(characters: int) -> str:
    """`812 characters`, `36 kB`, `1.2 MB`: how much of a text was left out."""
    if characters < 1000:
        return plural(characters, "character")
    if characters < 999_500:
        return f"{_round(characters / 1000)} kB"
    return f"{characters / 1e6:.1f} MB"


def dollars(usd: float) -> str:
    """`$1.20`, `$0.0012`, `$0.000012`: as the page's header writes them."""
    # what a tenth of a cent does not show is told in more places
    return f"${usd:,.{2 if usd >= 1 else 4 if usd >= 0.001 or usd == 0 else 6}f}"
