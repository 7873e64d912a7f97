"""The OpenAPI document is true: schemathesis makes requests from it, and no answer contradicts it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from server_play import Play, Wire

from letta_nb.server import serve
from letta_nb.server.app import create_app
from letta_nb.server.programs import make_programs
from letta_nb.server.service import Service, Settings

# Not checked: that all else is refused (as Letta's, the models take "1" for a number), nor that all that has the right
# form is accepted (a document cannot say "exactly one of two", or that nothing is going on that could be resumed).
UNCHECKED = [negative_data_rejection, positive_data_acceptance]
UUID4 = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def replies(prompt: str, step: int) -> list[Any]:
    return [("think", "hm"), ("say", "hi")]


def document() -> dict[str, Any]:
    async def made() -> dict[str, Any]:
        service = Service(make_programs({"player": Play(replies).agent()}, None), Settings())
        try:
            return create_app(service).openapi()
        finally:
            await service.close()

    return asyncio.run(made())


SCHEMA = schemathesis.openapi.from_dict(document())


@pytest.fixture(scope="module")
def known() -> Iterator[dict[str, str]]:
    """A server, and ids of what it has."""
    with serve({"player": Play(replies).agent()}) as server:
        wire = Wire(server.url)
        run_id = wire.stream(background=True)[0]["run_id"]
        conversation = wire.http.post("/v1/conversations/", params={"agent_id": wire.agent_id}, json={}).json()
        yield {
            "url": server.url,
            "agent_id": wire.agent_id,
            "run_id": run_id,
            "step_id": wire.get(f"/v1/runs/{run_id}/steps")[0]["id"],
            "conversation_id": conversation["id"],
        }
        wire.http.close()


@SCHEMA.parametrize()
@settings(
    max_examples=8,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_answer_contradicts_the_document(case: schemathesis.Case, known: dict[str, str]) -> None:
    # requests for things that exist say more than 404s; what is deleted must not be
    if case.method != "DELETE":
        for name, value in case.path_parameters.items():
            if name in known and re.fullmatch(rf"\w+-{UUID4}|default", str(value)):
                case.path_parameters[name] = known[name]
    case.call_and_validate(base_url=known["url"], excluded_checks=UNCHECKED)
