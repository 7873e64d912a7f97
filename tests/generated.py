"""Streams of events that no server would send, for properties that hold for all of them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from letta_nb.log import Received
from letta_nb.run import Run

few = st.sampled_from
maybe = st.none
message_ids = few(["message-1", "message-2", "message-3"])
call_ids = few([None, "c1", "c2", "c3"])
pieces = few(["", "a", "{", '"x"', "}", "é", "👩", "\u2028", "\n"])
content = st.one_of(
    st.none(), pieces, st.lists(st.fixed_dictionaries({"type": few(["text", "image"])}, optional={"text": pieces}))
)
deltas = st.fixed_dictionaries(
    {}, optional={"name": few([None, "f", "g"]), "arguments": st.none() | pieces, "tool_call_id": call_ids}
)
base: dict[str, Any] = {
    "id": st.none() | message_ids,
    "otid": few([None, "o0", "o1"]),
    "step_id": few([None, "step-1", "step-2"]),
    "run_id": few([None, "run-1"]),
}


def message(message_type: str, **fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"message_type": st.just(message_type), **fields}, optional={**base, "is_err": st.none() | st.booleans()}
    )


returns = st.fixed_dictionaries(
    {"tool_return": content, "status": few(["success", "error"]), "tool_call_id": call_ids},
    optional={"stdout": st.none() | st.lists(pieces), "stderr": st.none() | st.lists(pieces)},
)
calls = {"tool_call": st.none() | deltas, "tool_calls": st.none() | deltas | st.lists(deltas, max_size=3)}
any_event = st.one_of(
    message("reasoning_message", reasoning=pieces),
    message("assistant_message", content=content),
    message("tool_call_message", **calls),
    message("approval_request_message", **calls),
    returns.flatmap(
        lambda one: message(
            "tool_return_message", **{k: st.just(v) for k, v in one.items()}, tool_returns=st.none() | st.lists(returns)
        )
    ),
    message(
        "approval_response_message",
        approvals=st.none() | st.lists(st.fixed_dictionaries({"tool_call_id": call_ids, "approve": st.booleans()})),
    ),
    message("hidden_reasoning_message", state=few(["redacted", "omitted"])),
    message("user_message", content=content),
    message("system_message", content=content),
    message("summary_message", summary=pieces),
    message("event_message", event_type=st.just("compaction")),
    message("ping"),
    message("from_the_future", content=content),
    st.fixed_dictionaries(
        {"message_type": st.just("stop_reason"), "stop_reason": few(["end_turn", "error", "requires_approval"])}
    ),
    st.fixed_dictionaries(
        {"message_type": st.just("usage_statistics")}, optional={"total_tokens": st.none() | st.integers(0, 9)}
    ),
    st.fixed_dictionaries({"message_type": st.just("error_message"), "error_type": st.text(), "message": st.text()}),
    st.fixed_dictionaries({"error": st.text() | st.fixed_dictionaries({"message": st.text()})}),
)
streams = st.lists(any_event.map(lambda event: json.dumps(event, ensure_ascii=False)), max_size=30).flatmap(
    lambda events: st.booleans().map(lambda done: [*events, "[DONE]"] if done else events)
)


def replayed(data: list[str], **options: Any) -> tuple[Run, list[Any]]:
    run = Run(**options)
    changes: list[Any] = list(run.opening())
    for number, text in enumerate(data):
        changes += run.receive(Received(number * 1_000_000, "", text))[1]
    changes += run.end(len(data) * 1_000_000)
    return run, changes
