"""Bars: one for what is counted twice as it is asked for, with the total that is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recordings import FIXTURES

from letta_nb import frames, record
from letta_nb.progress import counted
from letta_nb.run import Run


class Bar:
    """A bar that only notes what it is told."""

    made: list[Bar]

    def __init__(self, *, desc: str, total: int | None, unit: str, delay: float, leave: bool) -> None:
        self.total, self.n, self.disable, self.closed = total, 0, False, False
        Bar.made.append(self)

    def update(self, more: int = 1) -> None:
        self.n += more

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *problem: object) -> None:
        self.closed = True


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Bar]:
    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    Bar.made = []
    return Bar.made


def fetched(limit: int | None, progress: bool | None = None) -> Iterator[Run]:
    """As `client.runs` gives them."""
    yield from counted((Run(uid=str(number)) for number in range(3)), "runs", limit, progress)


def test_runs_that_are_fetched_as_they_are_read_have_one_bar(bars: list[Bar]) -> None:
    assert len(frames.runs_df(fetched(3), columns=["run_id"])) == 3
    (only,) = bars
    assert (only.total, only.n, only.closed, only.disable) == (3, 3, True, False)


def test_whoever_asks_for_a_bar_has_it_and_whoever_wants_none_has_none(bars: list[Bar]) -> None:
    frames.runs_df(fetched(3), columns=["run_id"], progress=False)
    assert bars == []
    frames.runs_df(fetched(3, True), columns=["run_id"])
    assert [(its.n, its.disable) for its in bars] == [(3, True), (3, False)]


def test_a_bar_in_the_body_of_a_loop_is_no_part_of_the_loops(bars: list[Bar]) -> None:
    for run in fetched(None):
        frames.runs_df([run, Run()], columns=["run_id"])
    outer, *inner = bars
    assert (outer.total, outer.n) == (None, 3)
    assert [(its.total, its.n) for its in inner] == [(2, 2)] * 3


def test_the_total_is_told_where_it_is_known(tmp_path: Path, bars: list[Bar]) -> None:
    for name, recording in (("a1", "v1_multi_tok"), ("a2", "v1_hello_tok"), ("b", "v1_hello_step")):
        record.load_one(FIXTURES / f"0.16.8/{recording}.sse").save(tmp_path / f"{name}.jsonl")
    several: list[tuple[Any, int | None]] = [
        (f"{tmp_path}/*.jsonl", 3),
        ([f"{tmp_path}/a*.jsonl", tmp_path / "b.jsonl"], 3),
        ([Run(), Run()], 2),
        ((its for its in [Run(), Run()]), None),
        ([fetched(None), Run()], None),
    ]
    for x, total in several:
        bars.clear()
        assert len(frames.runs_df(x, columns=["run_id"])) == bars[0].n >= 2
        assert bars[0].total == total


def test_one_run_has_no_bar(bars: list[Bar]) -> None:
    frames.runs_df(Run())
    assert bars == []
