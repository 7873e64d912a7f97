"""An OpenAI-compatible model that says what `plays` has: `python scripted_model.py PORT`. Needs only Python itself.

Stateless: the last user message with `play:NAME` chooses the play, and the assistant messages after it are the replies
that have been given. So a retried request gets the same reply, and agents do not disturb each other.
"""

from __future__ import annotations

import json
import re
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from plays import PLAYS, Reply

MODELS = ("gpt-4o-mini", "gpt-4o")
OVER = Reply("", "The play is over.")
CONTEXT = "This model's maximum context length is 8192 tokens. However, your messages resulted in 99999 tokens."


def reply_to(messages: list[dict[str, Any]]) -> Reply:
    """What the model says next."""
    name, at = "hello", len(messages) - 1
    for index, message in enumerate(messages):
        found = re.findall(r"\bplay:(\w+)", json.dumps(message["content"])) if message["role"] == "user" else []
        if found:
            name, at = found[-1], index
    said = sum(message["role"] == "assistant" for message in messages[at + 1 :])
    play = PLAYS.get(name, PLAYS["hello"])
    return play[said] if said < len(play) else OVER


def refusal(status: int) -> dict[str, Any]:
    """The body of an error as OpenAI words it; 400 is a context that is too long."""
    if status == 400:
        return {"error": {"message": CONTEXT, "type": "invalid_request_error", "code": "context_length_exceeded"}}
    return {"error": {"message": f"scripted failure {status}", "type": "server_error", "code": None}}


def usage(reply: Reply, prompt: int) -> dict[str, Any]:
    """Token counts: four characters are one token."""
    thought = len(reply.thinks) // 4
    completion = thought + (len(reply.says) + sum(len(call.text) for call in reply.calls)) // 4 + 1
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 128},
        "completion_tokens_details": {"reasoning_tokens": thought},
    }


def tool_calls(reply: Reply) -> list[dict[str, Any]]:
    """A reply's calls, each with an id of its own."""
    return [
        {"id": f"call_{uuid.uuid4().hex[:20]}", "type": "function", "function": {"name": c.name, "arguments": c.text}}
        for c in reply.calls
    ]


def pieces(text: str) -> list[str]:
    """Text as tokens: words with the space before them, all else one by one."""
    return re.findall(r"\s?\w+|.", text, flags=re.DOTALL)


def deltas(reply: Reply) -> Iterator[dict[str, Any]]:
    """A reply as a model streams it: reasoning, text, then the calls one after the other."""
    for key, text in (("reasoning_content", reply.thinks), ("content", reply.says)):
        for piece in pieces(text):
            yield {key: piece}
    for index, call in enumerate(tool_calls(reply)):
        function = {"name": call["function"]["name"], "arguments": ""}
        yield {"tool_calls": [{**call, "index": index, "function": function}]}
        for piece in pieces(call["function"]["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


class Handler(BaseHTTPRequestHandler):
    """One request to the model."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """`/v1/models`."""
        models = [{"id": name, "object": "model", "created": 1, "owned_by": "scripted"} for name in MODELS]
        self.answer({"object": "list", "data": models})

    def do_POST(self) -> None:
        """`/v1/chat/completions`, streamed or not."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if not self.path.endswith("/chat/completions"):
            self.answer({"error": {"message": f"no {self.path} here"}}, 404)
            return
        reply = reply_to(body["messages"])
        self.close_connection = True
        head = {"id": f"chatcmpl-{uuid.uuid4().hex[:12]}", "created": int(time.time()), "model": body["model"]}
        tokens = usage(reply, len(json.dumps(body["messages"])) // 4)
        if reply.refuses:
            self.answer(refusal(reply.refuses), reply.refuses)
        elif body.get("stream"):
            with suppress(OSError):  # whoever asked has gone: that is how a run is cancelled
                self.stream(reply, {**head, "object": "chat.completion.chunk"}, tokens)
        elif reply.cut is None:
            time.sleep(reply.pause * len(pieces(reply.says)))
            self.answer({**head, "object": "chat.completion", "choices": [choice(reply)], "usage": tokens})

    def answer(self, value: Any, status: int = 200) -> None:
        """A JSON response."""
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def stream(self, reply: Reply, head: dict[str, Any], tokens: dict[str, Any]) -> None:
        """Chunks as server-sent events; a cut one ends in the middle of its HTTP body."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.chunk({**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
        for count, delta in enumerate(deltas(reply)):
            if count == reply.cut:
                return
            time.sleep(reply.pause)
            self.chunk({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        self.chunk({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": choice(reply)["finish_reason"]}]})
        self.chunk({**head, "choices": [], "usage": tokens})
        self.chunk("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def chunk(self, value: Any) -> None:
        """One event in an HTTP chunk of its own."""
        data = f"data: {value if isinstance(value, str) else json.dumps(value)}\n\n".encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        """One line a request, in the server's log."""
        print(f"{time.time():.3f} {format % args}", flush=True)


def choice(reply: Reply) -> dict[str, Any]:
    """The whole reply at once, for a request without streaming."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.says or None}
    if reply.thinks:
        message["reasoning_content"] = reply.thinks
    if reply.calls:
        message["tool_calls"] = tool_calls(reply)
    return {"index": 0, "message": message, "finish_reason": "tool_calls" if reply.calls else "stop"}


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
