"""What a page asks the kernel for: it is told whole, from another thread, also after the run is over."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Any

import pytest
from recordings import BY_NAME

from letta_nb import feed, notebook, record, replay, widget
from letta_nb.log import Received
from letta_nb.run import Run


class Told:
    """A view without a page: what it sends, and on which thread."""

    def __init__(self, run: Run) -> None:
        self.view = widget.LiveView(run, lambda: 0, lambda: None)
        self.sent: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self.view._widget.send = lambda words: self.sent.put((threading.current_thread().name, words))

    def ask(self, **words: Any) -> dict[str, Any]:
        self.view._heard(None, {"type": "ask", **words}, None)
        thread, told = self.sent.get(timeout=60)
        assert thread != threading.current_thread().name
        return told


@pytest.fixture
def run() -> Run:
    return record.load_one(BY_NAME["0.16.8/v1_long_tok"].path)


@pytest.mark.parametrize(("speed", "told"), [(4.0, {"speed": 4.0}), (1.0, {})])
def test_a_page_knows_how_fast_a_replay_goes(
    run: Run, speed: float, told: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict[str, Any]] = []

    def show(view: widget.LiveView) -> None:
        shown.append(view._snapshot())

    monkeypatch.setattr(widget.LiveView, "show", show)
    monkeypatch.setattr(notebook, "in_notebook", lambda: True)
    monkeypatch.setattr(replay.Replay, "play", lambda again, view: again.run)
    run.replay(speed)
    assert {name: value for name, value in shown[0].items() if name == "speed"} == told


def test_events_come_in_parts(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "_PART_LINES", 50)
    page, lines, more = Told(run), [], True
    while more:
        told = page.ask(what="raw", have=len(lines))
        assert (told["what"], told["have"]) == ("raw", len(lines))
        more, lines = told["more"], lines + told["lines"]
    assert lines == list(record.arrived(run))
    assert page.ask(what="raw", have=len(lines)) == {"what": "raw", "have": len(lines), "lines": [], "more": False}


def test_the_file_is_what_save_writes(run: Run, tmp_path: Path) -> None:
    told = Told(run).ask(what="file", have=0)
    assert told["lines"] == [run.save(tmp_path / "run.jsonl").read_text("utf-8")]
    assert told["more"] is False


def test_the_page_is_what_to_html_makes(run: Run) -> None:
    assert Told(run).ask(what="html", have=0)["lines"] == [run.to_html()]


def test_a_run_that_goes_on_is_told_as_far_as_it_is(run: Run) -> None:
    started = run.blank(record=True)
    page = Told(started)
    for received in (run.log or [])[:20]:
        started.receive(received)
    assert len(page.ask(what="raw", have=0)["lines"]) == 21
    assert "Running" in page.ask(what="html", have=0)["lines"][0]
    assert page.ask(what="file", have=0)["lines"][0].count("\n") == 21


def test_a_run_that_kept_nothing_has_no_file(run: Run) -> None:
    page = Told(run.blank())
    assert page.ask(what="file", have=0)["lines"] == []
    assert len(page.ask(what="raw", have=0)["lines"]) == 1


@pytest.mark.parametrize("have", [None, -3, "1", 10**9, 2.5])
def test_odd_questions_are_answered(run: Run, have: Any) -> None:
    page = Told(run)
    assert bool(page.ask(what="raw", have=have)["lines"]) == (have != 10**9)
    assert page.ask(what="else", have=have)["lines"] == []


def test_a_question_that_cannot_be_answered_is_not_left_open(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "text_of", lambda run: 1 / 0)
    with pytest.warns(UserWarning, match="cannot be told"):
        assert Told(run).ask(what="file", have=0)["lines"] == []


def test_half_a_surrogate_pair_can_be_sent() -> None:
    run = Run({"messages": [{"role": "user", "content": "half \ud800"}]})
    run.receive(Received(1, "", "\udfff"))
    run.end(2)
    page = Told(run)
    for what in ("raw", "file", "html"):
        "".join(page.ask(what=what, have=0)["lines"]).encode("utf-8")


def test_the_rest_of_the_code_comes_from_the_package(run: Run) -> None:
    (code,) = Told(run).ask(what="more", have=0)["lines"]
    assert code == (Path(widget.__file__).parent / "static/more.js").read_text("utf-8")


# -- where no script runs in HTML, but widgets do ----------------------------------------------------------------------


def test_a_host_of_widgets_shows_the_whole_run(run: Run) -> None:
    shown = run._display_()
    shown.send = (sent := queue.Queue[dict[str, Any]]()).put
    assert isinstance(shown, widget.RunWidget)
    snapshot = shown.make_snapshot()
    assert (snapshot["changes"], snapshot["now"]) == (feed.snapshot(run)["changes"], feed.snapshot(run)["now"])
    shown._handle_custom_msg({"type": "ask", "what": "file", "have": 0}, [])
    assert sent.get(timeout=60)["lines"] == [record.text_of(run)]


def test_a_host_of_widgets_shows_no_buttons_that_nobody_hears(run: Run) -> None:
    started = run.blank(record=True)
    assert "<strong>Running</strong>" in started._display_()._repr_html_()
    assert not isinstance(started._display_(), widget.RunWidget)
