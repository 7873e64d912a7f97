"""The browser's words: whatever way they are cut into batches, a page that applies them has the run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from generated import streams
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict, TypeAdapter
from recordings import BY_NAME, EXPECTED, Expected

from letta_nb import feed, page, record
from letta_nb.entries import ToolCallEntry
from letta_nb.feed import ChangeLog
from letta_nb.log import Received
from letta_nb.run import Run

for words in (page.Snapshot, page.RunChange, page.StepChange, page.OpenChange, page.TextChange, page.EntryChange):
    words.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[attr-defined]
for words in (page.RunHead, page.EntryFacts, page.Usage, page.ErrorInfo, page.Cost, page.MemoryBlock, page.MemoryEdit):
    words.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[attr-defined]
SNAPSHOT: TypeAdapter[Any] = TypeAdapter(page.Snapshot)
CHANGES: TypeAdapter[Any] = TypeAdapter(list[page.Change])


class Page:
    """All that a page does with changes, in twenty lines."""

    def __init__(self) -> None:
        self.head: dict[str, Any] = {}
        self.steps: dict[int, dict[str, Any]] = {}
        self.entries: list[dict[str, Any]] = []

    def apply(self, changes: Iterable[Any]) -> Page:
        for change in changes:
            if "text" in change:
                self.entries[change["entry"]]["text"] += change["text"]
            elif change["op"] == "run":
                self.head |= change["set"]
            elif change["op"] == "step":
                self.steps.setdefault(change["step"], {}).update(change)
            elif change["op"] == "open":
                assert change["entry"] == len(self.entries)
                self.entries.append({**change, "text": ""})
            else:
                self.entries[change["entry"]] |= change["set"]
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Page) and vars(self) == vars(other)


def batches(run: Run, flush: Sequence[int]) -> list[list[page.Change]]:
    """The run once more, flushed after the events whose numbers are given."""
    log, again, sent = ChangeLog(), run.blank(), []
    log.add(again, again.opening())
    for number, received in enumerate(run.log or ()):
        log.add(again, again.receive(Received(*received))[1])
        if number in flush:
            sent.append(log.take())
    log.add(again, again.close_like(run))
    sent.append(log.take())
    assert not log
    return sent


def loaded(name: str) -> Run:
    return record.load_one(BY_NAME[name].path)


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def assert_page_is_run(shown: Page, run: Run) -> None:
    assert [entry["text"] for entry in shown.entries] == [entry.text for entry in run.entries]
    assert [(entry["kind"], entry["step"]) for entry in shown.entries] == [(e.kind, e.step_index) for e in run.entries]
    assert len(shown.steps) == len(run.steps)
    assert [step["id"] for step in shown.steps.values()] == [step.step_id for step in run.steps]
    for entry, drawn in zip(run.entries, shown.entries, strict=True):
        assert drawn.get("cut", False) == entry.cut
        if isinstance(entry, ToolCallEntry):
            assert (drawn["name"], drawn["call_id"], drawn.get("approval")) == (
                entry.name,
                entry.tool_call_id,
                entry.approval,
            )
            if entry.has_returned:
                assert (drawn["result"], drawn["status"]) == (entry.result or "", entry.status or "")
                assert (drawn["stdout"], drawn["stderr"]) == (entry.stdout or [], entry.stderr or [])
    head = shown.head
    assert (head["status"], head.get("stop_reason"), head["events"]) == (run.status, run.stop_reason, run.event_count)
    assert (head.get("run_id"), head["timed"], head["delivery"]) == (run.run_id, run.timed, run.delivery)
    error = head.get("error")
    assert (error and (error["type"], error["message"], error["detail"])) == (
        run.error and (run.error.type, run.error.message, run.error.detail)
    )
    usage = head.get("usage")
    assert (usage and usage["total_tokens"]) == (run.usage and run.usage.total_tokens)


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda row: row.name)
def test_a_snapshot_is_the_run(expected: Expected) -> None:
    run = record.load_one(expected.path)
    words = feed.snapshot(run)
    SNAPSHOT.validate_python(words)
    assert json.loads(json.dumps(words)) == words
    assert_page_is_run(Page().apply(words["changes"]), run)


@given(
    st.sampled_from(["v1_multi_tok", "v1_parallel2_tok", "v1_unicode_tok", "v1_err2_tok", "v1_approve_tok_1request"]),
    st.sets(st.integers(0, 80)),
)
def test_batches_cut_anywhere_are_the_snapshot(name: str, flush: set[int]) -> None:
    run = loaded(f"0.16.8/{name}")
    shown = Page()
    for batch in batches(run, sorted(flush)):
        CHANGES.validate_python(batch)
        shown.apply(batch)
    assert shown == Page().apply(feed.snapshot(run)["changes"])


@given(streams, st.sets(st.integers(0, 30)), st.booleans())
def test_any_run_in_any_batches_is_the_snapshot_and_the_run(data: list[str], flush: set[int], timed: bool) -> None:
    run = Run(timed=timed)
    for number, text in enumerate(data):
        run.receive(Received(number * 7_000_000 if timed else -1, "", text))
    run.end(10**9 if timed else None)
    sent = [change for batch in batches(run, sorted(flush)) for change in batch]
    CHANGES.validate_python(sent)
    shown = Page().apply(sent)
    assert shown == Page().apply(feed.snapshot(run)["changes"])
    assert_page_is_run(shown, run)


def test_servers_figures_reach_the_page() -> None:
    run = loaded("0.16.8/v1_multi_step")
    first = run.steps[0]
    run.join_server(
        {
            "steps": [
                {
                    "id": first.step_id,
                    "llm_request_ns": 2_500_000,
                    "tool_execution_ns": 4_000_000,
                    "prompt_tokens": 9,
                    "context_window_limit": 128_000,
                }
            ]
        }
    )
    shown = Page().apply(feed.snapshot(run)["changes"])
    assert (shown.steps[0]["llm_ms"], shown.steps[0]["tool_ms"], shown.steps[0]["input_tokens"]) == (2.5, 4.0, 9)
    assert shown.steps[0]["context_window"] == 128_000
    call = next(entry for entry in shown.entries if entry["kind"] == "tool_call")
    assert (call["duration"], call["duration_source"], call["at_most"]) == (4.0, "server", False)


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            {
                "message_type": "event_message",
                "event_type": "compaction",
                "event_data": {"trigger": "post_step", "context_token_estimate": 118_400, "context_window": 128_000},
            },
            ("post_step", 118_400, None),
        ),
        (
            {
                "message_type": "summary_message",
                "summary": "We spoke of tea.",
                "compaction_stats": {"trigger": "t", "context_tokens_before": 118_400, "context_tokens_after": 31_200},
            },
            ("t", 118_400, 31_200),
        ),
        (
            {
                "message_type": "summary_message",
                "summary": "s",
                "compaction_stats": {"trigger": ["t"], "context_tokens_before": True, "context_tokens_after": 1 << 80},
            },
            None,
        ),
        ({"message_type": "summary_message", "summary": "s"}, None),
    ],
)
def test_a_compaction_tells_what_is_known_of_it(event: dict[str, Any], told: tuple[Any, ...] | None) -> None:
    run = Run({"input": "hi"})
    run.receive(Received(1_000_000, "", json.dumps({"id": "m", **event})))
    words = feed.snapshot(run)["changes"]
    CHANGES.validate_python(words)
    facts = [change["set"] for change in words if change.get("op") == "entry"]
    names = ("trigger", "tokens_before", "tokens_after")
    assert [tuple(set_.get(name) for name in names) for set_ in facts] == ([] if told is None else [told])


@pytest.mark.parametrize(("body", "shown"), [({"max_steps": 7}, 7), ({"max_steps": "7"}, None), ({}, None)])
def test_the_limit_of_steps_reaches_the_page(body: dict[str, Any], shown: int | None) -> None:
    words = feed.snapshot(Run({"input": "hi", **body}))["changes"]
    CHANGES.validate_python(words)
    assert Page().apply(words).head.get("max_steps") == shown


def test_a_run_still_going_is_shown_as_far_as_it_is() -> None:
    run = Run({"input": "hi"})
    run.receive(Received(1_000_000, "", '{"message_type":"reasoning_message","id":"m","reasoning":"hm"}'))
    shown = Page().apply(feed.snapshot(run)["changes"])
    assert [entry["text"] for entry in shown.entries] == ["hi", "hm"]
    assert shown.head["status"] == "running"


# -- marks ------------------------------------------------------------------------------------------------------------


def marks_of(changes: Iterable[Any]) -> list[tuple[str, list[float]]]:
    """Each text with its marks; `at` is the short way of saying that there is one."""
    texts = [change for change in changes if "text" in change]
    assert not any("at" in change and "marks" in change for change in texts)
    ones = [[change["at"], utf16(change["text"])] if "at" in change else [] for change in texts]
    return [(change["text"], change.get("marks", one)) for change, one in zip(texts, ones, strict=True)]


@pytest.mark.parametrize("name", ["0.16.8/v1_unicode_tok", "0.16.8/v1_multi_tok", "0.7.16/memgpt_one_noassist_tok"])
def test_marks_say_when_each_part_had_come(name: str) -> None:
    for text, marks in marks_of(feed.snapshot(loaded(name))["changes"]):
        times, lengths = marks[::2], marks[1::2]
        assert times == sorted(times)
        assert lengths == sorted(lengths)
        assert lengths[-1] == utf16(text)


def test_marks_count_as_javascript_does() -> None:
    run = Run()
    for number, piece in enumerate(("a", "👩", "é", "\u2028")):
        event = {"message_type": "assistant_message", "id": "m", "content": piece}
        run.receive(Received(number * 50_000_000, "", json.dumps(event)))
    (only,) = marks_of(feed.snapshot(run)["changes"])
    assert only == ("a👩é\u2028", [0.0, 1, 50.0, 3, 100.0, 4, 150.0, 5])


def test_a_text_that_came_at_once_says_so_shortly() -> None:
    run, log, late = Run(), ChangeLog(), ChangeLog()
    event = {"message_type": "assistant_message", "id": "m", "content": "a👩"}
    log.add(run, run.receive(Received(50_000_000, "", json.dumps(event)))[1])
    text = next(change for change in log.changes() if "text" in change)
    assert text == {"entry": 0, "text": "a👩", "at": 50.0}
    late.absorb(log.take())
    log.add(run, run.receive(Received(90_000_000, "", json.dumps(event)))[1])
    late.absorb(log.take())
    assert marks_of(late.changes()) == [("a👩a👩", [50.0, 3, 90.0, 6])]


def test_a_recording_without_times_has_no_marks_and_no_times() -> None:
    run = Run(timed=False)
    run.receive(Received(-1, "", '{"message_type":"assistant_message","id":"m","content":"a"}'))
    run.end(None)
    words = feed.snapshot(run)
    assert marks_of(words["changes"]) == [("a", [])]
    assert {change["at"] for change in words["changes"] if "text" not in change} == {None}
    assert words["now"] is None


def test_half_a_surrogate_pair_can_be_sent() -> None:
    """It has no UTF-8, so a message that held it would not be sent at all. Two halves are one character."""
    half = "\ud83d"
    run, log = Run({"input": f"{half}\ude00 {half}"}), ChangeLog()
    run.agent_name = f"a{half}"
    log.add(run, run.opening())
    log.add(run, run.receive(Received(50_000_000, "", half))[1])
    log.add(run, run.end(1_000_000_000))
    for words in (log.changes(), feed.snapshot(run)["changes"]):
        json.dumps(words, ensure_ascii=False).encode("utf-8")
        shown = Page().apply(words)
        assert shown.head["agent"] == "a\ufffd"
        assert [entry["text"] for entry in shown.entries] == ["😀 \ufffd", "\ufffd"]
        assert all(marks[-1] == utf16(text) for text, marks in marks_of(words))


# -- how much is sent -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tokens", "token"), [(20_000, " token"), (20_000, " tok é"), (5_000, "a")])
def test_what_is_sent_grows_with_the_text(tokens: int, token: str) -> None:
    """At 400 tokens a second, flushed every 33 ms: at most twice the text, and a little a flush and a mark."""
    run, log, sent, text, flushed = Run(), ChangeLog(), 0, 0, 0
    for number in range(tokens):
        at = number * 2_500_000
        event = {"message_type": "assistant_message", "id": "m", "content": token}
        log.add(run, run.receive(Received(at, "", json.dumps(event)))[1])
        text += len(token.encode())
        if at - flushed >= 33_000_000:
            words = {"seq": number, "changes": log.take()}
            sent += len(json.dumps(words, ensure_ascii=False, separators=(",", ":")).encode())
            flushed = at
    flushes, marks = tokens * 2.5 / 33, tokens * 2.5 / 10
    whole = len(json.dumps(feed.snapshot(run), ensure_ascii=False, separators=(",", ":")).encode())
    ratios = f"{sent / text:.2f}x the text, {sent / flushes:.0f} bytes a flush; snapshot {whole / text:.2f}x"
    print(f"\n{token!r}: {ratios}")
    assert sent <= 2 * text + 150 * flushes
    assert whole <= text + 15 * marks + 1000


def test_the_page_is_told_what_to_say() -> None:
    run, page = Run(record=True), Page()
    log = ChangeLog()
    log.add(run, run.opening())
    log.add(run, run.lose(3_200_000_000))
    page.apply(log.take())
    lost = {"sentence": "The connection was lost after 3.20 s. Trying again.", "more": "", "words": "", "way": ""}
    assert page.head["say"] == {**lost, "dim": False}
    log.add(run, run.end(9_514_000_000))
    page.apply(log.take())
    assert page.head["say"]["sentence"] == "The connection closed after 9.51 s, before the run ended."
    assert "note" not in page.head


def test_what_a_run_waits_for_is_not_said_twice() -> None:
    page = Page().apply(feed.snapshot(loaded("0.16.8/v1_approve_tok_1request"))["changes"])
    assert page.head["status"] == "requires_approval"
    assert page.head["say"] is None


def test_a_note_is_said_dim_and_only_when_there_is_no_news() -> None:
    run = Run(record=True)
    run.note = "The messages were fetched instead."
    log = ChangeLog()
    log.add(run, run.end(1, cancelled=True))
    assert Page().apply(log.take()).head["say"]["sentence"].startswith("You stopped the run")
    done = loaded("0.16.8/v1_hello_tok")
    done.note = "The messages were fetched instead."
    said = Page().apply(feed.snapshot(done)["changes"]).head["say"]
    assert (said["sentence"], said["dim"]) == (done.note, True)
