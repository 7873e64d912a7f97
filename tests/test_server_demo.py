"""The demo agent: it understands what it says it does, its numbers come from its tools, and it says what it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ThinkingPart, ToolReturnPart
from pydantic_ai.usage import RunUsage
from server_play import Wire, joined, kinds, of_type

from letta_nb.server import serve
from letta_nb.server.demo import demo_agent
from letta_nb.server.demo.climate import MONTHS, cities
from letta_nb.server.demo.request import read_wish
from letta_nb.server.demo.tools import calculate
from letta_nb.server.tools import ToolRuns

TODAY = date(2026, 7, 14)


class Chat:
    """A conversation with the demo agent, without a server."""

    def __init__(self, today: date = TODAY) -> None:
        self.agent = demo_agent(pace=0, today=lambda: today)
        self.history: list[ModelMessage] = []
        self.usage = RunUsage()

    def ask(self, prompt: str) -> str:
        result = asyncio.run(self._ask(prompt))
        return str(result)

    async def _ask(self, prompt: str) -> Any:
        async with self.agent.run_stream_events(
            prompt, message_history=self.history, capabilities=[ToolRuns()]
        ) as events:
            async for event in events:
                result = getattr(event, "result", None)
        assert result is not None
        self.new: Sequence[ModelMessage] = result.new_messages()
        self.history = result.all_messages()
        return result.output

    @property
    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        responses = [message for message in self.new if isinstance(message, ModelResponse)]
        return [(call.tool_name, call.args_as_dict()) for message in responses for call in message.tool_calls]

    @property
    def returns(self) -> list[Any]:
        requests = [message for message in self.new if isinstance(message, ModelRequest)]
        return [part.content for message in requests for part in message.parts if isinstance(part, ToolReturnPart)]


def test_the_readme_prompt_is_a_good_show() -> None:
    chat = Chat()
    answer = chat.ask("What is the weather in Oslo, and should I bike?")
    assert [name for name, _ in chat.calls] == ["get_weather", "bike_score"]
    responses = [message for message in chat.new if isinstance(message, ModelResponse)]
    assert [type(message.parts[0]) for message in responses] == [ThinkingPart] * 3
    assert isinstance(responses[-1].parts[-1], TextPart)
    weather, score = chat.returns
    row = ("Oslo", weather["temperature_c"], weather["rain_days"], weather["wind_kmh"], score["score"])
    assert "| " + " | ".join(map(str, row)) + " |" in answer
    assert weather["month"] == "July"
    assert "not a forecast" in answer


def test_a_long_talk_about_nothing_is_read_at_once() -> None:
    """Each prompt once: a reading that begins anew at each of the earlier ones would not end here."""
    assert read_wish("and in Bergen?", ["weather in Oslo in May", *["hello"] * 60]).places == ("Bergen",)
    assert read_wish("and in Bergen?", ["weather in Oslo in May", *["hello"] * 60]).month == "May"


def test_the_month_is_todays_or_the_one_named() -> None:
    assert "January" in Chat(date(2026, 1, 5)).ask("weather in Oslo")
    assert "typical March" in Chat().ask("How cold is it in Oslo in March?")


def test_cities_are_compared_by_calls_at_once() -> None:
    chat = Chat()
    answer = chat.ask("Compare Paris, Tokyo and cairo in July, where should I bike?")
    first = next(message for message in chat.new if isinstance(message, ModelResponse))
    assert [call.args_as_dict()["city"] for call in first.tool_calls] == ["Paris", "Tokyo", "Cairo"]
    assert [name for name, _ in chat.calls] == ["get_weather"] * 3 + ["bike_score"] * 3
    assert "driest **Cairo**" in answer


def test_follow_ups_take_what_they_leave_out_from_before() -> None:
    chat = Chat()
    chat.ask("What is the weather in Oslo in May, and should I bike?")
    chat.ask("And in Bergen?")
    assert chat.calls[0] == ("get_weather", {"city": "Bergen", "month": "May"})
    assert chat.calls[1][0] == "bike_score"
    chat.ask("What about September?")
    assert chat.calls[0] == ("get_weather", {"city": "Bergen", "month": "September"})


def test_an_unknown_city_is_an_apology() -> None:
    chat = Chat()
    answer = chat.ask("What is the weather in Atlantis?")
    assert "Sorry, no climate data for 'Atlantis'." in answer
    assert "Bergen" in Chat().ask("weather in Bergn")


def test_known_cities_are_answered_beside_unknown_ones() -> None:
    answer = Chat().ask("Compare Oslo and Atlantis")
    assert "Sorry" in answer
    assert "In **Oslo**" in answer


@pytest.mark.parametrize(
    ("prompt", "places"),
    [
        ("Should I cycle in Rome or Milan in August?", ("Rome", "Milan")),
        ("weather in Zürich, Oslo, Timbuktu and São Tomé", ("Zurich", "Oslo", "Timbuktu", "São Tomé")),
        ("In Oslo, I wonder: is it cold? The rain...", ("Oslo",)),
        ("is new york warmer than San Marino", ("New York", "San Marino")),
        ("weather in Norway", ()),
    ],
)
def test_no_place_is_dropped_and_no_word_is_a_place(prompt: str, places: tuple[str, ...]) -> None:
    assert read_wish(prompt).places == places


@pytest.mark.parametrize(
    ("prompt", "expression", "value"),
    [
        ("What is 12.5 * (3 + 4)?", "12.5 * (3 + 4)", "87.5"),
        ("What is (3 + 4) / 1.6?", "(3 + 4) / 1.6", "4.375"),
        ("2^10", "2**10", "1024"),
        ("sqrt(2) please", "sqrt(2)", "1.414"),
        ("compute 7 // 2 - -1", "7 // 2 - -1", "4"),
    ],
)
def test_arithmetic_goes_to_the_calculator(prompt: str, expression: str, value: str) -> None:
    chat = Chat()
    answer = chat.ask(prompt)
    assert chat.calls == [("calculate", {"expression": expression})]
    assert value in answer


def test_arithmetic_that_fails_is_told() -> None:
    assert "division by zero" in Chat().ask("1 / 0")
    assert "too large" in Chat().ask("9 ** 99999")


@pytest.mark.parametrize("prompt", ["__import__('os')", "open('x')", "(1).__class__", "9**9**9", "'a' * 9", "[1]"])
def test_the_calculator_only_calculates(prompt: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        calculate(prompt)


@pytest.mark.parametrize("prompt", ["Who are you?", "Which model is this?", "are you a language model"])
def test_it_says_what_it_is(prompt: str) -> None:
    answer = Chat().ask(prompt)
    assert "not a language model" in answer
    assert "letta_nb.serve(model=" in answer


@pytest.mark.parametrize("prompt", ["help", "Write a poem", "", "🤔", "tell me about quantum physics"])
def test_it_says_what_it_cannot(prompt: str) -> None:
    answer = Chat().ask(prompt or " ")
    assert "scripted stand-in" in answer
    assert "weather in Oslo" in answer


def test_it_lists_its_cities() -> None:
    answer = Chat().ask("Which cities do you know in Norway?")
    assert all(f"- {name}" in answer for name in ("Oslo", "Bergen", "Trondheim"))
    assert str(len(cities())) in Chat().ask("list all cities")


@given(st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_any_words_are_understood_somehow(prompts: list[str]) -> None:
    assert read_wish(prompts[-1], prompts[:-1]).kind in ("weather", "arithmetic", "cities", "identity", "help")


def test_the_climate_table_is_whole() -> None:
    assert len(cities()) >= 40
    assert len(MONTHS) == 12
    for city in cities().values():
        assert len(city.temperature_c) == len(city.rain_days) == 12, city
        assert all(-30 < value < 45 for value in city.temperature_c), city
        assert all(0 <= value <= 31 for value in city.rain_days), city


def test_served_it_streams_and_says_it_is_scripted() -> None:
    with serve(pace=0) as server:
        wire = Wire(server.url)
        agent = wire.get("/v1/agents/")[0]
        assert agent["name"] == "demo"
        assert agent["model"] == "letta_nb/scripted"
        assert "no language model" in agent["system"]
        found = wire.stream("What is the weather in Oslo, and should I bike?", stream_tokens=True)
        assert [kind for kind in kinds(found) if kind == "tool_return_message"] == ["tool_return_message"] * 2
        assert "reading Oslo" in of_type(found, "tool_return_message")[0]["stdout"][0]
        pieces = [
            e["tool_call"]["arguments"] for e in of_type(found, "tool_call_message") if "arguments" in e["tool_call"]
        ]
        assert len(pieces) > 10
        wire.http.close()


def test_it_can_speak_through_the_message_tool() -> None:
    with serve(pace=0, message_tool=True) as server:
        wire = Wire(server.url)
        spoken = wire.stream("2 + 2", stream_tokens=True)
        called = wire.stream("2 + 2", stream_tokens=True, use_assistant_message=False)
        wire.http.close()
    assert joined(spoken, "assistant_message", "content") == "`2 + 2` = **4**"
    assert not of_type(called, "assistant_message")
    pieces = [event["tool_call"].get("arguments", "") for event in of_type(called, "tool_call_message")]
    assert json.loads("".join(pieces).split("}")[-2] + "}") == {"message": "`2 + 2` = **4**"}


def test_the_pace_is_a_pace() -> None:
    agent = demo_agent(pace=1000)
    assert agent.model is not None
    assert agent.model._pause == 0.001  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("prompt", "places", "hours"),
    [
        ("Book me a bike in Oslo", ("Oslo",), 1),
        ("rent a bike in Oslo for 3 hours", ("Oslo",), 3),
        ("Please rent bikes in Oslo and Bergen for two hours", ("Oslo", "Bergen"), 2),
        ("I want to hire a bicycle for 1.5h in Paris.", ("Paris",), 1.5),
        ("Rent me a bike", (), 1),
    ],
)
def test_a_rental_is_understood(prompt: str, places: tuple[str, ...], hours: float) -> None:
    wish = read_wish(prompt)
    assert (wish.kind, wish.places, wish.hours) == ("rent", places, hours)


def pending(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return of_type(found, "approval_request_message")[-1]["tool_calls"]


def test_a_rental_waits_for_approval_and_its_price_is_the_tools() -> None:
    with serve(pace=0) as server:
        wire = Wire(server.url)
        calls = pending(wire.stream("Rent a bike in Oslo and Atlantis for 3 hours"))
        assert [json.loads(call["arguments"]) for call in calls] == [
            {"city": "Oslo", "hours": 3.0},
            {"city": "Atlantis", "hours": 3.0},
        ]
        words = [{"type": "approval", "tool_call_id": call["tool_call_id"], "approve": True} for call in calls]
        found = wire.stream(messages=[{"type": "approval", "approvals": words}])
        wire.http.close()
    (back,) = of_type(found, "tool_return_message")
    receipt = json.loads(back["tool_returns"][0]["tool_return"])
    said = joined(found, "assistant_message", "content")
    assert receipt["price_eur"] == round(receipt["eur_per_hour"] * 3, 2) > 0
    assert f"{receipt['price_eur']:.2f} €" in said
    assert receipt["receipt"] in said
    assert "no climate data for 'Atlantis'" in said


def test_a_denied_rental_is_not_made_and_the_reason_is_told() -> None:
    with serve(pace=0) as server:
        wire = Wire(server.url)
        (call,) = pending(wire.stream("Book me a bike in Oslo"))
        word = {"type": "approval", "tool_call_id": call["tool_call_id"], "approve": False, "reason": "too cold"}
        found = wire.stream(messages=[{"type": "approval", "approvals": [word]}])
        wire.http.close()
    said = joined(found, "assistant_message", "content")
    assert "**not** rent a bike in Oslo" in said
    assert "*too cold*" in said


def test_a_rental_has_its_limits() -> None:
    with serve(pace=0) as server:
        wire = Wire(server.url)
        (call,) = pending(wire.stream("Rent a bike in Oslo for 500 hours"))
        word = {"type": "approval", "tool_call_id": call["tool_call_id"], "approve": True}
        found = wire.stream(messages=[{"type": "approval", "approvals": [word]}])
        assert "In which city" in joined(wire.stream("rent a bike"), "assistant_message", "content")
        wire.http.close()
    assert "up to 72 hours" in joined(found, "assistant_message", "content")


MY_FUNCTION = {
    "name": "my_function",
    "description": "Add.",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
}
GREET = {
    "name": "greet",
    "parameters": {"type": "object", "properties": {"who": {"type": "string"}, "loud": {"type": "boolean"}}},
}


@pytest.mark.parametrize(
    ("prompt", "tool", "arguments"),
    [
        ("use my_function with a=3, b=4", MY_FUNCTION, {"a": 3, "b": 4}),
        ("my_function(3, 4)", MY_FUNCTION, {"a": 3, "b": 4}),
        ("Call my_function(3, b=4), please.", MY_FUNCTION, {"a": 3, "b": 4}),
        ("my_function where a is 3 and b is 4.", MY_FUNCTION, {"a": 3, "b": 4}),
        ("my_function", MY_FUNCTION, {}),
        ('greet(who="Ann (and Bob)")', GREET, {"who": "Ann (and Bob)"}),
        ("greet with who: Ann, loud=true", GREET, {"who": "Ann", "loud": True}),
        ("please greet who=3", GREET, {"who": "3"}),
    ],
)
def test_a_clients_tool_is_called_as_the_prompt_says(prompt: str, tool: Any, arguments: Any) -> None:
    with serve(pace=0) as server:
        wire = Wire(server.url)
        (call,) = pending(wire.stream(prompt, client_tools=[tool]))
        assert json.loads(call["arguments"]) == arguments
        item = {"type": "tool", "tool_call_id": call["tool_call_id"], "tool_return": "forty-two", "status": "success"}
        found = wire.stream(messages=[{"type": "approval", "approvals": [item]}], client_tools=[tool])
        wire.http.close()
    assert joined(found, "assistant_message", "content") == f"`{tool['name']}` returned `forty-two`."


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"type": "tool", "tool_return": "ZeroDivisionError", "status": "error"}, "failed: ZeroDivisionError"),
        ({"type": "approval", "approve": False, "reason": "not now"}, "was not run: you denied it and said *not now*"),
    ],
)
def test_a_clients_tool_that_did_not_work_is_told(item: dict[str, Any], said: str) -> None:
    with serve(pace=0) as server:
        wire = Wire(server.url)
        (call,) = pending(wire.stream("my_function(1, 2)", client_tools=[MY_FUNCTION]))
        item["tool_call_id"] = call["tool_call_id"]
        found = wire.stream(messages=[{"type": "approval", "approvals": [item]}], client_tools=[MY_FUNCTION])
        wire.http.close()
    assert said in joined(found, "assistant_message", "content")


def test_an_offer_that_the_prompt_does_not_name_changes_nothing() -> None:
    with serve(pace=0) as server:
        wire = Wire(server.url)
        found = wire.stream("2 + 2", client_tools=[MY_FUNCTION])
        wire.http.close()
    assert not of_type(found, "approval_request_message")
