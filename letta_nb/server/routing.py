"""What the routes share: ids in paths, paging parameters, and access to the service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Query, Request

from letta_nb.server.service import Service
from letta_nb.server.store import Order, Row, Store, Wanted

_UUID4 = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
AgentId = Annotated[str, Path(pattern=f"^agent-{_UUID4}$")]
RunId = Annotated[str, Path()]
ConversationId = Annotated[str, Path(pattern=f"^conv-{_UUID4}$")]
ThreadId = Annotated[str, Path(pattern=f"^(default|conv-{_UUID4}|agent-{_UUID4})$")]
StepId = Annotated[str, Path(pattern=f"^step-{_UUID4}$")]


class NotFound(LookupError):
    """No row of that id; the message is the answer's `detail`."""


def get_service(request: Request) -> Service:
    """The service behind the application."""
    return request.app.state.service


Served = Annotated[Service, Depends(get_service)]


@dataclass
class Paging:
    """Which part of a list is wanted."""

    before: str | None
    after: str | None
    limit: int
    order: Order

    def rows(self, store: Store, table: str, **equal: Wanted) -> list[Row]:
        """That part of the matching rows."""
        return store.page(table, before=self.before, after=self.after, limit=self.limit, order=self.order, **equal)


def paging(*, order: Order, limit: int = 100) -> object:
    """The paging parameters of a list, with its defaults."""

    async def parameters(
        before: str | None = None,
        after: str | None = None,
        limit: Annotated[int, Query(ge=1)] = limit,
        order: Order = order,
    ) -> Paging:
        return Paging(before, after, limit, order)

    return Depends(parameters)


def find(store: Store, table: str, row_id: str) -> Row:
    """The row of that id, or 404 in Letta's words."""
    row = store.get(table, row_id)
    if row is None:
        kind = table.removesuffix("s").capitalize()
        raise NotFound(f"{kind} with ID {row_id} not found")
    return row
