"""Puts a server together from what `serve` was given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BaseModel, Field, NonNegativeFloat, PositiveFloat, ValidationError
from pydantic_ai import Agent
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.models import Model

from letta_nb.errors import ConfigurationError
from letta_nb.server.demo import DEMO_BLOCKS, demo_agent
from letta_nb.server.eras import VERSIONS, EraName
from letta_nb.server.faults import Fault
from letta_nb.server.lifecycle import Server
from letta_nb.server.programs import make_programs
from letta_nb.server.service import Settings
from letta_nb.server.smol import NAME, smol_agent, smol_model


class _Plain(BaseModel, strict=True):
    """What `serve` takes besides agents and models."""

    host: str
    port: Annotated[int, Field(ge=0, le=65535)]
    base_url: str | None
    api_key: str | None
    database: str | Path | None
    password: str | None
    ping_interval: PositiveFloat
    background_ttl: NonNegativeFloat
    pace: NonNegativeFloat


def assemble(
    agents: Mapping[str, Agent[Any, Any]] | None,
    *,
    host: str,
    port: int,
    model: Model | str | None,
    base_url: str | None,
    api_key: str | None,
    pace: float,
    database: str | Path | None,
    password: str | None,
    message_tool: bool,
    ping_interval: float,
    background: bool,
    background_ttl: float,
    era: EraName,
    fault: Fault | None,
) -> Server:
    """The server, not yet started. Raises ConfigurationError for what it cannot be made of."""
    _check_plain(
        host=host,
        port=port,
        base_url=base_url,
        api_key=api_key,
        database=database,
        password=password,
        ping_interval=ping_interval,
        background_ttl=background_ttl,
        pace=pace,
    )
    if era not in VERSIONS:
        raise ConfigurationError(f"serve(era={era!r}): there are {' and '.join(VERSIONS)}")
    if agents is not None and not _are_agents(agents):
        raise ConfigurationError('serve(agents=...) takes pydantic-ai agents by name: serve({"helper": Agent(...)})')
    try:
        real = _model(model, base_url, api_key)
        programs = make_programs(_default(model, real, pace) if agents is None else agents, real)
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(f"serve: {error}") from error
    if not programs:
        raise ConfigurationError("serve(agents={}): there is nothing to serve")
    settings = Settings(
        database=database,
        password=password,
        message_tool=message_tool,
        ping_interval=ping_interval,
        background=background,
        background_ttl=background_ttl,
        era=era,
        blocks={"demo": DEMO_BLOCKS} if agents is None else {},
    )
    return Server(programs, settings, host=host, port=port, fault=fault)


def _check_plain(**given: Any) -> None:
    try:
        _Plain(**given)
    except ValidationError as problem:
        first = problem.errors()[0]
        raise ConfigurationError(f"serve({first['loc'][0]}={first['input']!r:.80}): {first['msg']}") from None


def _are_agents(agents: Any) -> bool:
    return isinstance(agents, Mapping) and all(
        isinstance(name, str) and isinstance(agent, AbstractAgent)
        for name, agent in cast("Mapping[Any, Any]", agents).items()
    )


def _default(model: Model | str | None, real: Model | str | None, pace: float) -> dict[str, Agent[Any, Any]]:
    if model == NAME and isinstance(real, Model):
        return {NAME: smol_agent(real)}
    return {"demo": demo_agent(real, pace=pace)}


def _model(model: Model | str | None, base_url: str | None, api_key: str | None) -> Model | str | None:
    if not isinstance(model, Model | str | None):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"serve(model={model!r:.80}) takes a pydantic-ai model, or the name of one")
    if base_url is None:
        return smol_model() if model == NAME else model
    if not isinstance(model, str):
        raise ConfigurationError("serve(base_url=...) needs model=, the name of a model that server has")
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    # local servers want no key, but the client wants to send one
    return OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url, api_key=api_key or "none"))
