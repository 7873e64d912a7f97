"""The agent's memory blocks before and after a run, and which of its tool calls made each change.

Both ends are the server's words. What lies between is worked out here, by doing to the first what each successful call
of a memory tool says it does, as Letta's own tools do (0.6 to 0.16.8). Where that does not lead to the second,
somebody else had a hand in it: another agent that shares the block, or a tool that is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from letta_nb.entries import ToolCallEntry
from letta_nb.memory_patch import patched

# characters of a block, and of all edits together; far above what any server holds, so that no arguments, however they
# are meant, make this process hold more
_LARGEST = 1_000_000
_MOST = 4 * _LARGEST
_KEPT = ("id", "label", "value", "limit")

Texts = Mapping[str, str]
# the blocks that a call changes, None for one that it removes
Effect = dict[str, str | None]


@dataclass(frozen=True, slots=True)
class MemoryEdit:
    """The text of a block after an edit by the entry `entry`, a tool call; None: by none of the run's calls."""

    entry: int | None
    text: str | None


@dataclass(slots=True)
class MemoryBlock:
    """A block before and after a run, None where it did not exist. `edits` lead from one to the other, in order."""

    label: str
    limit: int | None
    before: str | None
    after: str | None
    edits: list[MemoryEdit] = field(default_factory=list[MemoryEdit])


def kept(rows: object) -> list[dict[str, Any]]:
    """What is kept of a server's list of blocks; [] for what is none."""
    found = [cast("dict[str, Any]", row) for row in _list(rows) if isinstance(row, dict)]
    blocks = [row for row in found if isinstance(row.get("label"), str) and isinstance(row.get("value"), str)]
    return [{key: row.get(key) for key in _KEPT} for row in blocks]


def blocks(fetched: object, calls: Sequence[ToolCallEntry]) -> list[MemoryBlock] | None:
    """The blocks of `Run.fetched["memory"]`; None unless both ends are known."""
    ends = cast("dict[str, Any]", fetched) if isinstance(fetched, dict) else {}
    if "before" not in ends or "after" not in ends:
        return None
    first, last = kept(ends["before"]), kept(ends["after"])
    before, after = ({row["label"]: row["value"] for row in rows} for rows in (first, last))
    limits = {row["label"]: row["limit"] for row in [*first, *last]}
    edits = _replayed(before, calls)
    known = dict.fromkeys([*before, *after, *edits])
    made = [MemoryBlock(label, _limit(limits.get(label)), before.get(label), after.get(label)) for label in known]
    for block in made:
        block.edits = edits.get(block.label, [])
        if (block.edits[-1].text if block.edits else block.before) != block.after:
            block.edits.append(MemoryEdit(None, block.after))
    return made


def _replayed(before: Texts, calls: Sequence[ToolCallEntry]) -> dict[str, list[MemoryEdit]]:
    """The edits by the calls that succeeded, in the order in which they did, by block."""
    now, edits, left = dict(before), dict[str, list[MemoryEdit]](), _MOST
    for call in sorted(filter(_worked, calls), key=lambda call: (call.step_index or 0, call.returned_at or 0)):
        # looking through large blocks is work too, though nothing comes of it
        left -= sum(map(len, now.values())) // 10 if call.name in _TOOLS else 0
        if left < 0:
            break
        for label, text in _effect(call, now).items():
            left -= len(text or "")
            if now.get(label) == text or left < 0:
                continue
            edits.setdefault(label, []).append(MemoryEdit(call.index, text))
            if text is None:
                del now[label]
            else:
                now[label] = text
    return edits


def _worked(call: ToolCallEntry) -> bool:
    # a block that could not be deleted is told of as a success
    return call.status == "success" and not call.here and not (call.result or "").startswith("Error performing")


def _effect(call: ToolCallEntry, now: Texts) -> Effect:
    """What a call does to the blocks as they are; {} if it is no memory tool's, or could not have worked on these."""
    tool = _TOOLS.get(call.name or "")
    if tool is None:
        return {}
    try:
        said: Any = json.loads(call.arguments)
        made = tool(cast("dict[str, Any]", said), now) if isinstance(said, dict) else {}
    except (KeyError, TypeError, ValueError, RecursionError):  # a block or an argument that is not there, or no text
        return {}
    return {label: text for label, text in made.items() if text is None or len(text) <= _LARGEST}


def _limit(value: object) -> int | None:
    return value if isinstance(value, int) and 0 < value < 1 << 53 else None


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


# -- the tools, by what their names and arguments were called through the years ----------------------------------------


def _text(said: Mapping[str, Any], *names: str) -> str:
    """The argument of that name, or of an earlier one."""
    text = said[next((name for name in names if name in said), names[0])]
    if not isinstance(text, str):
        raise TypeError(f"{names[0]} is no text")
    return text


def _append(said: Mapping[str, Any], now: Texts) -> Effect:
    label = _text(said, "label")
    return {label: f"{now[label]}\n{_text(said, 'content')}"}


def _replace(said: Mapping[str, Any], now: Texts) -> Effect:
    label = _text(said, "label")
    return {label: _swapped(now[label], _text(said, "old_content"), _text(said, "new_content"))}


def _swapped(text: str, old: str, new: str, *, once: bool = False) -> str:
    times = text.count(old)
    if not times or (once and times > 1):
        raise ValueError("not there, or not once")
    if len(text) + times * len(new) > _LARGEST:
        raise ValueError("larger than any block")
    return text.replace(old, new)


def _replace_once(label: str, said: Mapping[str, Any], now: Texts) -> Effect:
    old, new = _text(said, "old_string", "old_str"), _text(said, "new_string", "new_str")
    return {label: _swapped(now[label].expandtabs(), old.expandtabs(), new.expandtabs(), once=True)}


def _insert(label: str, text: str, line: object, now: Texts) -> Effect:
    lines = now[label].expandtabs().split("\n")
    if not isinstance(line, int) or not -1 <= line <= len(lines):
        raise ValueError("no such line")
    at = len(lines) if line == -1 else line
    return {label: "\n".join([*lines[:at], *text.expandtabs().split("\n"), *lines[at:]])}


def _rethink(said: Mapping[str, Any], now: Texts) -> Effect:
    return {_text(said, "label", "target_block_label"): _text(said, "new_memory")}


def _memory(said: Mapping[str, Any], now: Texts) -> Effect:
    """The one tool of the newest agents, with its commands. Only some read a slash within a path as an underscore."""
    command = _text(said, "command")
    if command == "rename":
        return _rename(said, now)
    name = _text(said, "path").removeprefix("/memories/").removeprefix("/")
    label = name.replace("/", "_")
    if command == "create":
        return {name: _text(said, "file_text") if said.get("file_text") else ""}
    if command == "str_replace":
        return _replace_once(name, said, now)
    if command == "insert":
        return _insert(label, _text(said, "insert_text"), said.get("insert_line"), now)
    return {label: None} if command == "delete" and label in now else {}


def _rename(said: Mapping[str, Any], now: Texts) -> Effect:
    if said.get("path") and said.get("description"):
        return {}  # only the description is new
    paths = (_text(said, name) for name in ("old_path", "new_path"))
    old, new = (path.removeprefix("/memories/").removeprefix("/").replace("/", "_") for path in paths)
    return {} if old == new else {new: now[old], old: None}


_TOOLS: dict[str, Callable[[Mapping[str, Any], Texts], Effect]] = {
    "core_memory_append": _append,
    "core_memory_replace": _replace,
    "memory_replace": lambda said, now: _replace_once(_text(said, "label"), said, now),
    "memory_insert": lambda said, now: _insert(
        _text(said, "label"), _text(said, "new_string", "new_str"), said.get("insert_line", -1), now
    ),
    "memory_apply_patch": lambda said, now: patched(_text(said, "label"), _text(said, "patch"), now),
    "memory_rethink": _rethink,
    "rethink_memory": _rethink,
    "memory": _memory,
}
