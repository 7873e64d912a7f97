"""What a person calls on a Run: frames, files, pictures and answers. Each is one line that names who does it.

A Run is pure data; what these names reach lies in the modules above it, and is imported when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pandas as pd

    from letta_nb.entries import ToolCallEntry
    from letta_nb.explanation import Explanation
    from letta_nb.frames import Options
    from letta_nb.otel import Span
    from letta_nb.redaction_rules import Redact
    from letta_nb.run import Run


class Shortcuts:
    """The part of `Run` that is not data."""

    @property
    def _run(self) -> Run:
        return cast("Run", self)

    # -- going on ------------------------------------------------------------------------------------------------------

    def approve(self, *calls: str | ToolCallEntry) -> Run:
        """Approve pending tool calls (all of them, or those named by id) and let the run go on; returns this Run.

        Several pending calls may be answered one by one: the run goes on with the last answer. In a notebook it streams
        on where it is shown. Waits for the end of the run, or its next approval request. Raises InputError if nothing
        is pending.
        """
        from letta_nb import api

        return api.answer(self._run, calls, approve=True)

    def deny(self, reason: str | None = None, *calls: str | ToolCallEntry) -> Run:
        """Deny pending tool calls, as `approve` approves them; the agent is told `reason`.

        The reason comes first: `deny("too risky")` denies all, `deny("too risky", call)` one, `deny(None, call)` too.
        """
        from letta_nb import api

        return api.answer(self._run, calls, approve=False, reason=reason)

    def wait(self) -> Run:
        """Wait until the run is over, and answered if it asks for approval; returns this Run."""
        from letta_nb import api

        return api.wait(self._run)

    def cancel(self) -> Run:
        """Ask the server to stop the run, and wait for its word: `run.cancellation` has it."""
        from letta_nb import api

        return api.cancel(self._run)

    # -- looking at it -------------------------------------------------------------------------------------------------

    def save(self, path: str | Path, *, redact: Redact = (), redact_fields: str | Iterable[str] = ()) -> Path:
        """Write the run file (JSON Lines, events as received with their times); returns its path.

        `redact=["Alice", re.compile(r"\\d{16}")]` replaces texts and patterns by `[redacted]` wherever they stand, also
        where they came in pieces; `redact_fields=["tool_return"]` all that stands under a name. Upper and lower case
        differ, but for patterns with `re.IGNORECASE`; what is nowhere in the run is warned of. What looks like a
        provider's key is always replaced; `redact=False` keeps everything.
        """
        from letta_nb import record

        return record.save(self._run, path, redact, redact_fields)

    def replay(self, speed: float = 1.0) -> Run:
        """Show the run again as it arrived, `speed` times as fast; returns the replayed Run, equal to this one."""
        from letta_nb import api

        return api.replay(self._run, speed)

    def show(self) -> None:
        """Display the run: the interactive view in a notebook, a text transcript elsewhere."""
        from letta_nb import notebook

        notebook.show(self._run)

    def to_html(
        self, path: str | Path | None = None, *, redact: Redact = (), redact_fields: str | Iterable[str] = ()
    ) -> str | Path:
        """The run as a page that needs no kernel, no server and no network: its HTML, or its path if one is given.

        `redact`, `redact_fields`: what it must not show, as in `save`.
        """
        from letta_nb import paths, redaction, static_html

        run = redaction.redacted(self._run.still(), redact, redact_fields)
        return paths.told(static_html.to_html(run), path, "to_html", "run.html")

    def to_otel(
        self,
        exporter: Any = None,
        *,
        content: bool = False,
        redact: Redact = (),
        redact_fields: str | Iterable[str] = (),
    ) -> list[Span]:
        """The run as OpenTelemetry spans: plain data, also sent by `exporter` (any `SpanExporter`) if there is one.

        `content=True`: with prompts, answers, arguments and results. `redact`, `redact_fields`: without these, as in
        `save`; without what looks like a key in any case.
        """
        from letta_nb import otel

        return otel.to_otel(self._run, exporter, content=content, redact=redact, redact_fields=redact_fields)

    def _ipython_display_(self) -> None:
        from letta_nb import notebook

        # as the value of the cell that streamed it, the run stands there already
        if not notebook.already_shown(self._run):
            notebook.show(self._run)

    def _display_(self) -> Any:
        """What marimo shows: it runs no script in HTML, but any widget."""
        from letta_nb import notebook, places, widget

        if (shown := places.shown_in_marimo(self._run)) is not None:
            return shown
        if self._run.status in ("running", "requires_approval"):  # nobody would hear its buttons
            return notebook.html(self.mimebundle()["text/html"])
        return widget.LiveView.of(self._run)

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        """What `rich.print(run)` prints: the transcript."""
        from letta_nb import text

        return text.styled(self._run.still(), width=min(options.max_width, 80))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.mimebundle()

    def mimebundle(self) -> dict[str, str]:
        """The run as a cell's output: HTML that needs no kernel, and text that is the same on each run.

        Without keys of providers, as in a run file: notebooks are shared with what stands in them.
        """
        from letta_nb import redaction, static_html, text

        run = redaction.redacted(self._run.still())
        return {"text/html": static_html.fragment(run), "text/plain": text.transcript(run, plain=True)}

    def explain(self) -> Explanation:
        """Why it was slow, and why costly: sentences, each with the rows that prove it."""
        from letta_nb import explanation

        return explanation.explain(self._run)

    def runs_df(self, **options: Unpack[Options]) -> pd.DataFrame:
        """One row: who answered, how it ended, how long it took, its tokens in all."""
        from letta_nb import frames

        return frames.runs_df(self._run, **options)

    def steps_df(self, **options: Unpack[Options]) -> pd.DataFrame:
        """One row a step (one model call and its tools).

        Options as of `letta_nb.steps_df`: `columns=[...]`, `names="otel"`, `backend="pyarrow"`.
        """
        from letta_nb import frames

        return frames.steps_df(self._run, **options)

    def tools_df(self, **options: Unpack[Options]) -> pd.DataFrame:
        """One row a tool call, pending ones too."""
        from letta_nb import frames

        return frames.tools_df(self._run, **options)

    def usage_df(self, **options: Unpack[Options]) -> pd.DataFrame:
        """One row a usage report."""
        from letta_nb import frames

        return frames.usage_df(self._run, **options)

    def messages_df(self, **options: Unpack[Options]) -> pd.DataFrame:
        """One row a joined message, in order."""
        from letta_nb import frames

        return frames.messages_df(self._run, **options)

    def events_df(self, **options: Unpack[Options]) -> pd.DataFrame:
        """One row an event, as received."""
        from letta_nb import frames

        return frames.events_df(self._run, **options)
