"""What the scripted agent thinks, calls and says next. Every number it says comes out of a tool return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic_ai.messages import ModelMessage, ModelResponse, ToolReturnPart, UserPromptPart
from pydantic_ai.tools import ToolDefinition

from letta_nb.server.demo.client_tools import client_move
from letta_nb.server.demo.move import Move, denial_words
from letta_nb.server.demo.request import Wish, read_wish

REMEMBER = "memory_insert"
_HUMAN = "human"

_ABOUT = (
    "I am a **scripted stand-in**, not a language model: a few rules read your words, and the tools I call are real "
    "Python functions on a small table of climate normals. For a real model, start the server with "
    '`letta_nb.serve(model="openai:gpt-4o-mini")`, any other pydantic-ai model, or `base_url=` of an OpenAI-compatible '
    "server."
)
_HELP = (
    "I did not find anything in that which I can do.\n\n"
    f"{_ABOUT}\n\nYou can ask me:\n\n"
    "- *What is the weather in Oslo, and should I bike?*\n"
    "- *Compare Paris, Tokyo and Cairo in July.*\n"
    "- *And in Bergen?* (after a question like these)\n"
    "- *Which cities do you know in Norway?*\n"
    "- *What is (3 + 4) / 1.6?*\n"
    "- *Rent a bike in Oslo for 3 hours.* (I need your approval for that)\n"
    "- *Remember that I like quiet roads.*"
)


@dataclass
class _Turn:
    """The prompt, and what the tools have returned since, each with what it was called with."""

    prompt: str
    wish: Wish
    returns: list[ToolReturnPart]
    arguments: dict[str, dict[str, Any]]

    def of(self, tool: str) -> list[ToolReturnPart]:
        return [part for part in self.returns if part.tool_name == tool]

    def results(self, tool: str) -> list[dict[str, Any]]:
        return [cast("dict[str, Any]", part.content) for part in self.of(tool) if part.outcome == "success"]

    def failures(self, tool: str) -> list[str]:
        # the tool's own words, without where they came from
        failed = [part for part in self.of(tool) if part.outcome not in ("success", "denied")]
        return [str(part.content).split(": ", 2)[-1] for part in failed]


def next_move(
    messages: Sequence[ModelMessage], client_tools: Sequence[ToolDefinition] = (), *, remembers: bool = False
) -> Move:
    """The script's next reply in a conversation; the client's tools are called when the prompt names them.

    `remembers`: whether the agent has memory blocks to write to.
    """
    turn = _read(messages)
    if move := client_move(turn.prompt, turn.returns, client_tools):
        return move
    match turn.wish.kind:
        case "weather":
            return _weather(turn)
        case "rent":
            return _rent(turn)
        case "arithmetic":
            return _arithmetic(turn)
        case "cities":
            return _cities(turn)
        case "remember":
            return _remember(turn, remembers=remembers)
        case "identity":
            return Move("They want to know what I am. The honest answer is short.", words=_ABOUT)
        case "help":
            return Move("No rule of mine matches this. I should say so, and what I can do.", words=_HELP)


def _read(messages: Sequence[ModelMessage]) -> _Turn:
    prompts: list[str] = []
    returns: list[ToolReturnPart] = []
    arguments: dict[str, dict[str, Any]] = {}
    for message in messages:
        if isinstance(message, ModelResponse):
            arguments |= {call.tool_call_id: call.args_as_dict() for call in message.tool_calls}
            continue
        for part in message.parts:
            if isinstance(part, UserPromptPart):
                prompts.append(_text(part))
                returns.clear()
            elif isinstance(part, ToolReturnPart):
                returns.append(part)
    prompt = prompts[-1] if prompts else ""
    return _Turn(prompt, read_wish(prompt, prompts[:-1]), returns, arguments)


def _text(part: UserPromptPart) -> str:
    return part.content if isinstance(part.content, str) else " ".join([p for p in part.content if isinstance(p, str)])


def _weather(turn: _Turn) -> Move:
    wish = turn.wish
    if not turn.of("get_weather"):
        month = {"month": wish.month} if wish.month else {}
        calls = [("get_weather", {"city": place} | month) for place in wish.places]
        where = _list(wish.places)
        return Move(f"They ask about {where}. I look up the climate table, then decide.", calls)
    weather = turn.results("get_weather")
    if wish.bike and weather and not turn.of("bike_score"):
        keys = ("city", "temperature_c", "rain_days", "wind_kmh")
        calls = [("bike_score", {key: found[key] for key in keys}) for found in weather]
        seen = _list([f"{found['temperature_c']} °C in {found['city']}" for found in weather])
        return Move(f"{seen}. Whether that is good for cycling, the score can tell.", calls)
    problems = turn.failures("get_weather") + turn.failures("bike_score")
    thought = "I have the numbers; now the answer." if weather else "The table has nothing there. I say so."
    return Move(thought, words=_weather_words(wish, weather, turn.results("bike_score"), problems))


def _weather_words(wish: Wish, weather: list[dict[str, Any]], scores: list[dict[str, Any]], problems: list[str]) -> str:
    words = [f"Sorry, {problem}" for problem in problems]
    if not weather:
        return "\n\n".join([*words, "Ask me *which cities do you know?* for the ones I have."])
    by_city = {score["city"]: score for score in scores}
    if len(weather) == 1:
        found = weather[0]
        words.append(f"In **{found['city']}**, a typical {found['month']}:")
    else:
        words.append(f"A typical {weather[0]['month']}:")
    words.append(_table(weather, by_city))
    for found in weather if scores else ():
        if score := by_city.get(found["city"]):
            cause = f" (mostly the {score['worst']})" if score["worst"] else ""
            words.append(f"**Bike in {found['city']}? {score['verdict'].capitalize()}.** {score['score']}/100{cause}.")
    if len(weather) > 1:
        warmest = max(weather, key=lambda found: found["temperature_c"])
        driest = min(weather, key=lambda found: found["rain_days"])
        words.append(f"Warmest is **{warmest['city']}**, driest **{driest['city']}**.")
    words.append("*Climate normals, not a forecast.*")
    return "\n\n".join(words)


def _table(weather: list[dict[str, Any]], scores: dict[str, dict[str, Any]]) -> str:
    heads = ["city", "mean °C", "rain days", "wind km/h"] + (["bike score"] if scores else [])
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    for found in weather:
        cells = [found["city"], found["temperature_c"], found["rain_days"], found["wind_kmh"]]
        if scores:
            cells.append(scores[found["city"]]["score"] if found["city"] in scores else "")
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _rent(turn: _Turn) -> Move:
    wish = turn.wish
    if not wish.places:
        return Move("A bike, but where?", words="In which city? *Rent a bike in Oslo for 3 hours.*")
    if not (returned := turn.of("rent_bike")):
        calls = [("rent_bike", {"city": place, "hours": wish.hours}) for place in wish.places]
        return Move(f"Renting in {_list(wish.places)} costs money: the user has to approve it.", calls)
    words: list[str] = []
    for part in returned:
        city = str(turn.arguments[part.tool_call_id].get("city"))
        if part.outcome == "denied":
            words.append(f"I did **not** rent a bike in {city}: {denial_words(part)}")
    words += [f"Sorry, {problem}" for problem in turn.failures("rent_bike")]
    words += [
        f"Rented in **{found['city']}** for {found['hours']:g} h: {found['hours']:g} × {found['eur_per_hour']:.2f} € = "
        f"**{found['price_eur']:.2f} €**, receipt {found['receipt']}."
        for found in turn.results("rent_bike")
    ]
    if turn.results("rent_bike"):
        words.append("*A bike of the demo: it is in a list in memory, and nowhere else.*")
    return Move("The answers are here; I say what was done and what was not.", words="\n\n".join(words))


def _arithmetic(turn: _Turn) -> Move:
    expression = turn.wish.expression
    if not (returned := turn.of("calculate")):
        return Move(
            "That is arithmetic; the calculator is better at it than I am.", [("calculate", {"expression": expression})]
        )
    if returned[-1].outcome != "success":
        problem = turn.failures("calculate")[-1]
        return Move(
            "The calculator refused. I pass on why.", words=f"Sorry, I could not compute `{expression}`: {problem}"
        )
    return Move("The calculator has it.", words=f"`{expression}` = **{returned[-1].content}**")


def _cities(turn: _Turn) -> Move:
    country = turn.wish.country
    if not (returned := turn.of("find_cities")):
        arguments = {"country": country} if country else {}
        return Move("They want to know which cities I have.", [("find_cities", arguments)])
    found: Any = returned[-1].content
    names = [str(name) for name in found] if returned[-1].outcome == "success" else []
    where = f" in {country}" if country else ""
    listed = "\n".join(f"- {name}" for name in names)
    return Move("The list is here.", words=f"I have climate data for these {len(names)}{where}:\n\n{listed}")


def _remember(turn: _Turn, *, remembers: bool) -> Move:
    fact = turn.wish.fact[0].upper() + turn.wish.fact[1:]
    if not remembers:
        return Move("I have nowhere to write that.", words="This agent has no memory blocks, so I cannot remember it.")
    if not turn.of(REMEMBER):
        return Move("That is worth keeping. It is about the user.", [(REMEMBER, {"label": _HUMAN, "new_string": fact})])
    if problems := turn.failures(REMEMBER):
        return Move("It was not written. I say why.", words=f"Sorry, I could not remember that: {problems[-1]}")
    return Move("It is written down.", words=f"I will remember it: my block `{_HUMAN}` has a new line.\n\n> {fact}")


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
