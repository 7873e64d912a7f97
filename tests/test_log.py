"""The event log: what was appended is what is read, by index, slice and in order, across sealed blocks."""

from __future__ import annotations

from array import array

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


@pytest.mark.parametrize("start", [0, 1, 6, 7, 8, 13, 14, 15, 20, 21])
def test_reading_on_from_where_one_was(start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 7)
    items = [Received(number, "", str(number)) for number in range(20)]
    assert list(filled(items).since(start)) == items[start:]


def test_another_thread_reads_only_what_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """At each moment within `append` and sealing, what is read is a beginning of what was appended."""
    monkeypatch.setattr(module, "_BLOCK", 3)
    log, seen, items = EventLog(), set[int](), [Received(n, "error", f"text {n}", torn=True) for n in range(8)]

    def look() -> None:
        read = list(log)
        assert read == items[: len(read)]
        seen.add(len(read))

    class Times(array):
        def append(self, value: int, /) -> None:
            look()
            super().append(value)
            look()

    class Blocks(list[bytes]):
        def append(self, block: bytes, /) -> None:
            super().append(block)
            look()

    class Names(dict[int, str]):
        def __setitem__(self, index: int, name: str, /) -> None:
            look()
            super().__setitem__(index, name)

    log._at, log._sealed, log._events = Times("q"), Blocks(), Names()
    for item in items:
        log.append(item)
    assert seen == set(range(9))
