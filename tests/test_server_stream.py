"""The endpoint itself: what a run sounds like, in step and token mode, with each request parameter."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from server_play import Play, events, joined, kinds, of_type, playing

RECORDINGS = Path(__file__).parent / "fixtures" / "0.16.8"


def get_weather(city: str) -> dict[str, Any]:
    """The weather."""
    print(f"looking up {city}")
    return {"city": city, "temp_c": 21}


MULTI = [
    [("think", "Look it up."), ("call", "get_weather", '{"city": "Paris"}')],
    [("think", "Say so."), ("say", "It is 21 in Paris.")],
]
PARALLEL = [
    [("call", "get_weather", '{"city": "Paris"}'), ("call", "get_weather", '{"city": "Tokyo"}')],
    [("say", "Both 21.")],
]


def recorded(case: str) -> list[dict[str, Any]]:
    return events((RECORDINGS / f"{case}.sse").read_bytes())


def shape(event: dict[str, Any]) -> Any:
    """Keys in order, one level into lists and objects."""
    inner = {key: value[0] if isinstance(value, list) and value else value for key, value in event.items()}
    return [(key, list(value) if isinstance(value, dict) else None) for key, value in inner.items()]


def shapes(found: list[dict[str, Any]]) -> dict[tuple[str, str], Any]:
    """The shapes of each event type; deltas of a call differ by what they carry."""
    return {(e["message_type"], "/".join(e.get("tool_call") or {})): shape(e) for e in found}


@pytest.mark.parametrize(
    ("case", "replies", "tokens"),
    [
        ("v1_multi_step", MULTI, False),
        ("v1_multi_tok", MULTI, True),
        ("v1_parallel_step", PARALLEL, False),
        ("v1_parallel_tok", PARALLEL, True),
    ],
)
def test_events_have_the_keys_of_the_recorded_server_in_its_order(case: str, replies: Any, tokens: bool) -> None:
    with playing(replies, get_weather) as wire:
        ours, theirs = wire.stream(stream_tokens=tokens), recorded(case)
    known = shapes(theirs)
    assert {key: known.get(key) for key in shapes(ours)} == shapes(ours)
    assert kinds(ours)[-2:] == kinds(theirs)[-2:]


def test_step_mode_tells_each_step_whole_and_in_order() -> None:
    with playing(MULTI, get_weather) as wire:
        body = wire.body()
    found = events(body)
    assert [event["message_type"] for event in found] == [
        "ping",
        "reasoning_message",
        "tool_call_message",
        "tool_return_message",
        "reasoning_message",
        "assistant_message",
        "stop_reason",
        "usage_statistics",
    ]
    assert body.endswith(b"data: [DONE]\n\n")
    call, back = found[2], found[3]
    assert call["tool_calls"] == [call["tool_call"]]
    assert back["tool_return"] == '{"city":"Paris","temp_c":21}'
    assert (back["name"], back["status"], back["stdout"], back["stderr"]) == (
        "get_weather",
        "success",
        ["looking up Paris\n"],
        [],
    )
    assert found[-2]["stop_reason"] == "end_turn"
    assert found[-1]["step_count"] == 2
    assert found[-1]["total_tokens"] == found[-1]["prompt_tokens"] + found[-1]["completion_tokens"]
    assert found[-1]["context_tokens"] > 0
    assert found[-1]["reasoning_tokens"] is None


def test_token_mode_joins_to_what_step_mode_says() -> None:
    with playing(MULTI, get_weather) as wire:
        step, tokens = wire.stream(), wire.stream(stream_tokens=True)
    for message_type, key in (("reasoning_message", "reasoning"), ("assistant_message", "content")):
        assert joined(tokens, message_type, key) == joined(step, message_type, key)
    calls = of_type(tokens, "tool_call_message")
    assert len(of_type(tokens, "reasoning_message")) > 2
    assert list(calls[0]["tool_call"]) == ["name", "tool_call_id"]
    assert all(list(call["tool_call"]) == ["arguments", "tool_call_id"] for call in calls[1:])
    assert "".join(call["tool_call"].get("arguments", "") for call in calls) == '{"city": "Paris"}'
    assert kinds(tokens) == kinds(step)


@pytest.mark.parametrize("tokens", [False, True])
def test_ids_join_the_events_of_a_reply(tokens: bool) -> None:
    with playing(MULTI, get_weather) as wire:
        found = wire.stream(stream_tokens=tokens)
    run_id = found[0]["run_id"]
    messages = of_type(found, "reasoning_message", "tool_call_message", "tool_return_message", "assistant_message")
    assert {event["run_id"] for event in messages} == {run_id}
    assert len({event["step_id"] for event in messages}) == 2
    first_step = [event for event in messages if event["step_id"] == messages[0]["step_id"]]
    reply = [event for event in first_step if event["message_type"] != "tool_return_message"]
    assert len({event["id"] for event in reply}) == 1
    otids = list(dict.fromkeys(event["otid"] for event in reply))
    stem = reply[0]["id"].removeprefix("message-")
    base = int(stem[-2:], 16) & 0x80
    assert otids == [f"{stem[:-2]}{base + index:02x}" for index in range(2)]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", event["date"]) for event in messages)


@pytest.mark.parametrize("tokens", [False, True])
def test_parallel_calls_return_in_one_event(tokens: bool) -> None:
    with playing(PARALLEL, get_weather) as wire:
        found = wire.stream(stream_tokens=tokens)
    (back,) = of_type(found, "tool_return_message")
    ids = [entry["tool_call_id"] for entry in back["tool_returns"]]
    assert len(set(ids)) == 2
    assert back["tool_call_id"] == ids[0]
    assert back["stdout"] == back["tool_returns"][0]["stdout"] == ["looking up Paris\n"]
    assert back["tool_returns"][1]["stdout"] == ["looking up Tokyo\n"]
    calls = of_type(found, "tool_call_message")
    assert len({call["otid"] for call in calls}) == 1
    if not tokens:
        assert [call["tool_call_id"] for call in calls[0]["tool_calls"]] == ids


@pytest.mark.parametrize("tokens", [False, True])
def test_unicode_goes_out_raw(tokens: bool) -> None:
    text = 'é 日本 🤔 👩‍👩‍👧 "q" \\ \n\t \u2028 \u2029 \x85 end'
    with playing([[("say", text)]]) as wire:
        body = wire.body(stream_tokens=tokens)
    assert joined(events(body), "assistant_message", "content") == text
    assert "\u2028".encode() in body
    assert rb"\u" not in body


def test_the_first_event_is_a_ping_with_the_run_id_unless_unwanted() -> None:
    with playing([[("say", "hi")]]) as wire:
        assert wire.stream()[0]["message_type"] == "ping"
        assert not of_type(wire.stream(include_pings=False), "ping")


def test_silence_is_filled_with_pings() -> None:
    play = Play([[("say", "one"), ("wait",), ("say", "two")]])
    with playing(play, ping_interval=0.02) as wire:
        url = f"/v1/agents/{wire.agent_id}/messages/stream"
        body = {"messages": [{"role": "user", "content": "x"}], "stream_tokens": True}
        pings = 0
        with wire.http.stream("POST", url, json=body) as answer:
            for line in answer.iter_lines():
                pings += '"message_type":"ping"' in line
                if pings == 4:
                    play.released.set()
        assert pings >= 4


def test_input_is_one_user_message() -> None:
    with playing(lambda prompt, _: [("say", f"<{prompt}>")]) as wire:
        assert joined(wire.stream(input="hey"), "assistant_message", "content") == "<hey>"
        parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
        assert "a" in joined(wire.stream(input=parts), "assistant_message", "content")


def test_max_steps_ends_the_run_after_its_tools() -> None:
    with playing(lambda _, __: [("call", "get_weather", '{"city": "X"}')], get_weather) as wire:
        found = wire.stream(max_steps=3)
    assert len(of_type(found, "tool_return_message")) == 3
    assert of_type(found, "stop_reason")[0]["stop_reason"] == "max_steps"
    assert found[-1]["step_count"] == 3


def test_return_types_filter_messages_only() -> None:
    with playing(MULTI, get_weather) as wire:
        found = wire.stream(include_return_message_types=["assistant_message"], stream_tokens=True)
    assert kinds(found) == ["ping", "assistant_message", "stop_reason", "usage_statistics"]


def test_system_and_user_messages_are_stored_but_not_streamed() -> None:
    with playing([[("say", "ok")]]) as wire:
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi", "otid": "my-otid"}]
        found = wire.stream(messages=messages)
        assert not of_type(found, "system_message", "user_message")
        stored = wire.get(f"/v1/agents/{wire.agent_id}/messages", order="asc")
    assert [event["message_type"] for event in stored] == [
        "system_message",
        "system_message",
        "user_message",
        "assistant_message",
    ]
    assert stored[1]["content"] == "Be brief."
    assert (stored[2]["content"], stored[2]["otid"]) == ("Hi", "my-otid")
    assert stored[1]["step_id"] == stored[3]["step_id"] == found[1]["step_id"]


def test_the_agent_remembers() -> None:
    play = Play(lambda prompt, _: [("think", "hm"), ("say", f"re {prompt}")])
    with playing(play, agent=play.agent(instructions="Be kind.", system_prompt="You are Play.")) as wire:
        wire.stream("first")
        wire.stream("second")
    texts = [str(part.content) for message in play.seen[-1] for part in message.parts if hasattr(part, "content")]
    assert [t for t in texts if t in ("first", "re first", "second")] == ["first", "re first", "second"]
    assert texts.count("You are Play.") == 1


def message_calls(arguments: str) -> list[Any]:
    return [[("think", "speak"), ("call", "send_message", arguments)], [("say", "never")]]


@pytest.mark.parametrize("tokens", [False, True])
def test_the_message_tool_speaks(tokens: bool) -> None:
    words = 'Hé "you" \\ 🤔\n\u2028.'
    arguments = json.dumps({"request_heartbeat": False, "message": words})
    with playing(Play(message_calls(arguments), piece=1), message_tool=True) as wire:
        found = wire.stream(stream_tokens=tokens)
        listed = wire.get(f"/v1/agents/{wire.agent_id}/messages", order="asc")
    assert kinds(found) == ["ping", "reasoning_message", "assistant_message", "stop_reason", "usage_statistics"]
    assert joined(found, "assistant_message", "content") == words
    assert len(of_type(found, "assistant_message")) == (len(words) if tokens else 1)
    assert len({event["otid"] for event in of_type(found, "assistant_message")}) == 1
    assert listed[-1]["content"] == words


@pytest.mark.parametrize("tokens", [False, True])
def test_without_use_assistant_message_the_message_tool_is_a_tool(tokens: bool) -> None:
    arguments = '{"message": "Hi"}'
    with playing(message_calls(arguments), message_tool=True) as wire:
        found = wire.stream(stream_tokens=tokens, use_assistant_message=False)
        listed = wire.get(f"/v1/agents/{wire.agent_id}/messages", order="asc", use_assistant_message=False)
    assert kinds(found)[1:4] == ["reasoning_message", "tool_call_message", "tool_return_message"]
    assert not of_type(found, "assistant_message")
    assert of_type(found, "tool_return_message")[0]["tool_return"] == "Sent message successfully."
    assert kinds(listed)[-3:] == ["reasoning_message", "tool_call_message", "tool_return_message"]


def test_a_heartbeat_asks_for_another_turn() -> None:
    with playing(message_calls('{"message": "one", "request_heartbeat": true}'), message_tool=True) as wire:
        found = wire.stream()
    assert [event["content"] for event in of_type(found, "assistant_message")] == ["one", "never"]


def shout(what: str, loud: bool = True) -> str:
    """Shout."""
    return "shouted"


@pytest.mark.parametrize("tokens", [False, True])
def test_any_tool_and_argument_can_be_the_message_tool(tokens: bool) -> None:
    replies = [[("call", "shout", '{"loud": true, "what": "HEY"}')], [("say", "done")]]
    own = {"assistant_message_tool_name": "shout", "assistant_message_tool_kwarg": "what", "stream_tokens": tokens}
    with playing(replies, shout) as wire:
        found = wire.stream(**own)
        other = wire.stream(**own | {"assistant_message_tool_kwarg": "loud"})
        query = {"assistant_message_tool_name": "shout", "assistant_message_tool_kwarg": "what", "order": "asc"}
        listed = wire.get(f"/v1/agents/{wire.agent_id}/messages", **query)
    # another tool than Letta's own does not end the run
    assert joined(found, "assistant_message", "content") == "HEYdone"
    assert not of_type(found, "tool_call_message", "tool_return_message")
    assert [event["content"] for event in of_type(listed, "assistant_message")] == ["HEY", "done"] * 2
    # an argument that is no string is no message: nothing of the call may be lost
    assert kinds(other)[1:3] == ["tool_call_message", "tool_return_message"]
    pieces = [event["tool_call"].get("arguments", "") for event in of_type(other, "tool_call_message")]
    assert "".join(pieces) == '{"loud": true, "what": "HEY"}'


@pytest.mark.parametrize("tokens", [False, True])
def test_a_message_that_could_not_be_delivered_is_not_hidden(tokens: bool) -> None:
    replies = [[("call", "shout", '{"what": "HEY", "loud": "maybe"}')], [("say", "sorry")]]
    with playing(replies, shout) as wire:
        found = wire.stream(
            assistant_message_tool_name="shout", assistant_message_tool_kwarg="what", stream_tokens=tokens
        )
    (back,) = of_type(found, "tool_return_message")
    assert back["status"] == "error"


@pytest.mark.parametrize("tokens", [False, True])
def test_a_failure_before_the_first_event_ends_with_done(tokens: bool) -> None:
    with playing([[("fail", "model is down")]]) as wire:
        body = wire.body(stream_tokens=tokens)
        run = wire.get("/v1/runs/")[0]
    found = events(body)
    assert kinds(found) == ["ping", "stop_reason", "error_message"]
    assert list(found[-1]) == list(recorded("v1_err500_step")[-1])
    assert found[-1]["detail"] == "model is down"
    assert b"\n\nevent: error\ndata: {" in body
    assert body.endswith(b"data: [DONE]\n\n")
    assert (run["status"], run["metadata"]["error"]) == ("failed", "model is down")


@pytest.mark.parametrize("tokens", [False, True])
def test_a_failure_in_a_later_step_ends_without_done_or_usage(tokens: bool) -> None:
    replies = [[("call", "get_weather", '{"city": "X"}')], [("fail", "gone")]]
    with playing(replies, get_weather) as wire:
        body = wire.body(stream_tokens=tokens)
    found = events(body)
    assert kinds(found)[-3:] == ["tool_return_message", "stop_reason", "error_message"]
    assert found[-1]["error_type"] == "internal_error"
    assert b"[DONE]" not in body


def test_a_cut_model_stream_keeps_what_came() -> None:
    with playing([[("say", "half a"), ("fail", "cut")]]) as wire:
        found = wire.stream(stream_tokens=True)
    assert joined(found, "assistant_message", "content") == "half a"
    assert kinds(found) == ["ping", "assistant_message", "stop_reason", "error_message"]


@pytest.mark.parametrize(
    ("messages", "detail"),
    [
        ([], "must be from the user"),
        ([{"role": "user", "content": ""}], "Message content is empty or invalid"),
        ([{"type": "approval", "approve": True}], "No tool call is currently awaiting approval"),
        ([{"role": "assistant", "content": "x"}], "must be from the user"),
    ],
)
def test_messages_that_start_nothing_are_refused_inside_the_stream(messages: Any, detail: str) -> None:
    with playing([[("say", "x")]]) as wire:
        found = wire.stream(messages=messages)
    assert kinds(found) == ["ping", "stop_reason", "error_message"]
    assert found[-1]["error_type"] == "internal_error"
    assert detail in found[-1]["detail"]


@pytest.mark.parametrize(
    "field", [{"client_skills": [{"name": "f"}]}, {"return_logprobs": True}, {"return_token_ids": True}]
)
def test_what_is_not_supported_is_refused(field: dict[str, Any]) -> None:
    with playing([[("say", "x")]]) as wire:
        body = {"messages": [{"role": "user", "content": "x"}], **field}
        answer = wire.http.post(f"/v1/agents/{wire.agent_id}/messages/stream", json=body)
    assert answer.status_code == 400
    assert next(iter(field)) in answer.json()["detail"]


def get_paris(city: str) -> str:
    """The weather."""
    return f'{{"city": "{city}", "temp_c": 21}}'


def roll_die(sides: int) -> int:
    """Roll a die."""
    return 4


RECORDED: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("v1_noping_step", [[("think", "t"), ("say", "s")]], {"include_pings": False}),
    ("v1_input_string", [[("think", "t"), ("say", "s")]], {"input": "hello"}),
    ("v1_streaming_false_on_stream", [[("think", "t"), ("say", "s")]], {"streaming": False}),
    ("compat_stream_steps", [[("think", "t"), ("say", "s")]], {"stream_steps": True}),
    ("v1_loop_maxsteps3_step", [[("think", "t"), ("call", "roll_die", '{"sides": 6}')]] * 3, {"max_steps": 3}),
    (
        "v1_include_return_types",
        [[("think", "t"), ("call", "get_paris", '{"city": "Paris"}')], [("think", "t"), ("say", "s")]],
        {"include_return_message_types": ["assistant_message", "tool_return_message"]},
    ),
    ("v1_multimodal", [[("say", "s")]], {}),
]


@pytest.mark.parametrize(("case", "replies", "options"), RECORDED, ids=[case for case, _, _ in RECORDED])
def test_options_act_as_recorded(case: str, replies: Any, options: dict[str, Any]) -> None:
    """The same events with the same keys, in the same order, and the same nulls."""
    play = Play(replies)
    if "input" not in options:
        request = json.loads((RECORDINGS / f"{case}.json").read_text(encoding="utf-8"))["request"]
        options = {"messages": request["body"]["messages"]} | options
    with playing(play, agent=play.agent(get_paris, roll_die)) as wire:
        ours = wire.stream(**options)
    counts = ("cached_input_tokens", "cache_write_tokens", "reasoning_tokens")
    for found in (ours, theirs := recorded(case)):
        for key in counts:
            found[-1].pop(key)
    assert [nulls(event) for event in ours] == [nulls(event) for event in theirs]
    assert ours[-2] == theirs[-2]
    if case == "v1_multimodal":
        image = play.seen[0][-1].parts[-1].content[1]
        assert (image.media_type, len(image.data) > 50) == ("image/png", True)


def nulls(event: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(key, value is None) for key, value in event.items()]


def test_an_image_that_cannot_be_read_is_refused() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "x"}
    with playing([[("say", "x")]]) as wire:
        found = wire.stream(messages=[{"role": "user", "content": [{"type": "image", "source": source}]}])
    assert "base64" in found[-1]["detail"]
    assert kinds(found) == ["ping", "stop_reason", "error_message"]
