"""The demo agent's tools. They compute; nothing in them is canned."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from datetime import date
from typing import Any

from pydantic_ai.tools import Tool

from letta_nb.server.demo.climate import MONTHS, cities, find_city

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
}
_FUNCTIONS: dict[str, Any] = {"sqrt": math.sqrt, "abs": abs, "round": round, "log": math.log}
_LARGEST_POWER = 10_000
_LONGEST_RENTAL = 72


def demo_tools(today: Callable[[], date]) -> list[Tool[Any]]:
    """The tools; `today` says which month it is."""

    def get_weather(city: str, month: str | None = None) -> dict[str, Any]:
        """Typical weather of a city in a month, from climate normals (not a forecast).

        Args:
            city: The city's name in English.
            month: The month's English name; this month if left out.
        """
        index = MONTHS.index(month.strip().capitalize()) if month else today().month - 1
        found = find_city(city)
        print(f"climate table: {len(cities())} cities, reading {found.name}, {MONTHS[index]}")
        return {
            "city": found.name,
            "country": found.country,
            "month": MONTHS[index],
            "temperature_c": found.temperature_c[index],
            "rain_days": found.rain_days[index],
            "wind_kmh": found.wind_kmh,
        }

    rentals: list[dict[str, Any]] = []

    def rent_bike(city: str, hours: float = 1) -> dict[str, Any]:
        """Rent a bike; needs the user's approval. Dearer where this month is good for cycling.

        Args:
            city: The city's name in English.
            hours: For how long.
        """
        if not 0 < hours <= _LONGEST_RENTAL:
            raise ValueError(f"a bike can be rented for up to {_LONGEST_RENTAL} hours, not for {hours:g}")
        weather = get_weather(city)
        score = bike_score(*(weather[key] for key in ("city", "temperature_c", "rain_days", "wind_kmh")))["score"]
        rate = round(2 + score / 25, 2)
        price = round(rate * hours, 2)
        rental = {"city": weather["city"], "hours": hours, "eur_per_hour": rate, "price_eur": price}
        rentals.append(rental)
        print(f"{hours:g} h * {rate} EUR/h = {price} EUR; {len(rentals)} rented so far")
        return {"receipt": f"R-{len(rentals):04}"} | rental

    return [
        Tool(get_weather),
        Tool(bike_score),
        Tool(find_cities),
        Tool(calculate),
        Tool(rent_bike, requires_approval=True),
    ]


def bike_score(city: str, temperature_c: float, rain_days: float, wind_kmh: float) -> dict[str, Any]:
    """How pleasant cycling is, from 0 to 100, and what takes points away.

    Args:
        city: Which city the weather is of.
        temperature_c: Mean temperature in degrees Celsius.
        rain_days: Days with rain in the month.
        wind_kmh: Mean wind in km/h.
    """
    cold, heat = max(0.0, 16 - temperature_c) * 2.5, max(0.0, temperature_c - 24) * 4
    penalties = {"cold": cold, "heat": heat, "rain": rain_days * 1.5, "wind": max(0.0, wind_kmh - 8) * 1.2}
    score = max(0, round(100 - sum(penalties.values())))
    for name, points in penalties.items():
        print(f"{name:>5}: -{points:.1f}")
    worst = max(penalties, key=lambda name: penalties[name])
    verdict = "yes" if score >= 60 else "with the right clothes" if score >= 35 else "better take the tram"
    return {"city": city, "score": score, "verdict": verdict, "worst": worst if penalties[worst] else None}


def find_cities(country: str | None = None) -> list[str]:
    """The cities there is climate data for.

    Args:
        country: Only those of this country.
    """
    found = [c.name for c in cities().values() if country is None or c.country.lower() == country.strip().lower()]
    print(f"{len(found)} of {len(cities())} cities")
    return found


def calculate(expression: str) -> float:
    """The value of an arithmetic expression.

    Args:
        expression: Numbers with + - * / // % **, parentheses, sqrt, abs, round, log.
    """
    value = _value(ast.parse(expression.strip(), mode="eval").body)
    print(f"{expression.strip()} = {value}")
    return value


def _value(node: ast.AST) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left), _value(right))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](_value(left), _value(right))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*map(_value, arguments))
        case _:
            raise ValueError(f"not arithmetic: {ast.unparse(node)}")


def _power(base: float, exponent: float) -> float:
    # whole numbers have no limit of their own: 9**9**9 would take the machine with it
    if max(abs(base), abs(exponent)) > _LARGEST_POWER:
        raise OverflowError("the power is too large")
    power: complex = base**exponent
    if isinstance(power, complex):
        raise ValueError("the root of a negative number is not real")
    return power
