"""Agents' memory blocks, and the tools with which an agent edits its own."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from pydantic_ai.toolsets import FunctionToolset

from letta_nb.server import wire
from letta_nb.server.schemas import BlockCreate
from letta_nb.server.store import Order, Row, Store, UnknownCursor

# of a block that was made without one
LIMIT = 100_000
MEMORY_TOOLS = ("memory_insert", "memory_replace")


def new_block(block: BlockCreate) -> Row:
    """A block as it is kept with its agent."""
    return {"id": wire.new_id("block"), **block.model_dump()} | {"limit": block.limit or LIMIT}


def block_view(row: Row) -> Row:
    """A memory block as `GET /v1/agents/{id}/core-memory/blocks` shows it."""
    return {
        "value": row["value"],
        "limit": row["limit"] or LIMIT,
        "project_id": None,
        "template_name": None,
        "is_template": False,
        "template_id": None,
        "base_template_id": None,
        "deployment_id": None,
        "entity_id": None,
        "preserve_on_migration": False,
        "label": row["label"],
        "read_only": False,
        "description": row["description"],
        "metadata": {},
        "hidden": None,
        "id": row["id"],
        "created_by_id": None,
        "last_updated_by_id": None,
        "tags": [],
    }


class Memory:
    """The blocks of all agents."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def blocks(self, agent_id: str) -> list[Row]:
        """An agent's blocks, as they are now."""
        agent = self._store.get("agents", agent_id)
        return agent["blocks"] if agent else []

    def tools(self, agent: Row, taken: Collection[str] = ()) -> FunctionToolset[Any] | None:
        """The tools of a run of that agent, without names that are taken; None for an agent that has none."""
        if not agent.get("memory_tools"):
            return None
        tools = memory_tools(lambda label, change: self._edit(agent["id"], label, change))
        return FunctionToolset[Any]([tool for tool in tools if tool.__name__ not in taken])

    def _edit(self, agent_id: str, label: str, change: Callable[[str], str]) -> str:
        blocks = self.blocks(agent_id)
        block = next((block for block in blocks if block["label"] == label), None)
        if block is None:
            raise ValueError(f"There is no memory block {label!r}; there are {[block['label'] for block in blocks]}")
        value = change(block["value"])
        if len(value) > (block["limit"] or LIMIT):
            raise ValueError(f"Exceeds {block['limit']} character limit (requested {len(value)})")
        block["value"] = value
        self._store.update("agents", agent_id, blocks=blocks, updated_at=wire.utc_text())
        return value


def memory_tools(edit: Callable[[str, Callable[[str], str]], str]) -> list[Callable[..., Any]]:
    """The tools; `edit` changes the text of a block and returns it. They run where the store does."""

    async def memory_insert(label: str, new_string: str, insert_line: int = -1) -> str:
        """Insert lines into one of your memory blocks.

        Args:
            label: Which block.
            new_string: What to insert.
            insert_line: After which line; 0 is before the first, -1 after the last.
        """

        def change(text: str) -> str:
            lines = text.expandtabs().split("\n")
            at = len(lines) if insert_line == -1 else insert_line
            if not 0 <= at <= len(lines):
                raise ValueError(f"Invalid `insert_line` parameter: {insert_line}. The block has {len(lines)} lines")
            return "\n".join([*lines[:at], *new_string.expandtabs().split("\n"), *lines[at:]])

        return edit(label, change)

    async def memory_replace(label: str, old_string: str, new_string: str) -> str:
        """Replace a piece of text in one of your memory blocks.

        Args:
            label: Which block.
            old_string: What is there now; it must be there once.
            new_string: What to put in its place; empty to forget it.
        """

        def change(text: str) -> str:
            text, old = text.expandtabs(), old_string.expandtabs()
            if (times := text.count(old)) != 1:
                raise ValueError(f"No replacement was performed: `{old}` is there {times} times, not once")
            return text.replace(old, new_string.expandtabs())

        return edit(label, change)

    return [memory_insert, memory_replace]


def part_of(
    blocks: list[Row], *, order: Order, before: str | None = None, after: str | None = None, limit: int | None = None
) -> list[Row]:
    """Which blocks of an agent a list shows."""
    shown = blocks[:: 1 if order == "asc" else -1]
    ids = [block["id"] for block in shown]
    if unknown := [cursor for cursor in (before, after) if cursor is not None and cursor not in ids]:
        raise UnknownCursor(unknown[0])
    start = 0 if after is None else ids.index(after) + 1
    end = len(shown) if before is None else ids.index(before)
    return shown[start:end][:limit]
