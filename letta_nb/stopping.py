"""Stop means stop: the server is asked, and what it says is what the run says. Closing a connection cancels nothing."""

from __future__ import annotations

from letta_nb.client import Client
from letta_nb.entries import Cancel, CancelOutcome, Change
from letta_nb.errors import BadRequest, Conflict, HTTPError, LettaNbError, NotFound
from letta_nb.run import Run

_NO_ROUTE = "Not Found"


def ask_to_stop(client: Client, run: Run, run_id: str | None, asked_at: int, timeout: float) -> Cancel:
    """Ask the server to cancel the request that is `run_id` there, within `timeout` s. Never raises."""
    if run.agent_id is None or run_id is None:
        # without a run_id a cancel stops the agent's latest run, whoever made it
        return Cancel(asked_at=asked_at, outcome="unsupported", words="The server has given the run no id.")
    try:
        said = client.cancel(run.agent_id, run_id, timeout=timeout)
    except HTTPError as refusal:
        return Cancel(asked_at=asked_at, outcome=_outcome(refusal), words=refusal.message)
    except LettaNbError as problem:
        return Cancel(asked_at=asked_at, outcome="unheard", words=str(problem))
    # {run_id: "cancelled" or "failed"}
    word = said.get(run_id) if isinstance(said, dict) else said  # pyright: ignore[reportUnnecessaryIsInstance]
    if word == "cancelled":
        return Cancel(asked_at=asked_at, outcome="cancelled")
    return Cancel(asked_at=asked_at, outcome="refused", words=f"It answered {word!r:.200}.")


def _outcome(refusal: HTTPError) -> CancelOutcome:
    match refusal:
        case Conflict():
            return "nothing"
        case NotFound() if refusal.message == _NO_ROUTE:
            return "unsupported"
        case BadRequest():
            # 405: no such call; 400: this server does not keep track of runs
            return "unsupported"
        case HTTPError(status_code=501):
            return "unsupported"
        case _:
            return "refused"


def stopped_in_vain(run: Run, at: int) -> list[Change]:
    """A server may agree to cancel what is over already: what it said in the stream counts."""
    cancel = run.cancellation
    if cancel is None or cancel.outcome != "cancelled" or run.status != "completed":
        return []
    said = Cancel(asked_at=cancel.asked_at, outcome="nothing", words="The run was over already.")
    return run.cancel_told(said, at)
