"""What holds for a run whatever is sent."""

from __future__ import annotations

from collections.abc import Iterator

from alike import story
from generated import replayed, streams
from hypothesis import given
from hypothesis import strategies as st

from letta_nb import events as ev
from letta_nb.entries import Buffer, EntryOpened, TextAppended
from letta_nb.log import Received


@given(streams)
def test_whatever_is_sent_folds_into_a_consistent_run(data: list[str]) -> None:
    run, changes = replayed(data)
    assert run.event_count == len(data)
    assert run.status != "running"
    assert (run.error is not None) or run.status != "interrupted"
    assert [entry.index for entry in run.entries] == list(range(len(run.entries)))
    assert [step.index for step in run.steps] == list(range(len(run.steps)))
    assert all(entry.step_index is None or entry.step_index < len(run.steps) for entry in run.entries)
    # changes say everything: each entry opened once, before its text, and its text is what was appended
    opened: dict[int, str] = {}
    for change in changes:
        if isinstance(change, EntryOpened):
            assert change.entry.index == len(opened)
            opened[change.entry.index] = ""
        elif isinstance(change, TextAppended):
            assert change.text
            opened[change.entry.index] += change.text
    assert list(opened.values()) == [entry.text for entry in run.entries]


@given(streams)
def test_a_replay_of_the_log_is_the_same_run(data: list[str]) -> None:
    run, _ = replayed(data)
    again = run.blank()
    for received in run.log or ():
        again.receive(Received(*received))
    again.close_like(run)
    assert story(again) == story(run)


def said(data: list[str]) -> Iterator[str]:
    for text in data:
        event = ev.parse(text)
        if isinstance(event, ev.Done):
            return
        if isinstance(event, ev.ReasoningMessage):
            yield event.reasoning
        elif isinstance(event, ev.AssistantMessage):
            yield ev.text_of(event.content)


@given(streams)
def test_no_text_is_lost_or_made_up(data: list[str]) -> None:
    run, _ = replayed(data)
    joined = "".join(entry.text for entry in run.entries if entry.kind in ("reasoning", "assistant"))
    assert sorted(joined) == sorted("".join(said(data)))


@given(st.lists(st.text(), max_size=2000))
def test_a_buffer_is_its_pieces(parts: list[str]) -> None:
    buffer = Buffer()
    for number, part in enumerate(parts):
        buffer.append(part)
        if number % 700 == 3:
            assert str(buffer) == "".join(parts[: number + 1])
    assert str(buffer) == "".join(parts)
    assert bool(buffer) == any(parts)
