"""Every way in which a message stream is known to go wrong, as data: what the server sends, and what must come of it.

The streams are real servers' bytes, one recording for each era and mode, spoilt in one way each; `fault_play` plays
them. What is expected is said in one place, for each era: where one is None, servers of that era cannot do this.
"""

from __future__ import annotations

import json
import re
import socket
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from recordings import FIXTURES
from scripted import CHUNKED, STREAM, Step, chunk, reset, response

from letta_nb import errors
from letta_nb.server.refusals import REFUSALS

Era = Literal["modern", "seed"]
Mode = Literal["step", "token"]


class Base(NamedTuple):
    """A recording of a run that went well, and what it is an example of."""

    era: Era
    mode: Mode
    name: str

    @property
    def body(self) -> bytes:
        return (FIXTURES / f"{self.name}.sse").read_bytes()


BASES = (
    Base("modern", "token", "0.16.8/v1_multi2_tok"),
    Base("modern", "step", "0.16.8/v1_multi_step"),
    Base("seed", "token", "0.7.16/memgpt_one_tok"),
    Base("seed", "step", "0.7.16/memgpt_multi_step"),
)


class Script(NamedTuple):
    """What the server does, and which bytes of an event stream the client can have had of it."""

    steps: tuple[Step, ...]
    body: bytes


class Want(NamedTuple):
    """What must come of it: the run's status, its error's type (or the class that is raised), and words in it.

    `unknown`: how many events are shown as not understood. `posts`: more than one only where the first door said that
    it is none, and the other one is tried.
    """

    status: str
    said: str | None = None
    words: str = ""
    stop_reason: str | None = None
    unknown: int = 0
    posts: int = 1


class Fault(NamedTuple):
    """One row of the matrix. `silence`: seconds after which the client gives up; None for its own default.

    `known`: a bug that keeps this row from what it should be, until it is fixed.
    """

    name: str
    group: str
    script: Callable[[Base], Script]
    modern: Want | None
    seed: Want | None
    silence: float | None = None
    modes: tuple[Mode, ...] = ("token", "step")
    known: str = ""

    def want(self, base: Base) -> Want | None:
        """None where there is no such thing."""
        return None if base.mode not in self.modes else self.modern if base.era == "modern" else self.seed


# -- spoiling ---------------------------------------------------------------------------------------------------------

DONE = b"data: [DONE]\n\n"
MESSAGES = re.compile(rb"(?:[^\n]+\n)+\n")
Spoil = Callable[[Base], bytes]


def frames(base: Base) -> list[bytes]:
    """The recording, event by event."""
    found = MESSAGES.findall(base.body)
    assert b"".join(found) == base.body
    return found


def data(value: Any, event: str = "") -> bytes:
    """One event; text is sent as it is."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return f"{f'event: {event}' + chr(10) if event else ''}data: {text}\n\n".encode()


def half(base: Base) -> list[bytes]:
    """The events of the first half."""
    found = frames(base)
    return found[: len(found) // 2]


def until(pattern: bytes) -> Spoil:
    """All before the first event that contains this."""

    def spoil(base: Base) -> bytes:
        found = frames(base)
        return b"".join(found[: next(i for i, frame in enumerate(found) if pattern in frame)])

    return spoil


def without(pattern: bytes) -> Spoil:
    return lambda base: b"".join(frame for frame in frames(base) if pattern not in frame)


def extra(*more: bytes) -> Spoil:
    """The whole stream, with these in the middle."""
    return lambda base: b"".join((*half(base), *more, *frames(base)[len(half(base)) :]))


def ending(*last: bytes) -> Spoil:
    """Half the stream, then these, then the end of the connection."""
    return lambda base: b"".join((*half(base), *last))


def swapped(old: bytes, new: bytes) -> Spoil:
    def spoil(base: Base) -> bytes:
        assert old in base.body, f"{base.name} has no {old!r}"
        return base.body.replace(old, new)

    return spoil


def torn(base: Base) -> bytes:
    line = frames(base)[len(half(base))]
    return b"".join(half(base)) + line[: len(line) // 2]


def word(base: Base, text: str, **more: Any) -> bytes:
    """One more piece of what the agent says, as a block of its own."""
    facts = {"id": "message-00000000-0000-4000-8000-00000000000f", "date": "2026-01-01T00:00:00+00:00"}
    return data({**facts, "message_type": "assistant_message", "content": text, **more})


def plain(spoil: Spoil, head: bytes = STREAM) -> Callable[[Base], Script]:
    """Sent in one piece; the connection then ends."""

    def script(base: Base) -> Script:
        body = spoil(base)
        return Script((head + body,), body)

    return script


def whole(base: Base) -> bytes:
    return base.body


def chunked(spoil: Spoil, *then: Step) -> Callable[[Base], Script]:
    def script(base: Base) -> Script:
        body = spoil(base)
        return Script((CHUNKED + chunk(body), *then), body)

    return script


def until_they_leave(connection: socket.socket) -> None:
    """Send nothing for as long as the client stays."""
    while connection.recv(4096):
        pass


def byte_by_byte(base: Base) -> Script:
    # shorter recordings: 60,000 writes are no better than 14,000
    names = {"modern": "0.16.8/v1_hello", "seed": "0.7.16/memgpt_hello"}
    mode = "tok" if base.mode == "token" else "step"
    body = base._replace(name=f"{names[base.era]}_{mode}").body

    def dribble(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in body:
            connection.sendall(bytes([byte]))

    return Script((STREAM, dribble), body)


def packed(base: Base) -> Script:
    head = STREAM.replace(b"connection", b"content-encoding: gzip\r\nconnection")
    pack = zlib.compressobj(wbits=31)
    pieces = [pack.compress(frame) + pack.flush(zlib.Z_SYNC_FLUSH) for frame in frames(base)]
    return Script((head, *pieces, pack.flush()), base.body)


def packed_and_cut(base: Base) -> Script:
    head = STREAM.replace(b"connection", b"content-encoding: gzip\r\nconnection")
    pack = zlib.compressobj(wbits=31)
    body = torn(base)
    return Script((head, pack.compress(body) + pack.flush(zlib.Z_SYNC_FLUSH)), body)


def packed_as_nobody_can_read(base: Base) -> Script:
    head = STREAM.replace(b"connection", b"content-encoding: x-secret\r\nconnection")
    body = bytes(byte ^ 0x80 for byte in base.body)
    return Script((head, body), body)


def headed(content_type: str, spoil: Spoil = whole) -> Callable[[Base], Script]:
    return plain(spoil, STREAM.replace(b"text/event-stream; charset=utf-8", content_type.encode()))


def answered(raw: bytes, *then: Step) -> Callable[[Base], Script]:
    """Something that is no event stream."""
    return lambda base: Script((raw, *then), b"")


def recorded(**names: str) -> Callable[[Base], Script]:
    """Whole recordings of runs that ended so, by era and mode."""

    def script(base: Base) -> Script:
        folder = "0.16.8" if base.era == "modern" else "0.7.16"
        body = (FIXTURES / folder / f"{names[base.mode]}.sse").read_bytes()
        return Script((STREAM + body,), body)

    return script


# -- the rows ---------------------------------------------------------------------------------------------------------

OK = Want("completed", stop_reason="end_turn")
OK_SEED = Want("completed")
CLOSED = Want("interrupted", "connection_closed", r"The connection closed after \d+\.\d\d s, before the run ended")
LOST = CLOSED._replace(said="connection_lost", words=r"The connection broke after \d+\.\d\d s, before the run ended")
SILENT = Want("interrupted", "silence", "not even a ping")
# long enough for a busy machine to begin its answer, s
SILENCE = 0.8
STOP = b'"message_type":"stop_reason"'
USAGE = b'"message_type":"usage_statistics"'
MESSAGE = b'"message_type":"'
ERROR = {
    "message_type": "error_message",
    "run_id": None,
    "error_type": "internal_error",
    "message": "An error occurred during agent execution.",
    "detail": "INTERNAL_SERVER_ERROR: gone",
    "seq_id": None,
}
FAILED = Want("failed", "internal_error", "An error occurred during agent execution")
SEED_ERROR = {"error": "Stream failed (internal error occurred)"}
SEED_FAILED = Want("failed", "stream_error", "Stream failed")


def stop(reason: str) -> bytes:
    return data({"message_type": "stop_reason", "stop_reason": reason})


def good(name: str, group: str, script: Callable[[Base], Script], unknown: int = 0) -> Fault:
    """A defect that spoils nothing but itself."""
    return Fault(name, group, script, OK._replace(unknown=unknown), OK_SEED._replace(unknown=unknown))


def same(name: str, group: str, script: Callable[[Base], Script], want: Want, silence: float | None = None) -> Fault:
    return Fault(name, group, script, want, want, silence)


def ends() -> Iterator[Fault]:
    group = "ends"
    yield good("well", group, plain(whole))
    yield same("cut in a line", group, plain(torn), CLOSED)
    yield same("cut after an event", group, plain(ending()), CLOSED)
    yield same("cut between line and blank line", group, plain(lambda base: ending()(base)[:-1]), CLOSED)
    yield same("cut before any event", group, plain(lambda base: b""), CLOSED)
    yield same("cut, of chunks", group, chunked(torn), LOST)
    yield same("cut, of a promised length", group, plain(torn, STREAM[:-2] + b"content-length: 99999\r\n\r\n"), LOST)
    yield same("reset", group, chunked(torn, reset), LOST)
    yield same("silence", group, chunked(ending(), until_they_leave), SILENT, SILENCE)
    yield same("silence in a line", group, chunked(torn, until_they_leave), SILENT, SILENCE)._replace(modes=("step",))
    pings = [data({"message_type": "ping", "id": f"ping-{n}", "run_id": "run-1", "is_err": None}) for n in range(50)]
    yield Fault("pings, then the end", group, plain(ending(*pings)), CLOSED, None)
    yield Fault("pings without keys", group, plain(extra(*[data({"message_type": "ping"})] * 3)), OK, None)
    yield Fault("no [DONE]", group, plain(without(DONE)), OK, CLOSED)
    yield Fault("[DONE] without its blank line", group, plain(lambda base: base.body[:-2]), OK, CLOSED)
    yield Fault(
        "no stop_reason", group, plain(without(STOP)), Want("interrupted", "stream_ended", "before the run"), None
    )
    yield Fault("neither stop_reason nor [DONE]", group, plain(until(STOP)), CLOSED, None)
    yield Fault("no usage", group, plain(without(USAGE)), OK, Want("interrupted", "stream_ended", "before the run"))
    yield Fault(
        "usage first",
        group,
        plain(
            lambda base: (
                until(STOP)(base)
                + base.body[base.body.index(b"data: {" + USAGE) : -len(DONE)]
                + stop("end_turn")
                + DONE
            )
        ),
        OK,
        None,
    )
    yield good("[DONE] twice", group, plain(lambda base: base.body + DONE))
    yield good("more after [DONE]", group, plain(lambda base: base.body + word(base, "late") + data(ERROR, "error")))
    yield good("[DONE], then silence", group, chunked(whole, until_they_leave))
    yield Fault(
        "stop_reason twice", group, plain(lambda base: until(STOP)(base) + stop("end_turn") * 2 + DONE), OK, None
    )
    yield Fault(
        "stop_reason twice, error",
        group,
        plain(ending(stop("error"), stop("llm_api_error"), data(ERROR, "error"))),
        FAILED._replace(stop_reason="llm_api_error"),
        None,
    )
    yield Fault(
        "a failure in the middle",
        group,
        plain(ending(stop("error"), data(ERROR, "error"))),
        FAILED._replace(stop_reason="error"),
        None,
    )
    yield Fault(
        "a failure, then [DONE]",
        group,
        plain(ending(stop("error"), data(ERROR, "error"), DONE)),
        FAILED._replace(stop_reason="error"),
        None,
    )
    yield Fault("a failure without stop_reason", group, plain(ending(data(ERROR, "error"))), FAILED, None)
    yield Fault(
        "a failure before anything",
        group,
        plain(lambda base: stop("error") + data(ERROR, "error") + DONE),
        FAILED._replace(stop_reason="error"),
        None,
    )
    yield Fault("a failure first of all", group, plain(lambda base: data(ERROR, "error")), FAILED, None)
    coded = data({"error": "The stream broke", "code": "INTERNAL_SERVER_ERROR"}, "error")
    yield Fault(
        "a failure of the transport",
        group,
        plain(ending(coded)),
        Want("failed", "INTERNAL_SERVER_ERROR", "The stream broke"),
        None,
    )
    yield Fault("a failure of the seed era", group, plain(ending(data(SEED_ERROR), DONE)), None, SEED_FAILED)
    yield Fault(
        "the same with a code",
        group,
        plain(ending(data({**SEED_ERROR, "code": 500}), DONE)),
        None,
        SEED_FAILED._replace(said="500"),
    )
    yield Fault("the same first of all", group, plain(lambda base: data(SEED_ERROR) + DONE), None, SEED_FAILED)
    spaced = data('{"message_type": "stop_reason", "stop_reason": "cancelled"}')
    gone = data({"message": "Run was cancelled"}, "cancelled")
    halted = Want("cancelled", stop_reason="cancelled")
    yield Fault("cancelled", group, plain(ending(spaced)), halted, None)
    yield Fault("cancelled, in background", group, plain(ending(spaced, DONE)), halted, None)
    yield Fault(
        "cancelled, with a stale event",
        group,
        plain(lambda base: ending(spaced, word(base, "stale"))(base)),
        halted,
        None,
    )
    yield Fault("cancelled, as an event too", group, plain(ending(spaced, gone)), halted, None)
    yield Fault("cancelled, as an event only", group, plain(ending(gone)), halted, None)


def recordings() -> Iterator[Fault]:
    group = "recorded ends"

    def one(name: str, status: str, reason: str, said: str | None = None, words: str = "", **names: str) -> Fault:
        modes = tuple(mode for mode in ("token", "step") if mode in names)
        return Fault(name, group, recorded(**names), Want(status, said, words, reason), None, modes=modes)

    broken, api = "An error occurred during agent execution", "llm_api_error"
    yield one(
        "the model fails at once", "failed", api, "llm_error", "LLM", token="v1_err500_tok", step="v1_err500_step"
    )
    yield one(
        "the model fails in step 2", "failed", api, "internal_error", broken, token="v1_err2_tok", step="v1_err2_step"
    )
    yield one("the model's stream is cut", "failed", api, "internal_error", broken, token="v1_disc_tok")
    yield one(
        "context overflow", "failed", "error", "internal_error", "", token="v1_err400ctx_tok", step="v1_err400ctx_step"
    )
    yield one("the model says nothing", "completed", "end_turn", token="v1_empty_tok")
    yield one(
        "the model says nothing, in a step",
        "failed",
        "invalid_llm_response",
        "llm_empty_response",
        step="v1_empty_step",
    )
    yield one(
        "too many tokens",
        "failed",
        "max_tokens_exceeded",
        step="v1_length_step",
    )
    yield one("no messages", "failed", "error", "internal_error", token="bad_empty_messages", step="bad_empty_content")
    yield one("cancelled by its user", "cancelled", "cancelled", token="v1_cancel_slowtok", step="v1_cancel_bg_slowtok")
    yield one("max_steps", "completed", "max_steps", step="v1_loop_maxsteps3_step")
    yield one(
        "waits for an approval",
        "requires_approval",
        "requires_approval",
        token="v1_approve_tok_1request",
        step="v1_approve_step_1request",
    )
    yield one(
        "an approval is pending",
        "failed",
        "error",
        "internal_error",
        "waiting for approval",
        step="v1_approve_step_1b_usermsg_while_pending",
    )
    yield one(
        "an answer that none waits for",
        "failed",
        "error",
        "internal_error",
        step="bad_approval_none_pending",
    )
    yield one(
        "assistant text never arrives", "completed", "end_turn", token="memgpt_hello_tok", step="memgpt_hello_step"
    )
    yield one("parallel returns", "completed", "end_turn", token="v1_parallel_tok", step="v1_parallel_step")
    yield Fault(
        "the seed era's failure", group, recorded(token="memgpt_err500_tok", step="memgpt_disc_step"), None, SEED_FAILED
    )


def defects() -> Iterator[Fault]:
    group = "defects"

    def lines(end: bytes) -> Callable[[Base], Script]:
        return plain(lambda base: base.body.replace(b"\n", end))

    yield good("CRLF", group, lines(b"\r\n"))
    yield good("CR", group, lines(b"\r"))
    yield good(
        "comment lines",
        group,
        plain(lambda base: b"".join(b": ping\n\n:\n" + frame[:-1] + b": note\n\n" for frame in frames(base))),
    )
    yield good("one-byte writes", group, byte_by_byte)
    yield good(
        "chunks",
        group,
        lambda base: Script((CHUNKED, *(chunk(frame) for frame in frames(base)), b"0\r\n\r\n"), base.body),
    )
    yield good("gzip", group, packed)
    yield same("gzip, cut", group, packed_and_cut, CLOSED)
    yield same("an unknown compression", group, packed_as_nobody_can_read, CLOSED)
    yield good("a byte order mark", group, plain(lambda base: b"\xef\xbb\xbf" + base.body))
    yield good("blank lines", group, plain(lambda base: b"\n\n" + base.body.replace(b"\n\n", b"\n\n\n\n")))
    yield good(
        "id and retry lines", group, plain(lambda base: base.body.replace(b"data: ", b"id: 7\nretry: 10\ndata: "))
    )
    yield good("no space after data:", group, plain(swapped(b"data: ", b"data:")))
    yield good("data over several lines", group, plain(swapped(b',"date"', b',\ndata: "date"')))
    yield good("event: message", group, plain(lambda base: base.body.replace(b"data: ", b"event: message\ndata: ")))
    yield good("events without data", group, plain(extra(b"event: lonely\n\n", b"data\n\n", b"data:\n\n")))
    yield good("content type in capitals", group, headed("Text/Event-Stream;Charset=UTF-8"))
    yield good("content type of another charset", group, headed("text/event-stream; charset=iso-8859-1"))
    separators = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"
    yield good("raw U+2028, U+0085", group, plain(lambda base: extra(word(base, separators))(base)))
    yield good(
        "bytes that are not UTF-8", group, plain(lambda base: extra(word(base, "caf@").replace(b"@", b"\xe9"))(base))
    )
    yield good("an empty piece of text", group, plain(lambda base: extra(word(base, ""))(base)))
    yield good("1 MB of text", group, plain(lambda base: extra(word(base, "x" * 1_000_000))(base)))
    yield good("ANSI escapes in text", group, plain(lambda base: extra(word(base, "\x1b[31mred"))(base)))
    yield good(
        "fields from the future",
        group,
        plain(lambda base: extra(word(base, "hi", mood="new", nested={"a": [1]}))(base)),
    )
    bad = {
        "bad JSON": data('{"message_type":"assistant_message","content":"half'),
        "a JSON list": data("[1]"),
        "a JSON number": data("7"),
        "JSON null": data("null"),
        "text": data("Internal Server Error"),
        "an unknown type": data({"message_type": "thought_message", "id": "message-1", "thought": "new"}),
        "no message_type": data({"id": "message-1", "content": "whose?"}),
        "a message_type that is a number": data({"message_type": 7}),
        "a known type of a wrong shape": data({"message_type": "reasoning_message", "reasoning": None}),
        "a stop_reason that is none": data({"message_type": "stop_reason", "stop_reason": None}),
        "half a surrogate": data('{"message_type":"assistant_message","content":"\\ud83d"}'),
        "100,000 brackets": data("[" * 100_000),
        "a raw control character": data('{"message_type":"assistant_message","content":"a\x00b"}'),
    }
    for name, frame in bad.items():
        yield good(name, group, plain(extra(frame)), unknown=1)
    yield Fault(
        "error detail as a list",
        group,
        plain(ending(data({**ERROR, "detail": [{"loc": ["a"]}]}, "error"))),
        FAILED,
        None,
    )
    yield Fault(
        "error detail as an object",
        group,
        plain(ending(data({**ERROR, "detail": {"code": "X"}}, "error"))),
        FAILED,
        None,
    )
    yield Fault(
        "an error of nulls",
        group,
        plain(ending(data(dict.fromkeys(ERROR) | {"message_type": "error_message"}, "error"))),
        Want("failed", "error", "The run failed"),
        None,
    )
    yield same(
        "error as an object",
        group,
        plain(ending(data({"error": {"message": "deep", "type": "t"}}), DONE)),
        Want("failed", "stream_error", "deep"),
    )
    yield Fault(
        "ANSI escapes in an error",
        group,
        plain(ending(data({**ERROR, "message": "\x1b[31mred\x1b[0m\x07"}, "error"))),
        Want("failed", "internal_error", "red"),
        None,
    )
    yield same("a type the seed era lacks", group, plain(ending(stop("end_turn"), DONE)), OK)


STOPS = {
    "completed": "end_turn max_steps tool_rule",
    "requires_approval": "requires_approval",
    "cancelled": "cancelled",
    "failed": "error llm_api_error invalid_llm_response invalid_tool_call max_tokens_exceeded no_tool_call "
    "insufficient_credits context_window_overflow_in_system_prompt reason_from_the_future",
}


def stops() -> Iterator[Fault]:
    for status, reasons in STOPS.items():
        for reason in reasons.split():
            want = Want(status, stop_reason=reason)
            yield Fault(reason, "stop reasons", plain(swapped(b'"end_turn"', f'"{reason}"'.encode())), want, None)


STATUS = {
    "307": errors.ProtocolError,
    "400": errors.BadRequest,
    "401": errors.AuthenticationError,
    "402": errors.PaymentRequired,
    "404": errors.NotFound,
    "405": errors.BadRequest,
    "408": errors.BadRequest,
    "409": errors.Conflict,
    "410": errors.Gone,
    "415": errors.BadRequest,
    "422": errors.ValidationError,
    "429": errors.RateLimited,
    "499": errors.BadRequest,
}
WORDS = {
    "html": "text/html(.|\n)*nginx",
    "json": "application/json",
    "redirect": "redirected to http://127.0.0.1:9/v1/elsewhere",
    "401_provider": "llm_authentication: The provider refused the key: as the provider said",
    "409_lock": "Retry-After|after 1 s|in 1 s",
    "409_approval": r"waits for an answer(.|\n)*PENDING_APPROVAL: The agent is waiting for approval(.|\n)*approve\(\)",
    "422": "Input should be a valid list",
    "422_seed": "body.messages: Input should be a valid list",
    "429": "llm_rate_limit: Too many requests",
}


def refused(kind: type[errors.LettaNbError], words: str = "") -> Want:
    return Want("failed", kind.__name__, words)


def raised(name: str, status: int) -> type[errors.LettaNbError]:
    """The class for a refusal."""
    if name == "409_approval":
        return errors.PendingApproval
    return errors.ServerError if status >= 500 else STATUS.get(str(status), errors.ProtocolError)


def refusals() -> Iterator[Fault]:
    for name, (status, body, headers) in REFUSALS.items():
        if name == "empty":
            continue  # an event stream, and as such among the ends
        named = {key.replace("-", "_"): value for key, value in headers.items() if key != "content-type"}
        raw = response(body, f"{status} X", headers.get("content-type", "text/plain"), connection="close", **named)
        words = WORDS.get(name, f"HTTP {status} from POST http" if status >= 400 else "")
        want = refused(raised(name, status), words)._replace(posts=2 if status == 405 else 1)
        yield same(name.replace("_", ", "), "refusals", answered(raw), want)
    close = {"connection": "close"}
    for status in (301, 302, 303, 308):
        raw = response(b"", f"{status} X", location="https://elsewhere.example/v1", **close)
        yield same(f"redirect {status}", "refusals", answered(raw), refused(errors.ProtocolError, "connect there"))
    raw = response(b"<html><h1>Bad Gateway</h1></html>", "502 X", "text/html", **close)
    yield same("502, a proxy's page", "refusals", answered(raw), refused(errors.ServerError, "Bad Gateway"))
    yield same(
        "503, empty", "refusals", answered(response(b"", "503 X", **close)), refused(errors.ServerError, "no message")
    )
    raw = response(b'{"detail":"cut', "500 X", **close)
    yield same("500, cut JSON", "refusals", answered(raw), refused(errors.ServerError, "cut"))
    raw = response(json.dumps({"detail": "\x1b[31mred\x1b[0m"}).encode(), "400 X", **close)
    yield same("400, ANSI escapes", "refusals", answered(raw), refused(errors.BadRequest, "red"))


def answers() -> Iterator[Fault]:
    group, lost = "answers", refused(errors.ConnectionFailed, "not sent again")
    none = refused(errors.ProtocolError, "Is this one?")
    close = {"connection": "close"}
    yield same("200 without a content type", group, answered(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"), none)
    yield same("200 text/plain", group, answered(response(b"hello", content_type="text/plain", **close)), none)
    yield same("204", group, answered(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"), none)
    yield same("closed before an answer", group, answered(b""), lost)
    yield same("reset before an answer", group, answered(b"", reset), lost)
    yield same("cut in the headers", group, answered(b"HTTP/1.1 200 OK\r\ncontent-ty"), lost)
    yield same("no HTTP at all", group, answered(b"SSH-2.0-OpenSSH_9.6\r\n"), lost)
    cut = answered(b"HTTP/1.1 500 X\r\ncontent-length: 99\r\n\r\n{")
    yield same("a refusal that is cut", group, cut, refused(errors.ServerError, "HTTP 500"))
    quiet = refused(errors.ConnectionFailed, r"did not answer(.|\n)*not sent again")
    yield same("silence before an answer", group, answered(b"", until_they_leave), quiet, SILENCE)._replace(
        modes=("step",)
    )
    raw = response(b"data: {}\n\n", content_type="text/plain", **close)
    yield same("an event stream under another name", group, answered(raw), none)


FAULTS = tuple(fault for rows in (ends, recordings, defects, stops, answers, refusals) for fault in rows())
