"""What Letta's tool `memory_apply_patch` does to memory blocks, as Letta 0.16.8 does it.

A patch without headers is one block's diff: lines that begin with a space stay, `-` go, `+` come; `@@` parts hunks.
With headers it is a list of operations: `*** Add Block: a`, `*** Update Block: a`, `*** Delete Block: a`, and
`*** Move to: b` for the block named last.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# lines of a block times lines of its patch; far above any that a server holds, so that no patch holds this process up
_MOST = 10_000_000
_HEADER = re.compile(r"\*\*\* (Add Block|Update Block|Delete Block|Move to):(.*)")


def patched(label: str, patch: str, now: Mapping[str, str]) -> dict[str, str | None]:
    """The blocks that change, None for one that goes. Raises KeyError or ValueError where the server would refuse."""
    patch = patch.expandtabs()
    operations = _operations(patch)
    if not operations:
        return {label: _hunks_applied(now[label], patch.splitlines())}
    blocks: dict[str, str | None] = dict(now)
    last: str | None = None
    left = _MOST
    for kind, name, body in operations:
        if kind == "Add Block":
            blocks[name] = _added(blocks.get(name), body)
        elif kind == "Update Block":
            text = _there(blocks, name)
            left -= len(text) + text.count("\n") * len(body)
            if left < 0:
                raise ValueError("more than any patch takes")
            blocks[name] = _hunks_applied(text, body)
        elif kind == "Delete Block":
            _there(blocks, name)
            blocks[name.replace("/", "_")] = None
        else:
            old = "" if last is None else last.replace("/", "_")
            blocks[name.replace("/", "_")], blocks[old] = _there(blocks, old), None
        last = name
    return {name: text for name, text in blocks.items() if now.get(name) != text}


def _operations(patch: str) -> list[tuple[str, str, list[str]]]:
    """Each header's kind and label, with the lines under it."""
    found: list[tuple[str, str, list[str]]] = []
    for line in patch.splitlines():
        header = _HEADER.match(line)
        if header:
            found.append((header[1], header[2].strip(), []))
        elif found:
            found[-1][2].append(line)
    return found


def _there(blocks: Mapping[str, str | None], name: str) -> str:
    text = blocks[name]
    if text is None:
        raise KeyError(name)
    return text


def _added(already: str | None, body: list[str]) -> str:
    if already is not None:
        raise ValueError("there is a block of that name")
    return "\n".join(line[1:] for line in body if line.startswith("+") or not line.strip()).rstrip("\n")


def _hunks_applied(text: str, patch: list[str]) -> str:
    lines = text.expandtabs().split("\n")
    hunks = _hunks(patch)
    if not hunks or len(lines) * len(patch) > _MOST:
        raise ValueError("nothing to apply, or more than any block takes")
    for hunk in hunks:
        expected = [line[1:] for line in hunk if line[0] != "+"]
        made = [line[1:] for line in hunk if line[0] != "-"]
        if not expected:
            lines += made
            continue
        size = len(expected)
        places = [at for at in range(len(lines) - size + 1) if lines[at : at + size] == expected]
        if len(places) != 1:
            raise ValueError("the lines are not there, or not once")
        lines[places[0] : places[0] + size] = made
    return "\n".join(lines)


def _hunks(patch: list[str]) -> list[list[str]]:
    hunks: list[list[str]] = [[]]
    for line in patch:
        if line.startswith(("---", "+++", "*** ")):
            continue
        if line.startswith("@@"):
            hunks.append([])
        elif line[:1] in {" ", "-", "+"} and line:
            hunks[-1].append(line)
        elif not line.strip():
            hunks[-1].append(" ")
    return [hunk for hunk in hunks if hunk]
