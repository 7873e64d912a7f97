"""The server runs code: what a web page or a stranger could send must not reach it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from server_play import Play, Wire, playing

from letta_nb.errors import ConfigurationError
from letta_nb.server import serve

HELLO = [[("say", "hi")]]
BODY = {"messages": [{"role": "user", "content": "x"}]}


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "localhost"},
        {"host": "127.0.0.1:1"},
        {"host": "127.0.0.1.evil.example:80"},
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:8888"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
def test_web_pages_and_rebound_names_are_refused(headers: dict[str, str]) -> None:
    with playing(HELLO) as wire:
        stream = f"/v1/agents/{wire.agent_id}/messages/stream"
        for answer in (
            wire.http.get("/v1/agents/", headers=headers),
            wire.http.get("/v1/health/", headers=headers),
            wire.http.post(stream, headers=headers, json=BODY),
            wire.http.options(stream, headers=headers | {"access-control-request-method": "POST"}),
        ):
            assert answer.status_code == 403
            assert not [name for name in answer.headers if name.startswith("access-control")]
        assert wire.get("/v1/runs/") == []


def test_its_own_names_are_accepted() -> None:
    with playing(HELLO) as wire:
        port = wire.http.base_url.port
        for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"LocalHost:{port}"):
            assert wire.http.get("/v1/agents/", headers={"host": host}).status_code == 200
            own = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
            assert wire.http.get("/v1/agents/", headers=own).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_posts_that_a_form_could_send_are_refused(kind: str | None) -> None:
    with playing(HELLO) as wire:
        headers = {"content-type": kind} if kind else {}
        path = f"/v1/agents/{wire.agent_id}/messages/stream"
        answer = wire.http.post(path, content=b'{"messages":[{"role":"user","content":"x"}]}', headers=headers)
        chunked = wire.http.post(path, content=iter([b"{}"]), headers=headers)
        assert answer.status_code == chunked.status_code == 415
        assert wire.get("/v1/runs/") == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_no_open_door_without_a_password(host: str) -> None:
    with pytest.raises(ConfigurationError, match="password"):
        serve(host=host)


def test_with_a_password_it_may_listen_anywhere() -> None:
    with serve({"a": Play(HELLO).agent()}, host="0.0.0.0", password="pw") as server:
        wire = Wire(server.url.replace("0.0.0.0", "127.0.0.1"), headers={"authorization": "Bearer pw"})
        assert wire.get("/v1/agents/")
        wire.http.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "Basic s3cret"}, 401),
        ({"authorization": "Bearer s3cret é"}, 401),
        ({"x-bare-password": "s3cret"}, 401),
        ({"x-bare-password": "password s3cret"}, 200),
        ({"authorization": "Bearer s3cret"}, 200),
        ({"authorization": "bearer s3cret"}, 200),
    ],
    ids=str,
)
def test_the_password_is_asked_for(headers: dict[str, str], status: int) -> None:
    encoded: Any = {name: value.encode() for name, value in headers.items()}
    with playing(HELLO, password="s3cret") as wire:
        answer = wire.http.get("/v1/agents/", headers=encoded)
        assert answer.status_code == status
        if status == 401:
            assert answer.json() == {"detail": "Unauthorized"}
        assert wire.http.get("/v1/health/").json()["status"] == "ok"


def test_there_are_no_pages_that_load_scripts() -> None:
    with playing(HELLO) as wire:
        assert wire.http.get("/docs").status_code == wire.http.get("/redoc").status_code == 404
        assert wire.http.get("/openapi.json").status_code == 200


def test_the_password_is_not_in_the_repr() -> None:
    with serve({"a": Play(HELLO).agent()}, password="s3cret") as server:
        assert "s3cret" not in repr(server)


def test_importing_the_server_is_cheap_and_a_missing_extra_says_what_to_install() -> None:
    code = """
import sys
import letta_nb.server
assert not {"fastapi", "pydantic_ai", "uvicorn", "sqlite3"} & set(sys.modules)
sys.modules["pydantic_ai"] = sys.modules["uvicorn"] = None
try:
    letta_nb.server.serve()
except letta_nb.errors.ConfigurationError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "needs pydantic_ai, uvicorn:" in done.stdout
    assert 'pip install "letta-nb[local]"' in done.stdout
