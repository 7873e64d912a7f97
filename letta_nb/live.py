"""A stream pulled into a Run on a thread of its own, so that whoever waits can be interrupted, and stop it."""

from __future__ import annotations

import contextvars
import threading
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from letta_nb.client import Client
from letta_nb.entries import Change, RunError
from letta_nb.errors import Interrupted
from letta_nb.run import Run
from letta_nb.stream import Stream

# How long the server gets to end a stopped run in its own words before the connection is closed.
GRACE_S = 2.0
# How long a finished run waits for the server's own figures.
COMPLETE_S = 3.0


class View(Protocol):
    """Who watches a run: told of each change, and once of the end."""

    def changed(self, run: Run, changes: Sequence[Change]) -> None: ...
    def ended(self, run: Run, problem: Exception | None) -> None: ...


class Live:
    """One run being read. `wait()` returns the Run; `cancel()` asks the server to stop it, from any thread."""

    def __init__(self, client: Client, stream: Stream, view: View | None = None, *, complete: bool = True) -> None:
        self.run = stream.run
        self.problem: Exception | None = None
        self._client = client
        self._stream = stream
        self._view = view
        self._complete = complete
        self._over = threading.Event()
        # the stream is read; its connection may serve another by now
        self._read_over = threading.Event()
        self._cancel_once = threading.Lock()
        self._finish_once = threading.Lock()
        # the thread publishes to the cell that started it: Jupyter keeps that in a context variable
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._read,), name="letta_nb reader", daemon=True)

    def start(self) -> Live:
        """Send the message and read on in the background."""
        self._tell(self.run.opening())
        self._thread.start()
        return self

    @property
    def elapsed(self) -> int:
        """ns since the request was sent."""
        return self._stream.elapsed()

    @property
    def over(self) -> bool:
        """Whether everything has been read."""
        return self._over.is_set()

    def wait(self) -> Run:
        """Wait for the end; raises the letta_nb error of a refused request.

        KeyboardInterrupt cancels the run first and goes on as Interrupted, with what arrived.
        """
        try:
            while not self._over.wait(0.1):
                pass
        except KeyboardInterrupt:
            self.cancel()
            if not self._over.wait(GRACE_S + 1.0):
                self._abandon()
            raise Interrupted(self.run) from None
        if self.problem is not None:
            raise self.problem
        return self.run

    def cancel(self) -> None:
        """Ask the server to stop the run, without waiting. The second time does nothing."""
        if self._cancel_once.acquire(blocking=False) and not self.over:
            self._stream.cancelled = True
            threading.Thread(target=self._cancel, name="letta_nb cancel", daemon=True).start()

    def _cancel(self) -> None:
        deadline = time.monotonic() + GRACE_S
        # without a run_id a cancel would stop everybody's runs of this agent: wait for it, or only hang up
        while self.run.run_id is None and time.monotonic() < deadline and not self._over.wait(0.02):
            pass
        if self.run.agent_id is not None and self.run.run_id is not None and not self.over:
            # a server that knows no cancel, or hangs, must not hold up the person who stopped it
            with suppress(Exception):
                self._client.cancel(self.run.agent_id, self.run.run_id, timeout=GRACE_S)
        if not self._read_over.wait(max(0.0, deadline - time.monotonic())):
            self._stream.shutdown()

    def _abandon(self) -> None:
        # the reader hangs where nothing can reach it (a connect, say): end the run without it
        self._stream.shutdown()
        self._tell(self.run.end(self.elapsed, RunError("closed", "The run was stopped here."), cancelled=True))
        self._finish()

    def _read(self) -> None:
        try:
            with self._stream as stream:
                self._tell(stream.take())
                for _ in stream:
                    self._tell(stream.take())
            # how it ended, where no event said so
            self._tell(stream.take())
            self._read_over.set()
            if self._complete:
                self._fetch_figures()
        except Exception as problem:
            self.problem = problem
            self._tell(self._stream.take())
        finally:
            self._read_over.set()
            self._finish()

    def _fetch_figures(self) -> None:
        """What the stream leaves out. Never fatal: a server may not have it, or be gone, or say it in another shape."""
        with suppress(Exception):
            self._tell(self._client.complete(self.run, timeout=COMPLETE_S))

    def _tell(self, changes: Sequence[Change]) -> None:
        """Pass changes on. A view that fails is left out of the rest: it must not stop the reading."""
        if changes and self._view is not None:
            try:
                self._view.changed(self.run, changes)
            except Exception as broken:
                self._broken_view(broken)

    def _finish(self) -> None:
        if not self._finish_once.acquire(blocking=False):
            return
        try:
            if self._view is not None:
                self._view.ended(self.run, self.problem)
        except Exception as broken:
            self._broken_view(broken)
        finally:
            self._over.set()

    def _broken_view(self, problem: Exception) -> None:
        self._view = None
        warnings.warn(f"letta_nb: the run could not be shown here: {problem!r}. run.show() tries again.", stacklevel=2)
