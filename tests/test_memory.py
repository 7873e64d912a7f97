"""Memory blocks before and after a run: whose call made each change, and what it costs to know it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import AGENT, STREAM, ScriptedServer, answer

import letta_nb
from letta_nb import feed, record
from letta_nb.client import Client
from letta_nb.live import Live
from letta_nb.log import Received
from letta_nb.memory import MemoryBlock, MemoryEdit, blocks
from letta_nb.run import Run
from letta_nb.server import serve

FIXTURES = Path(__file__).parent / "fixtures"
HELLO = (FIXTURES / "0.16.8/v1_hello_tok.sse").read_bytes()
BLOCKS = ("GET", f"/v1/agents/{AGENT}/core-memory/blocks")
Call = tuple[str, dict[str, Any] | str]


def rows(**values: str) -> list[dict[str, Any]]:
    return [{"id": f"block-{name}", "label": name, "value": value, "limit": 5000} for name, value in values.items()]


def ran(*steps: Sequence[Call], status: str = "success", result: str = "ok") -> Run:
    """A run that made these calls, a list a step, each step's returned together."""
    run = Run({"input": "go"})
    for number, calls in enumerate(steps):
        ids = {"id": f"message-{number}", "step_id": f"step-{number}", "run_id": "run-1", "is_err": None}
        made = [
            {
                "name": name,
                "arguments": said if isinstance(said, str) else json.dumps(said),
                "tool_call_id": f"{number}.{i}",
            }
            for i, (name, said) in enumerate(calls)
        ]
        back = [{"tool_return": result, "status": status, "tool_call_id": call["tool_call_id"]} for call in made]
        first = {**ids, "message_type": "tool_call_message", "tool_call": made[0], "tool_calls": made}
        last = {**ids, "message_type": "tool_return_message", **back[0], "tool_returns": back}
        for event in (first, last):
            run.receive(Received(1_000_000 * (number + 1), "", json.dumps(event)))
    run.end(9_000_000)
    return run


def changed(run: Run, before: dict[str, str], after: dict[str, str]) -> dict[str, list[tuple[int | None, str | None]]]:
    """The edits of each block that changed; an entry is the number of its call, counted from 0."""
    run.join_server({"memory": {"before": rows(**before), "after": rows(**after)}})
    numbers = {call.index: number for number, call in enumerate(run.tool_calls)}
    assert run.memory is not None
    for block in run.memory:
        assert (block.before, block.after) == (before.get(block.label), after.get(block.label))
        assert (block.edits[-1].text if block.edits else block.before) == block.after
    edits = {block.label: [(numbers.get(e.entry, e.entry), e.text) for e in block.edits] for block in run.memory}
    return {label: made for label, made in edits.items() if made}


ME = {"label": "me"}
TOOLS: list[tuple[str, dict[str, Any], str | None, str | None]] = [
    ("core_memory_append", {**ME, "content": "b"}, "a", "a\nb"),
    ("core_memory_replace", {**ME, "old_content": "a", "new_content": "x"}, "aba", "xbx"),
    ("memory_replace", {**ME, "old_string": "b", "new_string": ""}, "a\tb", "a       "),
    ("memory_replace", {**ME, "old_str": "a", "new_str": "x"}, "ab", "xb"),
    ("memory_insert", {**ME, "new_string": "c"}, "a\nb", "a\nb\nc"),
    ("memory_insert", {**ME, "new_str": "x\ny", "insert_line": 1}, "a\nb", "a\nx\ny\nb"),
    ("memory_insert", {**ME, "new_string": "x", "insert_line": 0}, "a", "x\na"),
    ("memory_apply_patch", {**ME, "patch": "+c"}, "a\tb", "a       b\nc"),
    ("memory_apply_patch", {**ME, "patch": "@@\n a\n-b\n+x\n@@ -4 @@\n-d\n"}, "a\nb\nc\nd", "a\nx\nc"),
    ("memory_apply_patch", {**ME, "patch": "--- a\n+++ b\n a\n\n+b"}, "a\n\nc", "a\n\nb\nc"),
    ("memory_apply_patch", {"label": "", "patch": "*** Update Block: me\n-a\n+b"}, "a", "b"),
    ("memory_apply_patch", {"label": "", "patch": "*** Add Block: me\nDescription: d\n+a\n\n+b\n"}, None, "a\n\nb"),
    ("memory_apply_patch", {"label": "", "patch": "*** Delete Block: me"}, "a", None),
    ("memory_rethink", {**ME, "new_memory": "all new"}, "a", "all new"),
    ("rethink_memory", {"target_block_label": "me", "new_memory": "n"}, "a", "n"),
    ("memory", {"command": "create", "path": "/memories/me", "description": "d"}, None, ""),
    ("memory", {"command": "create", "path": "me", "description": "d", "file_text": "t"}, None, "t"),
    ("memory", {"command": "str_replace", "path": "/memories/me", "old_string": "a", "new_string": "b"}, "a", "b"),
    ("memory", {"command": "insert", "path": "/me", "insert_line": -1, "insert_text": "b"}, "a", "a\nb"),
    ("memory", {"command": "delete", "path": "/memories/me"}, "a", None),
]


@pytest.mark.parametrize(("tool", "said", "before", "after"), TOOLS)
def test_each_tool_does_what_it_does_at_a_server(
    tool: str, said: dict[str, Any], before: str | None, after: str | None
) -> None:
    ends = [{} if text is None else {"me": text} for text in (before, after)]
    assert changed(ran([(tool, said)]), *ends) == {"me": [(0, after)]}


def test_a_path_is_read_as_the_server_reads_it() -> None:
    insert = {"command": "insert", "path": "/memories/x/y", "insert_line": -1, "insert_text": "b"}
    assert changed(ran([("memory", insert)]), {"x_y": "a"}, {"x_y": "a\nb"}) == {"x_y": [(0, "a\nb")]}


def test_a_renamed_block_is_one_that_goes_and_one_that_comes() -> None:
    run = ran([("memory", {"command": "rename", "old_path": "/memories/a", "new_path": "/memories/b"})])
    assert changed(run, {"a": "text"}, {"b": "text"}) == {"a": [(0, None)], "b": [(0, "text")]}
    moved = ran([("memory_apply_patch", {"label": "", "patch": "*** Update Block: a\n+x\n*** Move to: b"})])
    assert changed(moved, {"a": "text"}, {"b": "text\nx"}) == {"a": [(0, None)], "b": [(0, "text\nx")]}
    described = ran([("memory", {"command": "rename", "path": "/memories/a", "description": "new"})])
    assert changed(described, {"a": "text"}, {"a": "text"}) == {}


def test_edits_are_told_in_the_order_in_which_they_were_made() -> None:
    append = [("core_memory_append", {"label": "human", "content": text}) for text in "abc"]
    run = ran(append[:2], append[2:])
    edits = changed(run, {"human": "", "persona": "p"}, {"human": "\na\nb\nc", "persona": "p"})
    assert edits == {"human": [(0, "\na"), (1, "\na\nb"), (2, "\na\nb\nc")]}


def test_a_call_that_failed_changed_nothing() -> None:
    run = ran([("core_memory_append", {"label": "human", "content": "b"})], status="error")
    assert changed(run, {"human": "a"}, {"human": "a"}) == {}
    # which 0.16.8 tells of as a success
    run = ran([("memory", {"command": "delete", "path": "human"})], result="Error performing delete: no")
    assert changed(run, {"human": "a"}, {"human": "a"}) == {}


def test_what_none_of_the_calls_did_is_nobodys() -> None:
    run = ran([("core_memory_append", {"label": "human", "content": "b"})])
    assert changed(run, {"human": "a"}, {"human": "A\nb"}) == {"human": [(0, "a\nb"), (None, "A\nb")]}
    run = ran([("get_weather", {"city": "Oslo"})])
    assert changed(run, {"human": "a", "x": "1"}, {"human": "b", "y": "2"}) == {
        "human": [(None, "b")],
        "x": [(None, None)],
        "y": [(None, "2")],
    }


@pytest.mark.parametrize(
    "call",
    [
        ("core_memory_append", '{"label": "human", "content": '),
        ("core_memory_append", "[]"),
        ("core_memory_append", {"label": "human", "content": 3}),
        ("core_memory_append", {"label": "nobody", "content": "b"}),
        ("core_memory_replace", {"label": "human", "old_content": "z", "new_content": "b"}),
        ("memory_replace", {"label": "human", "old_string": "a", "new_string": "b"}),  # there twice
        ("memory_insert", {"label": "human", "new_string": "b", "insert_line": 9}),
        ("memory_apply_patch", {"label": "human", "patch": "no diff"}),
        ("memory_apply_patch", {"label": "human", "patch": "-b"}),
        ("memory_apply_patch", {"label": "other", "patch": "+b"}),
        ("memory_apply_patch", {"label": "", "patch": "*** Add Block: human\n+b"}),
        ("memory_apply_patch", {"label": "", "patch": "*** Move to: b"}),
        ("memory_apply_patch", {"label": "", "patch": "*** Delete Block: human\n*** Update Block: human\n+b"}),
        ("memory", {"command": "explode", "path": "human"}),
        ("memory", {"command": "delete"}),
        ("memory_rethink", {"label": "human", "new_memory": "b" * 1_000_001}),
        # 100,000 times a megabyte, if anybody tried
        ("core_memory_replace", {"label": "human", "old_content": "", "new_content": "b" * 1_000_000}),
    ],
)
def test_a_call_whose_effect_is_not_known_is_not_credited(call: Call) -> None:
    text = "a" * 100_000
    assert changed(ran([call]), {"human": text}, {"human": text + "b"}) == {"human": [(None, text + "b")]}


def test_a_patch_larger_than_any_is_not_worked_out() -> None:
    text = "a\n" * 4_000
    run = ran([("memory_apply_patch", {"label": "human", "patch": "+b\n" * 4_000})])
    assert changed(run, {"human": text}, {"human": "b"}) == {"human": [(None, "b")]}
    many = ran([("memory_apply_patch", {"label": "", "patch": "*** Update Block: human\n+b\n" * 2_000})])
    assert changed(many, {"human": text}, {"human": "b"}) == {"human": [(None, "b")]}


def test_the_edits_that_are_kept_have_an_end() -> None:
    calls = [("memory_rethink", {"label": "human", "new_memory": f"{number}" * 900_000}) for number in range(9)]
    run = ran(*[[call] for call in calls])
    (edits,) = changed(run, {"human": ""}, {"human": "done"}).values()
    assert [number for number, _ in edits] == [0, 1, 2, 3, None]


KEYS = st.sampled_from(["before", "after", "label", "value", "limit", "id"])
ANYTHING = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
)


@given(ANYTHING)
def test_whatever_a_server_says_of_memory_is_survived(said: Any) -> None:
    found = blocks(said, [])
    assert found is None or all(isinstance(block, MemoryBlock) for block in found)


def test_a_block_is_told_with_its_limit_and_nothing_else_is_kept() -> None:
    before = [{"id": "b", "label": "human", "value": "a", "limit": 7, "metadata": {"k": "v"}}, {"label": 3}]
    assert blocks({"before": before, "after": before[:1]}, []) == [MemoryBlock("human", 7, "a", "a", [])]
    assert blocks({"before": before}, []) is None


def test_memory_is_in_the_page_the_file_and_the_replay(tmp_path: Path) -> None:
    run = ran([("core_memory_append", {"label": "human", "content": "b"})])
    changed(run, {"human": "a"}, {"human": "a\nb"})
    call = run.tool_calls[0].index
    words = [
        {"label": "human", "limit": 5000, "before": "a", "after": "a\nb", "edits": [{"entry": call, "text": "a\nb"}]}
    ]
    for other in (run, record.load_one(run.save(tmp_path / "run.jsonl")), run.replay(1e9)):
        assert other.memory == [MemoryBlock("human", 5000, "a", "a\nb", [MemoryEdit(call, "a\nb")])]
        heads = [change["set"] for change in feed.snapshot(other)["changes"] if change.get("op") == "run"]
        assert [head["memory"] for head in heads if "memory" in head] == [words]


# -- against servers --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo() -> Iterator[str]:
    with serve(pace=0) as server:
        yield server.url


def test_the_demo_agent_remembers_and_the_run_knows_by_which_call(demo: str) -> None:
    with letta_nb.connect(demo) as client:
        run = letta_nb.send("Remember that I like quiet roads.", client=client, display=False)
        (call,) = run.tool_calls
        assert (call.name, call.status) == ("memory_insert", "success")
        human, persona = run.memory or []
        assert human.after == f"{human.before}\nI like quiet roads."
        assert human.edits == [MemoryEdit(call.index, human.after)]
        assert (persona.label, persona.edits) == ("persona", [])
        again = letta_nb.send("What is 2 + 2?", client=client, display=False)
        assert [(block.before, block.edits) for block in again.memory or []] == [(human.after, []), (persona.after, [])]


def test_a_stream_asks_for_no_memory(demo: str) -> None:
    with Client(demo) as client:
        asked: list[str] = []
        client._http.event_hooks["request"] = [lambda request: asked.append(request.url.path)]
        with client.stream("demo", "What is 2 + 2?") as stream:
            for _ in stream:
                pass
        client.complete(stream.run)
    assert stream.run.memory is None
    assert not any("core-memory" in path for path in asked)


def test_a_server_without_blocks_leaves_memory_unknown() -> None:
    with ScriptedServer([STREAM, HELLO]) as server, Client(server.url) as client:
        run = Live(client, client.stream(AGENT, "hi")).start().wait()
        assert (run.status, run.memory, run.fetched.get("memory")) == ("completed", None, None)
        assert [request.path.partition("?")[0] for request in server.requests[:2]] == [
            BLOCKS[1],
            f"/v1/agents/{AGENT}/messages/stream",
        ]


def test_a_server_that_does_not_answer_holds_no_run_up() -> None:
    silent = threading.Event()
    with ScriptedServer([STREAM, HELLO]) as server, Client(server.url) as client:
        server.plays[BLOCKS] = [[silent]]
        run = Live(client, client.stream(AGENT, "hi")).start().wait()
        silent.set()
    assert (run.status, run.memory) == ("completed", None)


def test_without_completing_nothing_is_asked() -> None:
    with ScriptedServer([STREAM, HELLO]) as server, Client(server.url) as client:
        server.routes[BLOCKS] = answer(rows(human="a"))
        run = Live(client, client.stream(AGENT, "hi"), complete=False).start().wait()
        assert [request.method for request in server.requests] == ["POST"]
    assert run.memory is None
