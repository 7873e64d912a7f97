"""The event log: what was appended is what is read, by index, slice and in order, across sealed blocks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letta_nb import log as module
from letta_nb.log import EventLog, Received

received = st.builds(
    Received,
    st.integers(-1, 2**62),
    st.sampled_from(["", "", "", "error", "cancelled"]),
    st.text(st.characters(exclude_categories=())),
    st.booleans(),
)


def filled(items: list[Received]) -> EventLog:
    log = EventLog()
    for item in items:
        log.append(item)
    return log


@given(st.lists(received, max_size=40))
def test_reading_is_what_was_appended(items: list[Received]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", 7)
        log = filled(items)
        assert len(log) == len(items)
        assert list(log) == items
        assert [log[index] for index in range(len(items))] == items
        assert [log[index] for index in reversed(range(-len(items), 0))] == items[::-1]
        assert log[3:-2] == items[3:-2]
        assert log[::-5] == items[::-5]
        assert list(log.at) == [item.at for item in items]


@pytest.mark.parametrize("count", [0, 1, 1023, 1024, 1025, 2048, 2500])
def test_block_boundaries(count: int) -> None:
    items = [Received(number, "error" if number % 1000 == 999 else "", f"é{number}\u2028👩") for number in range(count)]
    log = filled(items)
    assert list(log) == items
    assert all(log[index] == items[index] for index in (0, 1022, 1023, 1024, 2047, count - 1) if 0 <= index < count)
    for index in (count, -count - 1):
        with pytest.raises(IndexError):
            log[index]


def test_a_long_log_is_small() -> None:
    text = '{"id":"message-1","message_type":"assistant_message","run_id":"run-1","content":"token %d"}'
    log = filled([Received(number, "", text % number) for number in range(10_240)])
    assert sum(map(len, log._sealed)) < 0.15 * 10_240 * len(text)


def test_reading_while_it_grows() -> None:
    log = filled([Received(0, "", "a")] * 1023)
    reader = iter(log)
    assert next(reader).data == "a"
    for _ in range(3):
        log.append(Received(1, "", "b"))
    assert sum(1 for _ in reader) >= 1022
    assert [item.data for item in log][-3:] == ["b"] * 3


def test_timed_is_what_the_first_event_says() -> None:
    assert EventLog().timed
    assert filled([Received(0, "", "a")]).timed
    assert not filled([Received(-1, "", "a")]).timed
