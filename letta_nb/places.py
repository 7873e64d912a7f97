"""Where a live view stands: an output of Jupyter's, which can be replaced, or one of marimo's, whose widgets stay."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakValueDictionary

from letta_nb import marimo_cells, notebook, redaction, static_html, text
from letta_nb.run import Run

if TYPE_CHECKING:
    from letta_nb.widget import RunWidget

# A page that was away when a run ended missed its frozen output, and what it saved in mid-run is a widget: its model
# must still be there to answer. Each costs its bundle in what a reloading page is sent, so only the latest are kept.
_KEPT = 20
_ended: deque[RunWidget] = deque()
# s until a view in marimo is sent whole, at first and at last
_CATCH_UP_S = 0.25, 30.0
# what stands in marimo's outputs, by the run's uid: a run that is a cell's value is the view that the cell shows
_in_marimo: WeakValueDictionary[str, RunWidget] = WeakValueDictionary()


class Place(Protocol):
    """An output of the current cell. `told`: an exception says all there is to say."""

    def show(self, widget: RunWidget, run: Run) -> None: ...
    def paused(self, widget: RunWidget, run: Run) -> None: ...
    def ended(self, widget: RunWidget, run: Run, *, told: bool) -> None: ...


def here() -> Place:
    """The current cell of the notebook that runs us."""
    return MarimoOutput() if marimo_cells.runs_us() else JupyterOutput()


def shown_in_marimo(run: Run) -> RunWidget | None:
    """The view of a run that marimo shows already, if it does."""
    return _in_marimo.get(run.uid)


class JupyterOutput:
    """A widget while the run goes on, with readable text beside it; HTML that needs no kernel afterwards."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._spare: Any = None

    def show(self, widget: RunWidget, run: Run) -> None:
        bundle = widget.view()
        # without keys: what stands in a notebook is saved and shared with it
        its = redaction.redacted(run.still())
        bundle["text/html"] = static_html.running_fragment(its)
        bundle["text/plain"] = text.transcript(its, plain=True)
        self._handle = notebook.display_bundle(bundle, updatable=True)

    def paused(self, widget: RunWidget, run: Run) -> None:
        """The run waits for a person: the buttons stay, and a notebook saved now has the run beside them.

        In an output of its own: of one output that holds both, JupyterLab shows the widget, whose model is gone with
        the kernel.
        """
        if self._handle is None:
            return
        its = redaction.redacted(run.still())
        spare = {"text/html": static_html.spare(its), "text/plain": ""}
        if self._spare is None:
            plain = text.transcript(its, plain=True)
            self._handle.update({**widget.view(), "text/html": "", "text/plain": plain}, raw=True)
            self._spare = notebook.display_bundle(spare, updatable=True)
        else:
            self._spare.update(spare, raw=True)

    def ended(self, widget: RunWidget, run: Run, *, told: bool) -> None:
        nothing = {"text/html": "", "text/plain": ""}
        if self._handle is not None:
            self._handle.update(nothing if told else run.mimebundle(), raw=True)
        if self._spare is not None:
            self._spare.update(nothing, raw=True)
        _ended.append(widget)
        if len(_ended) > _KEPT:
            _ended.popleft().close()


class MarimoOutput:
    """A widget for good: marimo runs no script in HTML, and closes it when the cell runs again.

    A page that has missed something is not heard while a cell runs, and marimo keeps a widget's last state for pages
    that come later, nothing else of what it was sent: so its state is sent now and then.
    """

    def __init__(self) -> None:
        self._over = threading.Event()

    def show(self, widget: RunWidget, run: Run) -> None:
        _in_marimo[run.uid] = widget
        marimo_cells.append(widget)
        threading.Thread(target=self._catch_up, args=(widget,), name="letta_nb marimo", daemon=True).start()

    def _catch_up(self, widget: RunWidget) -> None:
        """Soon, as a page that loads the view for the first time misses the beginning, and ever less often."""
        wait = _CATCH_UP_S[0]
        while not self._over.wait(wait):
            widget.renew()
            wait = min(2 * wait, _CATCH_UP_S[1])

    def paused(self, widget: RunWidget, run: Run) -> None:
        del run
        widget.renew()

    def ended(self, widget: RunWidget, run: Run, *, told: bool) -> None:
        del run, told
        self._over.set()
        widget.renew()
