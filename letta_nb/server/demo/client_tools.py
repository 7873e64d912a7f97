"""Calls of tools that the client offers, with the arguments that the script can read off the prompt."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

from pydantic_ai.messages import ToolReturnPart
from pydantic_ai.tools import ToolDefinition

from letta_nb.server.demo.move import Move, denial_words

_PAIR = re.compile(r"""(\w+)\s*(?:=|:|\bis\b)\s*("[^"]*"|'[^']*'|\[[^\]]*\]|[^\s,;()]+)""")
_VALUE = re.compile(r"""("[^"]*"|'[^']*'|-?\d+(?:\.\d+)?)""")
_TYPES: dict[str, Any] = {"integer": int, "number": float, "string": str}


def client_move(prompt: str, returns: Sequence[ToolReturnPart], tools: Sequence[ToolDefinition]) -> Move | None:
    """What to do about the tools that the prompt names; None if it names none."""
    named = [tool for tool in tools if re.search(rf"\b{re.escape(tool.name)}\b", prompt)]
    if not named:
        return None
    names = [tool.name for tool in named]
    if not any(part.tool_name in names for part in returns):
        calls = [(tool.name, read_arguments(prompt, tool)) for tool in named]
        return Move(f"The prompt names {' and '.join(names)}, which the client offers: it has to run that.", calls)
    words = [_words(part) for part in returns if part.tool_name in names]
    return Move("The client has answered; I pass it on.", words="\n\n".join(words))


def _words(part: ToolReturnPart) -> str:
    match part.outcome:
        case "success":
            return f"`{part.tool_name}` returned `{part.model_response_str()}`."
        case "denied":
            return f"`{part.tool_name}` was not run: {denial_words(part)}"
        case _:
            return f"`{part.tool_name}` failed: {part.model_response_str(wrap_if_error=False)}"


def read_arguments(prompt: str, tool: ToolDefinition) -> dict[str, Any]:
    """The arguments for `tool` in words like `f(3, b=4)`, "f with a=3 and b=4" or "f 3"."""
    properties: dict[str, Any] = tool.parameters_json_schema.get("properties", {})
    rest = prompt[prompt.index(tool.name) + len(tool.name) :]
    found = _called(rest, list(properties))
    if not found:
        found = {key: _literal(value.rstrip(".?!")) for key, value in _PAIR.findall(rest) if key in properties}
    if not found and len(properties) == 1 and (value := _VALUE.search(rest)):
        found = {next(iter(properties)): _literal(value.group())}
    return {key: _as(properties.get(key, {}), value) for key, value in found.items()}


def _called(rest: str, names: list[str]) -> dict[str, Any]:
    """The arguments of a call written as in Python."""
    if not rest.startswith("("):
        return {}
    for end in (match.end() for match in re.finditer(r"\)", rest)):
        try:
            call = ast.parse(f"f{rest[:end]}", mode="eval").body
            assert isinstance(call, ast.Call)
            values = [ast.literal_eval(value) for value in call.args]
            keywords = {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg}
        except (SyntaxError, ValueError, AssertionError):
            continue
        return dict(zip(names, values, strict=False)) | keywords
    return {}


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return {"true": True, "false": False}.get(text.lower(), text)


def _as(schema: dict[str, Any], value: Any) -> Any:
    wanted = _TYPES.get(str(schema.get("type")))
    if wanted is None or isinstance(value, bool):
        return value
    try:
        return wanted(value)
    except (TypeError, ValueError):
        return value
