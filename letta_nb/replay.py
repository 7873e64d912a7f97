"""A finished run shown again as it arrived: the same events through the same fold, on a clock of its own."""

from __future__ import annotations

import contextvars
import math
import threading
import time
from numbers import Real

from letta_nb.entries import Change
from letta_nb.errors import InputError
from letta_nb.live import View
from letta_nb.run import Run


class Replay:
    """Feeds a run's log into a fresh Run, `speed` times as fast as it came. Stopping it leaves the rest out."""

    def __init__(self, source: Run, speed: float = 1.0) -> None:
        if not isinstance(speed, Real) or not 0 < speed < math.inf:
            raise InputError(f"speed must be a number greater than 0, such as 4, not {speed!r:.80}.")
        if source.log is None or not source.timed:
            raise InputError("This run has no arrival times to replay by; run.show() shows it whole.")
        self.run = source.blank(record=True)
        self._source = source
        self._speed = speed
        self._stop = threading.Event()
        self._over = threading.Event()
        self._problem: Exception | None = None
        self._start = time.monotonic_ns()

    def elapsed(self) -> int:
        """ns on the replayed run's clock."""
        return int((time.monotonic_ns() - self._start) * self._speed)

    def stop(self) -> None:
        """End the replay where it stands."""
        self._stop.set()

    def play(self, view: View | None = None) -> Run:
        """Replay to the end, or to an interrupt; returns the replayed Run."""
        context = contextvars.copy_context()
        reader = threading.Thread(target=context.run, args=(self._read, view), name="letta_nb replay", daemon=True)
        self._start = time.monotonic_ns()
        reader.start()
        # an event and not `join`: a join that was interrupted calls a running thread dead (CPython gh-90882)
        try:
            while not self._over.wait(0.1):
                pass
        except KeyboardInterrupt:
            self.stop()
            self._over.wait()
            raise
        if self._problem is not None:
            raise self._problem
        return self.run

    def _read(self, view: View | None) -> None:
        try:
            self._replay(view)
            if view is not None:
                view.ended(self.run, None)
        except Exception as problem:
            self._problem = problem
        finally:
            self._over.set()

    def _replay(self, view: View | None) -> None:
        run = self.run
        self._tell(view, run.opening())
        for item in self._source.history():
            if self._stop.wait(max(0, (item.at or 0) - self.elapsed()) / self._speed / 1e9):
                break
            self._tell(view, run.take(item))
        if self._stop.is_set():
            self._tell(view, run.end(self.elapsed(), cancelled=True))
        else:
            self._tell(view, run.close_like(self._source))

    def _tell(self, view: View | None, changes: list[Change]) -> None:
        if view is not None and changes:
            view.changed(self.run, changes)
