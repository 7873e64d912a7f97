"""The live view in a cell: numbered batches while the run goes on, a snapshot for late views, HTML when it is over."""

from __future__ import annotations

import contextvars
import functools
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any, Literal

import anywidget
import traitlets

from letta_nb import feed, page, places, record, subshell
from letta_nb.entries import Change
from letta_nb.feed import ChangeLog
from letta_nb.run import Run

# Jupyter Server drops messages for good beyond 3,000 in 3 s: a batch every 33 ms stays far below, one a token does not.
BATCH_S = 0.033

What = Literal["raw", "file", "html", "more"]


@functools.cache
def _code(name: str) -> str:
    return files("letta_nb").joinpath("static", name).read_text(encoding="utf-8")


class RunWidget(anywidget.AnyWidget):
    """The widget model: `uid` names the run, `snapshot` is worked out only when a page asks for the state."""

    uid = traitlets.Unicode().tag(sync=True)
    snapshot = traitlets.Any(None, allow_none=True).tag(
        sync=True,
        to_json=lambda _value, widget: widget.make_snapshot(),  # type: ignore[reportUnknownLambdaType]
    )

    def __init__(self, uid: str, make_snapshot: Callable[[], Any]) -> None:
        # a class attribute would be read at import; an instance attribute keeps anywidget's file watching off
        self._esm = _code("widget.js")
        self.make_snapshot = make_snapshot
        super().__init__(uid=uid)

    def view(self) -> dict[str, Any]:
        """The MIME bundle of a view of this model."""
        model: Any = self
        return dict(model._repr_mimebundle_()[0])

    def renew(self) -> None:
        """Send the run as it stands to whoever shows it."""
        model: Any = self
        model.send_state("snapshot")


class LiveView:
    """Shows one run in the current cell.

    `on_stop` and `on_answer` are called, once or more, from whatever thread hears the buttons.
    """

    def __init__(
        self,
        run: Run,
        elapsed: Callable[[], int],
        on_stop: Callable[[], None],
        on_answer: Callable[[Sequence[page.CallAnswer]], None] | None = None,
        *,
        waited: bool = True,
        speed: float = 1.0,
    ) -> None:
        self._run = run
        # whether somebody waits for the run, and so is told of a refusal by an exception
        self._waited = waited
        self._elapsed = elapsed
        # how fast `elapsed` goes: the page's clocks run on between two batches
        self._speed = speed
        self._on_stop = on_stop
        self._on_answer = on_answer
        self._lock = threading.Lock()
        self._sent = ChangeLog()
        self._pending = ChangeLog()
        self._seq = 0
        self._wake = threading.Event()
        self._over = threading.Event()
        self._place = places.here()
        self._widget: Any = RunWidget(run.uid, self._snapshot)
        self._widget.on_msg(self._heard)
        subshell.route(self._widget.comm)
        # threads publish to the cell that started them; Jupyter keeps that in a context variable
        self._context = contextvars.copy_context()
        self._pump = self._thread(self._run_pump)

    @classmethod
    def of(cls, run: Run) -> RunWidget:
        """A run that is over, as a widget: for hosts that show widgets, and run no script that stands in HTML."""
        view = cls(run, lambda: run.ended_at or 0, lambda: None)
        view._sent.absorb(feed.snapshot(run)["changes"])
        view._seq = 1
        return view._widget

    def show(self) -> None:
        """Display the widget in the current cell."""
        self._place.show(self._widget, self._run)
        self._pump.start()

    def _thread(self, work: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=self._context.copy().run, args=(work,), name="letta_nb page", daemon=True)

    def changed(self, run: Run, changes: Sequence[Change]) -> None:
        """Take changes in; the page hears of them within one batch."""
        with self._lock:
            self._pending.add(run, changes)
        self._wake.set()

    def paused(self, run: Run) -> None:
        """The run waits for a person: the buttons stay."""
        self._place.paused(self._widget, run)

    def ended(self, run: Run, problem: Exception | None) -> None:
        """The run is over: send the rest, and leave what the place keeps of it."""
        self._over.set()
        self._wake.set()
        if self._pump.is_alive():
            self._pump.join()
        # a refused request has nothing to show if its error is raised: that says it all
        self._place.ended(self._widget, run, told=problem is not None and self._waited and run.event_count == 0)

    def _run_pump(self) -> None:
        while True:
            self._wake.wait()
            # cleared before it is asked whether this is the end: the other way round the end could go unheard
            self._wake.clear()
            over = self._over.is_set()
            self._flush()
            if over:
                return
            time.sleep(BATCH_S)

    def _flush(self) -> None:
        with self._lock:
            if not self._pending:
                return
            changes = self._pending.take()
            self._sent.absorb(changes)
            self._seq += 1
            batch = {"seq": self._seq, "changes": changes}
        self._widget.send(batch)

    def _snapshot(self) -> Any:
        with self._lock:
            words: page.Snapshot = {"seq": self._seq, "now": self._now(), "changes": self._sent.changes()}
        return words if self._speed == 1 else {**words, "speed": self._speed}

    def _now(self) -> float:
        return round(self._elapsed() / 1e6, 1)

    def _heard(self, _widget: Any, content: Any, _buffers: Any) -> None:
        # may run on a subshell's thread while the cell blocks: set things going, and nothing else
        if content.get("type") == "stop":
            self._on_stop()
        elif content.get("type") == "answer" and self._on_answer is not None:
            self._on_answer(content.get("answers") or [])
        elif content.get("type") == "resync":
            self._widget.renew()
        elif content.get("type") == "ask":
            what, have = content.get("what"), content.get("have")
            # a long run takes a while to write down
            self._thread(lambda: self._tell(what, max(have, 0) if isinstance(have, int) else 0)).start()

    def _tell(self, what: What, have: int) -> None:
        try:
            lines, more = told(self._run, what, have)
        except Exception as problem:  # the page waits for an answer
            warnings.warn(f"letta_nb: what a page asked for cannot be told: {problem!r}", stacklevel=2)
            lines, more = [], False
        words: page.Told = {"what": what, "have": have, "lines": lines, "more": more}
        self._widget.send(words)


def told(run: Run, what: What, have: int) -> tuple[list[str], bool]:
    """What a page asks for: the next lines or one text, and whether there is more."""
    if what == "raw":
        return record.part(run, have)
    if what == "more":
        return [_code("more.js")], False
    if what == "html":
        return [str(run.to_html())], False
    return [record.text_of(run)] if what == "file" and run.log is not None else [], False
