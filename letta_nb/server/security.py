"""Keeps the server closed: it runs code, so no web page and no stranger may reach it."""

from __future__ import annotations

import hmac
import json
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

_HEALTH = "/v1/health"
_NO_BODY = ("GET", "HEAD", "OPTIONS", "DELETE")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to `host`."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """ASGI middleware: refuses what a browser could be tricked into sending, and asks for the password."""

    def __init__(self, app: ASGIApp, *, host: str, port: int, password: str | None) -> None:
        self._app = app
        self._password = password.encode() if password else None
        names = {"localhost", "127.0.0.1", "[::1]", host, f"[{host}]"}
        self._authorities = names if port == 80 else set[str]()
        self._authorities |= {f"{name}:{port}" for name in names}
        # a server open to the network is known by names it cannot know; there the password keeps pages out
        self._any_host = not is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].rstrip("/") or "/"
        # every route answers with and without a slash at its end, and without a redirect
        scope = {**scope, "path": path, "raw_path": scope["raw_path"].rstrip(b"/") or b"/"}
        refusal = self._refusal(scope["method"], path, Headers(scope=scope))
        if refusal:
            await _answer(send, *refusal)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, method: str, path: str, headers: Headers) -> tuple[int, str] | None:
        authority = headers.get("host", "").lower()
        if not self._any_host and authority not in self._authorities:
            return 403, "This server answers only to its own address"
        if "origin" in headers and headers["origin"].lower() != f"http://{authority}":
            return 403, "Requests from web pages are refused"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return 403, "Requests from web pages are refused"
        if path != _HEALTH and not self._knows_password(headers):
            return 401, "Unauthorized"
        if method not in _NO_BODY and _has_body(headers) and not _is_json(headers):
            return 415, "Unsupported media type: send application/json"
        return None

    def _knows_password(self, headers: Headers) -> bool:
        if self._password is None:
            return True
        kind, _, key = headers.get("authorization", "").partition(" ")
        bare_kind, _, bare = headers.get("x-bare-password", "").partition(" ")
        offered = key if kind.lower() == "bearer" else bare if bare_kind == "password" else ""
        return hmac.compare_digest(offered.encode(), self._password)


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _is_json(headers: Headers) -> bool:
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


async def _answer(send: Send, status: int, detail: str) -> None:
    body = json.dumps({"detail": detail}, separators=(",", ":")).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
