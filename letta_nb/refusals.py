"""What a server's refusals mean: the typed error, the server's own words in it, and the reader's next move."""

from __future__ import annotations

from typing import Any, cast

import httpx
import pydantic_core

from letta_nb import errors
from letta_nb.addresses import shown
from letta_nb.cleaning import clean

_BY_STATUS: dict[int, type[errors.HTTPError]] = {
    400: errors.BadRequest,
    401: errors.AuthenticationError,
    402: errors.PaymentRequired,
    403: errors.AuthenticationError,
    404: errors.NotFound,
    405: errors.BadRequest,
    409: errors.Conflict,
    410: errors.Gone,
    415: errors.BadRequest,
    422: errors.ValidationError,
    429: errors.RateLimited,
}
_NEXT_MOVE = {
    401: "Check the key: letta_nb.connect(url, api_key=...) or LETTA_API_KEY; a server's password goes in password=.",
    403: "Check the key: letta_nb.connect(url, api_key=...) or LETTA_API_KEY; a server's password goes in password=.",
    404: "letta_nb.agents() lists the agents there are.",
    429: "Wait before the next message; nothing was sent again.",
}


_ANSWER_FIRST = 'letta_nb.last_run().pending lists the call; .approve() or .deny("why") answers; then send again.'


def refusal(response: httpx.Response) -> errors.LettaNbError:
    """The typed error for a response that is no success; its body must have been read."""
    status, body = response.status_code, body_of_response(response)
    where = f"{response.request.method} {shown(response.request.url)}"
    if response.is_redirect:
        return errors.ProtocolError(
            f"{where} was redirected to {response.headers.get('location')}; connect there instead."
        )
    words = words_of(body)
    if status == 409 and "PENDING_APPROVAL" in words:
        text = (
            f"The agent waits for an answer to an earlier tool call, so it took no message ({words}).\n{_ANSWER_FIRST}"
        )
        return errors.PendingApproval(text, status_code=status, message=words, body=body)
    kind = _BY_STATUS.get(status, errors.ServerError if status >= 500 else errors.BadRequest)
    text = f"HTTP {status} from {where}: {words}"
    if "retry-after" in response.headers:
        text += f"\nIt asks to wait: Retry-After: {_one_line(response.headers['retry-after'])} (s, or a date)."
    # a model or a conversation may be what is not found
    if status in _NEXT_MOVE and (status != 404 or "agent" in words.lower()):
        text += f"\n{_NEXT_MOVE[status]}"
    return kind(text, status_code=status, message=words, body=body)


def body_of_response(response: httpx.Response) -> Any:
    """The decoded body: JSON, or the text as it is."""
    try:
        return pydantic_core.from_json(response.content)
    except ValueError:
        return response.text


def words_of(body: Any) -> str:
    """The server's own words in an error body: `detail` or `error`, each a string, an object or a list."""
    if isinstance(body, str):
        return _one_line(body) or "(no message)"
    if not isinstance(body, dict):
        return _one_line(str(body))
    facts = cast("dict[str, Any]", body)
    words: Any = facts.get("detail", facts.get("error", facts))
    if isinstance(words, dict):
        inner = cast("dict[str, Any]", words)
        parts = [inner.get(key) for key in ("code", "type", "message", "detail")]
        words = ": ".join(str(part) for part in parts if part) or str(inner)
    if isinstance(words, list):
        words = "; ".join(_validation_words(item) for item in cast("list[Any]", words))
    return _one_line(str(words))


def _validation_words(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    facts = cast("dict[str, Any]", item)
    place = facts.get("loc")
    where = ".".join(map(str, cast("list[Any]", place))) if isinstance(place, list) else str(place or "")
    return f"{where}: {facts.get('msg', facts)}"


def _one_line(text: str) -> str:
    line = " ".join(clean(text).split())
    return line if len(line) <= 600 else line[:600] + " …"


def not_a_stream(response: httpx.Response) -> errors.ProtocolError:
    """The error for a 200 whose body is no event stream; its body must have been read."""
    kind = response.headers.get("content-type", "no content type").partition(";")[0]
    return errors.ProtocolError(
        f"{shown(response.request.url)} answered with {kind}, not as a Letta server does. Is this one?\n"
        f"It said: {_one_line(response.text)[:200]}"
    )


def unreachable(url: httpx.URL, problem: Exception) -> errors.LettaNbError:
    """The error for a request that got no answer at all."""
    if isinstance(problem, (httpx.ConnectError, httpx.ConnectTimeout)):
        return errors.ConnectionFailed(
            f"No server answered at {shown(url)} ({problem}). Is it running? letta_nb.connect(url) names another; "
            "without a server, letta_nb.connect() starts the embedded one."
        )
    if isinstance(problem, httpx.TimeoutException):
        return errors.ConnectionFailed(
            f"{shown(url)} did not answer in time. The request may have reached it; it was not sent again."
        )
    return errors.ConnectionFailed(
        f"{shown(url)} closed the connection before it answered ({_reason(problem)}). "
        "The request may have reached it; it was not sent again."
    )


def _reason(problem: Exception) -> str:
    # h11's own complaints quote headers, and headers hold keys
    quotes = isinstance(problem, httpx.LocalProtocolError)
    return type(problem).__name__ if quotes else str(problem) or type(problem).__name__


# Bytes of an answer that is no event stream which are read: enough for any refusal, and an end of what has none.
READ_MAX = 1 << 20


def read_so_far(response: httpx.Response, body: bytes) -> httpx.Response:
    """The response with as much of its (unpacked) body as was read."""
    left_out = ("content-encoding", "content-length", "transfer-encoding")
    headers = [(name, value) for name, value in response.headers.multi_items() if name.lower() not in left_out]
    return httpx.Response(response.status_code, headers=headers, content=body, request=response.request)
