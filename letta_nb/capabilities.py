"""What a server can do, by its version. Source: the first release of each in Letta's tags, 0.5 to 0.16.8."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import httpx

from letta_nb.addresses import LETTA_CLOUD, shown

Capability = Literal[
    "steps",
    "step_metrics",
    "cancel",
    "background",
    "approvals",
    "message_door",
    "client_tools",
    "conversations",
    "override_model",
]
SINCE: dict[Capability, str] = {
    "steps": "0.7.0",
    "cancel": "0.8.9",
    "step_metrics": "0.11.1",
    "background": "0.11.5",
    "approvals": "0.11.7",
    "message_door": "0.14.0",
    "client_tools": "0.16.2",
    "conversations": "0.16.2",
    "override_model": "0.16.4",
}
_VERSION = re.compile(r"v?([0-9]{1,6})\.([0-9]{1,6})(?:\.([0-9]{1,6}))?")


@dataclass(frozen=True)
class ServerInfo:
    """A server: where, what it calls itself, its Letta version (None: it does not say), and what it can do."""

    url: str
    software: str
    version: str | None
    capabilities: frozenset[Capability] = field(repr=False)

    def can(self, capability: Capability) -> bool:
        """Whether it has that; a server that tells no version is taken at its word when it is asked."""
        return capability in self.capabilities

    def lacks(self, capability: Capability, what: str) -> str:
        """One sentence for a person who asked for `what`."""
        return (
            f"{self.software} {self.version or ''} at {self.url} has no {what} (Letta has since {SINCE[capability]})."
        )


def server_info(url: httpx.URL, health: Any) -> ServerInfo:
    """From the answer of `/v1/health/`, which is {"version", "status"}; anything else tells no version."""
    facts = cast("dict[str, Any]", health) if isinstance(health, dict) else {}
    version = facts["version"] if isinstance(facts.get("version"), str) else None
    cloud = shown(url) == LETTA_CLOUD
    software = "Letta Cloud" if cloud else "letta_nb's embedded server" if "server" in facts else "Letta"
    # the hosted service is the newest of all, whatever it calls that
    known = None if cloud or version is None else _order(version)
    able: list[Capability] = [name for name, since in SINCE.items() if known is None or known >= (_order(since) or ())]
    return ServerInfo(shown(url), software, version, frozenset(able))


def _order(version: str) -> tuple[int, ...] | None:
    """A version to compare by; None for what is no version, such as "main"."""
    match = _VERSION.match(version)
    return match and tuple(int(number or 0) for number in match.groups())
