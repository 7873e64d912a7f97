"""The climate table that ships with the package."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from unicodedata import combining, normalize

MONTHS: list[str] = [
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
]


@dataclass(frozen=True)
class City:
    """A city's normals, January to December."""

    name: str
    country: str
    temperature_c: tuple[int, ...]
    rain_days: tuple[int, ...]
    wind_kmh: int


class UnknownCity(LookupError):
    """There is no climate data for a city of that name."""


@cache
def cities() -> dict[str, City]:
    """All cities by lower-case name."""
    lines = files("letta_nb.server").joinpath("data/climate.csv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {row["city"].lower(): _city(row) for row in rows}


def _city(row: dict[str, str]) -> City:
    temperatures, rain = (tuple(int(v) for v in row[key].split()) for key in ("temperature_c", "rain_days"))
    return City(row["city"], row["country"], temperatures, rain, int(row["wind_kmh"]))


def plain(name: str) -> str:
    """The name in lower case and without accents, as the table's keys are."""
    return "".join(char for char in normalize("NFKD", name) if not combining(char)).lower()


def find_city(name: str) -> City:
    """The city of that name."""
    key = plain(name.strip())
    city = cities().get(key)
    if city is None:
        close = get_close_matches(key, cities(), n=3)
        hint = f" Did you mean {' or '.join(cities()[c].name for c in close)}?" if close else ""
        raise UnknownCity(f"no climate data for {name!r}.{hint}")
    return city
