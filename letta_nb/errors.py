"""Everything that letta_nb raises, in one tree. Where there is a run, the error carries it: `error.run`.

LettaNbError
├── ConfigurationError        nothing was sent: a missing extra, no server, a bad option
├── InputError                a file or an argument that cannot be used; says what would do
│   └── AgentNotFound         no agent of that id or name; lists the ones there are
├── ConnectionFailed          no server answered at that address
├── ProtocolError             something answered, but not a Letta message stream
└── HTTPError                 the server refused, in its own words
    ├── BadRequest            400, 405, 415
    ├── AuthenticationError   401, 403
    ├── PaymentRequired       402
    ├── NotFound              404
    ├── Conflict              409
    │   └── PendingApproval   the agent waits for an answer to an earlier tool call
    ├── Gone                  410
    ├── ValidationError       422
    ├── RateLimited           429
    └── ServerError           5xx

Interrupted                   a KeyboardInterrupt: the run was cancelled, and `run` has what arrived (None: of many)

A stream that starts and then breaks raises nothing: the Run says `interrupted` or `failed`, with `run.error`.
Source: CONTRACT of the message stream, HTTP errors of Letta 0.6 to 0.16.8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from letta_nb.run import Run


class LettaNbError(Exception):
    """Base of all errors of this package; `run` is what had arrived, or None."""

    run: Run | None = None

    def _render_traceback_(self) -> list[str]:
        # IPython asks for this: the reader's next move, not sixty lines of httpx
        return [f"{type(self).__name__}: {self}"]


class ConfigurationError(LettaNbError):
    """Nothing was sent: the set-up lacks something, and the message says what to do."""


class InputError(LettaNbError, ValueError):
    """A file or an argument that cannot be used."""


class AgentNotFound(InputError):
    """No agent of that id or name."""


class ConnectionFailed(LettaNbError, ConnectionError):
    """No server answered at that address."""


class ProtocolError(LettaNbError):
    """Something answered that is not a Letta message stream."""


class HTTPError(LettaNbError):
    """The server refused: `status_code`, the server's own words in `message`, the decoded body in `body`."""

    def __init__(self, text: str, *, status_code: int, message: str, body: Any = None) -> None:
        super().__init__(text)
        self.status_code = status_code
        self.message = message
        self.body = body


class BadRequest(HTTPError):
    """400, 405 and 415: the server could not use the request."""


class AuthenticationError(HTTPError):
    """401 and 403: the key or the password is missing or wrong."""


class PaymentRequired(HTTPError):
    """402: the account or the provider has no credits."""


class NotFound(HTTPError):
    """404: no such agent, run or route."""


class Conflict(HTTPError):
    """409: the agent is busy, or waits for an approval."""


class PendingApproval(Conflict):
    """409: the agent waits for an answer to an earlier tool call; `run.pending` lists what it asks."""


class Gone(HTTPError):
    """410: the run's stream has expired."""


class ValidationError(HTTPError):
    """422: the server's validation refused the request."""


class RateLimited(HTTPError):
    """429: too many requests."""


class ServerError(HTTPError):
    """5xx: the server failed."""


class Interrupted(KeyboardInterrupt):
    """The cell was interrupted: the run was cancelled, and `run` has what had arrived; None where it was many runs."""

    def __init__(self, run: Run | None, told: str = "") -> None:
        super().__init__(told or _how(run))
        self.run = run

    def _render_traceback_(self) -> list[str]:
        return [f"Interrupted: {self}"]


def _how(run: Run | None) -> str:
    if run is None:
        return "all was stopped"
    how = "still waits for an answer: approve() or deny() it" if run.pending else f"was {run.status}"
    return f"the run {how}; what arrived is letta_nb.last_run()"
