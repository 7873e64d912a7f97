"""OpenTelemetry's names for what the tables hold: the GenAI semantic conventions, as of 0.66 (1.42).

What the conventions have no name for keeps its own under `letta.`, so that no two columns are called the same.
"""

from __future__ import annotations

ATTRIBUTES: dict[str, str] = {
    "agent_id": "gen_ai.agent.id",
    "agent_name": "gen_ai.agent.name",
    "cache_creation_input_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "conversation_id": "gen_ai.conversation.id",
    "error_message": "exception.message",
    "error_type": "error.type",
    "input_tokens": "gen_ai.usage.input_tokens",
    "model": "gen_ai.request.model",
    "output_tokens": "gen_ai.usage.output_tokens",
    "provider": "gen_ai.provider.name",
    "reasoning_output_tokens": "gen_ai.usage.reasoning.output_tokens",
    "tool_arguments": "gen_ai.tool.call.arguments",
    "tool_call_id": "gen_ai.tool.call.id",
    "tool_name": "gen_ai.tool.name",
    "tool_result": "gen_ai.tool.call.result",
    "ttft_s": "gen_ai.response.time_to_first_chunk",
}


def dotted(column: str) -> str:
    """The dotted name of a column."""
    return ATTRIBUTES.get(column, f"letta.{column}")
