"""What a run's exception is called on the wire."""

from __future__ import annotations

from typing import NamedTuple

from pydantic_ai.exceptions import (
    ContentFilterError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelRateLimitError,
    ModelRequestTimeout,
    ModelTimeoutError,
    OutputTokenLimitExceeded,
    UnexpectedModelBehavior,
)


class RefusedInput(ValueError):
    """Messages that a run cannot start from; Letta says so inside the stream."""


class PendingApproval(RefusedInput):
    """A message to an agent that waits for an answer to the request `request_id`."""

    def __init__(self, request_id: str) -> None:
        super().__init__(
            "CONFLICT: Cannot send a new message: The agent is waiting for approval on a tool call. "
            "Please approve or deny the pending request before continuing."
        )
        self.request_id = request_id


class Failure(NamedTuple):
    """How the end of a failed run is worded."""

    stop_reason: str
    error_type: str
    message: str
    detail: str | None


_LLM = "An error occurred with the LLM request."
_MID_STREAM = "An error occurred during agent execution."
_UNKNOWN = "An unknown error occurred with the LLM streaming request."


def describe(error: BaseException, *, after_events: bool) -> Failure:
    """The words for an error; once agent events have gone out, 0.16.8 no longer says which kind it was."""
    stop_reason, error_type, message = _kind(error)
    if after_events:
        error_type, message = "internal_error", _MID_STREAM
    return Failure(stop_reason, error_type, message, str(error) or type(error).__name__)


def _kind(error: BaseException) -> tuple[str, str, str]:
    match error:
        case ModelAuthenticationError():
            return "llm_api_error", "llm_authentication", _LLM
        case ModelRateLimitError():
            return "llm_api_error", "llm_rate_limit", _LLM
        case ModelTimeoutError() | ModelRequestTimeout():
            return "llm_api_error", "llm_timeout", _LLM
        case ModelAPIError():
            return "llm_api_error", "llm_error", _LLM
        case OutputTokenLimitExceeded():
            return "max_tokens_exceeded", "llm_error", _LLM
        case ContentFilterError():
            return "invalid_llm_response", "llm_empty_response", "LLM returned an empty response."
        case UnexpectedModelBehavior():
            return "invalid_llm_response", "llm_error", _LLM
        case PendingApproval():
            return "error", "internal_error", str(error)
        case _:
            return "error", "internal_error", _UNKNOWN
