"""How the analysis endpoints show runs and steps: Letta's fields, in its order."""

from __future__ import annotations

from typing import Any

from pydantic_ai.usage import RequestUsage

from letta_nb.server.roster import tool_id
from letta_nb.server.store import Row

Tokens = dict[str, int | None]
"""Counts under Letta's names; None is not reported."""

_ORGANIZATION = "org-00000000-0000-4000-8000-000000000000"


def tokens(usage: RequestUsage) -> Tokens:
    """One model reply's usage."""
    # pydantic-ai has 0 both for none and for not reported; null is the honest one of the two
    reasoning = usage.output_reasoning_tokens or usage.details.get("reasoning_tokens")
    return {
        "completion_tokens": usage.output_tokens,
        "prompt_tokens": usage.input_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "cached_input_tokens": usage.cache_read_tokens or None,
        "cache_write_tokens": usage.cache_write_tokens or None,
        "reasoning_tokens": reasoning,
    }


def total(steps: list[Tokens]) -> Tokens:
    """The sum over steps; None where no step reported."""
    names = tokens(RequestUsage())
    known = {name: [value for step in steps if (value := step[name]) is not None] for name in names}
    return {name: sum(values) if values else None for name, values in known.items()}


def run_view(row: Row) -> Row:
    """A run as `GET /v1/runs/{id}` shows it."""
    error = {"error": row["error"]} if row["error"] else {}
    return {
        "id": row["id"],
        "status": row["status"],
        "created_at": row["created_at"],
        "completed_at": row["completed_at"],
        "agent_id": row["agent_id"],
        "conversation_id": row["conversation_id"] or None,
        "base_template_id": None,
        "background": bool(row["background"]),
        "metadata": {"run_type": row.get("run_type", "send_message_streaming")} | error,
        "request_config": row["request_config"],
        "stop_reason": row["stop_reason"],
        "callback_url": None,
        "callback_sent_at": None,
        "callback_status_code": None,
        "callback_error": None,
        "ttft_ns": row.get("ttft_ns"),
        "total_duration_ns": row.get("run_ns"),
    }


def run_metrics_view(row: Row, num_steps: int) -> Row:
    """A run's times as `GET /v1/runs/{id}/metrics` shows them."""
    return {
        "id": row["id"],
        "organization_id": _ORGANIZATION,
        "agent_id": row["agent_id"],
        "project_id": None,
        "run_start_ns": row["run_start_ns"],
        "run_ns": row.get("run_ns"),
        "num_steps": num_steps,
        "tools_used": [tool_id(name) for name in row.get("tools_used", [])],
        "template_id": None,
        "base_template_id": None,
    }


def usage_view(steps: list[Row]) -> Row:
    """A run's tokens as `GET /v1/runs/{id}/usage` shows them."""
    totals = total([step["tokens"] for step in steps if "tokens" in step])
    names = ("completion_tokens", "prompt_tokens", "total_tokens")
    details = {"prompt_tokens_details": None, "completion_tokens_details": None}
    return {name: totals[name] or 0 for name in names} | details


def step_view(row: Row) -> Row:
    """A step as `GET /v1/steps/{id}` shows it."""
    used: Tokens = row.get("tokens") or tokens(RequestUsage())
    cached, written = used["cached_input_tokens"], used["cache_write_tokens"]
    reasoning = used["reasoning_tokens"]
    return {
        "id": row["id"],
        "origin": None,
        "organization_id": _ORGANIZATION,
        "provider_id": None,
        "run_id": row["run_id"],
        "agent_id": row["agent_id"],
        "provider_name": row["provider"],
        "provider_category": "base",
        "model": row["model"],
        "model_handle": f"{row['provider']}/{row['model']}",
        "model_endpoint": row["endpoint"],
        "context_window_limit": row.get("context_window"),
        **used,
        "completion_tokens_details": None if reasoning is None else {"reasoning_tokens": reasoning},
        "prompt_tokens_details": _prompt_details(cached, written),
        "stop_reason": row.get("stop_reason"),
        "tags": [],
        "tid": None,
        "trace_id": None,
        "request_id": None,
        "messages": [],
        "feedback": None,
        "project_id": None,
        "error_type": None if not row.get("error") else "internal_error",
        "error_data": None if not row.get("error") else {"message": row["error"]},
        "status": row["status"],
    }


def _prompt_details(cached: int | None, written: int | None) -> dict[str, Any] | None:
    if cached is None and written is None:
        return None
    return {"cached_tokens": cached, "cache_read_tokens": cached, "cache_creation_tokens": written}


def step_metrics_view(row: Row) -> Row:
    """A step's times as `GET /v1/steps/{id}/metrics` shows them."""
    return {
        "id": row["id"],
        "organization_id": _ORGANIZATION,
        "provider_id": None,
        "run_id": row["run_id"],
        "agent_id": row["agent_id"],
        "step_start_ns": row["step_start_ns"],
        "llm_request_start_ns": row["step_start_ns"],
        "llm_request_ns": row.get("llm_request_ns"),
        "tool_execution_ns": row.get("tool_execution_ns"),
        "step_ns": row.get("step_ns"),
        "base_template_id": None,
        "template_id": None,
        "project_id": None,
    }


def conversation_view(row: Row, message_ids: list[str]) -> Row:
    """A conversation as `GET /v1/conversations/{id}` shows it."""
    return {
        "created_by_id": None,
        "last_updated_by_id": None,
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "id": row["id"],
        "agent_id": row["agent_id"],
        "summary": row["summary"],
        "in_context_message_ids": message_ids,
        "isolated_block_ids": [],
        "model": None,
        "model_settings": None,
        "last_message_at": row["last_message_at"],
    }
