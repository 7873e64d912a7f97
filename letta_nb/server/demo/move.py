"""One reply of the script, and words that several of its rules need."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic_ai.messages import ToolReturnPart


@dataclass
class Move:
    """One reply: a thought, then calls or words."""

    thought: str
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])
    words: str = ""


def denial_words(part: ToolReturnPart) -> str:
    """Why a call was denied, as the user said it."""
    reason = str(part.content).partition("User reason: ")[2]
    return f"you denied it and said *{reason}*" if reason not in ("", "None") else "you denied it."
