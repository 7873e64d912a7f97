"""Runs as OpenTelemetry spans, by the GenAI semantic conventions (1.42): plain data, or sent to any span exporter.

One trace a run: `invoke_agent` for all of it; in it a `chat` span a step, with the tokens that the server tells, and an
`execute_tool` span a call. Ids are made of the run's and its steps' ids: exported again, it is the same trace.

A span is as long as was measured, and `letta.duration_source` says by whom: "client", by arrival, or "server". The span
of what nobody measured ("none": a step that came whole, calls that returned together) bounds it and does not measure
it: from when it could first have begun to when all of it had arrived, `letta.duration_at_most` in seconds. Where
nothing bounds it, it has no length. A server says how long its part took and not when: where arrival tells, a model's
span then ends no earlier than the last of what it said arrived, and the time to its first chunk, which is by arrival
and counts from the span's start, is left out where that chunk came before it; see `span_times`. Texts are in attributes
only if they are asked for.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, TypedDict, cast

from letta_nb import redaction
from letta_nb._version import __version__
from letta_nb.entries import Entry, Step, ToolCallEntry, Usage
from letta_nb.errors import ConfigurationError, ConnectionFailed, InputError
from letta_nb.reading import Reading, Runs
from letta_nb.redaction_rules import Redact, rules_of
from letta_nb.run import Run
from letta_nb.semconv import ATTRIBUTES
from letta_nb.span_times import SpanTimes, Timed
from letta_nb.step_views import StepView, approval_wait
from letta_nb.views import PerRun, ToolView, base, run_id, step_ids

Value = str | bool | int | float | list[str]
_SCHEMA = "https://opentelemetry.io/schemas/1.42.0"
_TOKENS = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "cache_read_input_tokens": "cached_input_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
    "reasoning_output_tokens": "reasoning_tokens",
}
# Letta's names of providers that the conventions call otherwise
_PROVIDERS = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "chatgpt_oauth": "openai",
    "google_ai": "gcp.gemini",
    "google_vertex": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
_ROLES = {"user": "user", "system": "system"}


class Status(TypedDict):
    """How a span ended: `message` is what went wrong."""

    code: Literal["UNSET", "ERROR"]
    message: str


class Span(TypedDict):
    """A span as OTLP has it: ids in hex, times in ns since 1970; attributes as a plain dict."""

    name: str
    kind: Literal["CLIENT", "INTERNAL"]
    trace_id: str
    span_id: str
    parent_span_id: str | None
    start_time_unix_nano: int
    end_time_unix_nano: int
    attributes: dict[str, Value]
    status: Status


def to_otel(
    x: Runs,
    exporter: Any = None,
    *,
    content: bool = False,
    redact: Redact = (),
    redact_fields: str | Iterable[str] = (),
) -> list[Span]:
    """The spans of runs, and what else `runs_df` takes; sent by `exporter` (any `SpanExporter`) if there is one.

    `content`: with prompts, answers, reasoning, arguments and results, which may be anything. `redact`,
    `redact_fields`: what is left out of them, as in `run.save`: keys of providers always are, unless `redact` is False.
    Raises InputError for a run without times, ConfigurationError without `opentelemetry-sdk` and ConnectionFailed if
    the exporter fails.
    """
    rules = rules_of(redact, redact_fields)
    told: list[Span] = []
    for run in Reading(x):
        if not run.timed:
            raise InputError(
                f"The run {run_id(run)} has no times, without which there is no span: it was not recorded."
            )
        spans = _Trace(redaction.without(run, rules), content).spans()
        if exporter is not None:
            _send(spans, exporter)
        told += spans
    redaction.tell_missed(rules, "these runs")
    return told


class _Trace:
    """One run's spans. Times in ns since the request, until they are told."""

    def __init__(self, run: Run, content: bool) -> None:
        self._run = run
        self._content = content
        self._id = run_id(run)
        self._zero = base(run)
        self._steps = StepView([run])
        self._times = SpanTimes(run, self._steps)

    def spans(self) -> list[Span]:
        """The run's own first, then step by step: the model's, and those of its tools."""
        run = self._run
        chats = list(map(self._times.chat, run.steps))
        errors = ToolView([run]).errors
        made: list[Span] = []
        for step, time in zip(run.steps, chats, strict=True):
            made.append(self._chat(step, time))
            calls = zip(run.tool_calls, errors, strict=True)
            made += [self._tool(call, time, *error) for call, error in calls if call.step_index == step.index]
        last = max((span["end_time_unix_nano"] - self._zero for span in made), default=0)
        end = run.ended_at if run.ended_at is not None else run.log.at[-1] if run.log else 0
        return [self._agent(max(end, last)), *made]

    def _span(self, name: str, kind: Literal["CLIENT", "INTERNAL"], key: str, time: Timed, facts: _Facts) -> Span:
        error, message = facts.pop("error.type", None), facts.pop("error.message", None)
        attributes = {name: _clean(value) for name, value in facts.items() if value is not None}
        if error is not None:
            attributes["error.type"] = _clean(error)
        return {
            "name": _clean(name),
            "kind": kind,
            "trace_id": _hex(self._id, 16),
            "span_id": _hex(f"{self._id}/{key}", 8),
            "parent_span_id": _hex(f"{self._id}/", 8) if key else None,
            "start_time_unix_nano": self._zero + time.start,
            "end_time_unix_nano": self._zero + max(time.end, time.start),
            "attributes": attributes,
            "status": {"code": "UNSET" if error is None else "ERROR", "message": _clean(message or "")},
        }

    # -- the run -------------------------------------------------------------------------------------------------------

    def _agent(self, end: int) -> Span:
        run, error = self._run, self._run.error
        name = f"invoke_agent {run.agent_name}" if run.agent_name else "invoke_agent"
        usage = run.usage or Usage()
        facts: _Facts = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": "letta",
            "gen_ai.agent.name": run.agent_name,
            **self._owners(),
            "gen_ai.request.model": run.model,
            **{ATTRIBUTES[name]: getattr(usage, name) for name in _TOKENS},
            "gen_ai.response.finish_reasons": [run.stop_reason] if run.stop_reason else None,
            "letta.run_id": self._id,
            "letta.status": run.status,
            "letta.server": run.server,
            "letta.total_cost_usd": run.cost.usd if run.cost else None,
            "error.type": error.type if error else None,
            "error.message": error.message if error else None,
        }
        if self._content:
            facts["gen_ai.input.messages"] = _json(self._asked())
            said = [_text(entry) for entry in run.entries if entry.kind == "assistant"]
            facts["gen_ai.output.messages"] = _json(_answer(said, run.stop_reason))
        return self._span(name, "CLIENT", "", Timed(0, end, "client"), facts)

    def _owners(self) -> _Facts:
        return {
            "gen_ai.agent.id": self._run.agent_id,
            "gen_ai.conversation.id": self._run.conversation_id,
        }

    def _asked(self) -> list[Any]:
        asked = [entry for entry in self._run.entries if entry.kind in _ROLES and entry.step_index is None]
        return [{"role": _ROLES[entry.kind], "parts": [_text(entry)]} for entry in asked]

    # -- its steps -----------------------------------------------------------------------------------------------------

    def _chat(self, step: Step, time: Timed) -> Span:
        run, index, row = self._run, step.index, step.server
        model = _word(row.get("model")) or run.model
        provider = _word(row.get("provider_name")) or run.provider
        first, stop = self._times.first_chunk(step, time), _word(row.get("stop_reason"))
        facts: _Facts = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": _PROVIDERS.get(provider, provider) if provider else "letta",
            "gen_ai.request.model": model,
            **self._owners(),
            "gen_ai.request.stream": run.delivery == "token",
            "gen_ai.response.id": step.reply_id,
            "gen_ai.response.finish_reasons": [stop] if stop else None,
            "gen_ai.response.time_to_first_chunk": None if first is None else first / 1e9,
            **{ATTRIBUTES[name]: _count(row.get(key)) for name, key in _TOKENS.items()},
            "letta.step_id": step_ids(run)[index],
            "letta.step_index": index,
            "letta.duration_source": time.source,
            "letta.duration_at_most": _bound(time),
            "error.type": self._error(index, "type"),
            "error.message": self._error(index, "message"),
        }
        if self._content:
            facts["gen_ai.input.messages"] = _json(self._told(index))
            entries = [entry for entry in run.entries if entry.step_index == index]
            facts["gen_ai.output.messages"] = _json(_answer(list(_parts(entries)), stop))
        key = f"step/{step_ids(run)[index]}"
        return self._span(f"chat {model}" if model else "chat", "CLIENT", key, time, facts)

    def _error(self, index: int, key: Literal["type", "message"]) -> str | None:
        values = self._steps.errors(key)
        return None if isinstance(values, PerRun) else values[index]

    def _told(self, index: int) -> list[Any]:
        """What is new to the model in a step: what was asked, or what the tools of the step before returned."""
        if index == 0:
            return self._asked()
        calls = [call for call in self._run.tool_calls if call.step_index == index - 1 and call.has_returned]
        parts = [{"type": "tool_call_response", "id": call.tool_call_id, "response": call.result} for call in calls]
        return [{"role": "tool", "parts": parts}] if parts else []

    # -- their tools ---------------------------------------------------------------------------------------------------

    def _tool(self, call: ToolCallEntry, chat: Timed, error: str | None, message: str | None) -> Span:
        time, waited = self._times.tool(call, chat), approval_wait(call)
        failed = message is not None
        facts: _Facts = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": call.name,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": call.tool_call_id,
            **self._owners(),
            "letta.step_index": call.step_index,
            "letta.tool_status": call.status,
            "letta.approval": call.approval,
            "letta.approval_wait": None if waited is None else waited / 1e9,
            "letta.duration_source": time.source,
            "letta.duration_at_most": _bound(time),
            "error.type": (error or "tool_error") if failed else None,
            # a tool's own words are content
            "error.message": message if failed and self._content else None,
        }
        if self._content:
            facts["gen_ai.tool.call.arguments"] = call.arguments
            facts["gen_ai.tool.call.result"] = call.result
        name = f"execute_tool {call.name}" if call.name else "execute_tool"
        return self._span(name, "INTERNAL", f"call/{call.index}/{call.tool_call_id}", time, facts)


_Facts = dict[str, Value | None]


def _bound(time: Timed) -> float | None:
    """s: what is at most the length of what nobody measured."""
    return time.length / 1e9 if time.source == "none" and time.length else None


def _hex(text: str, size: int) -> str:
    return hashlib.sha256(f"letta_nb/{text}".encode("utf-8", "surrogatepass")).hexdigest()[: size * 2]


def _clean(value: Any) -> Any:
    """What UTF-8 can hold: half a surrogate pair is escaped."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    return [_clean(item) for item in cast("list[str]", value)] if isinstance(value, list) else value


def _word(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


# -- texts -------------------------------------------------------------------------------------------------------------


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _text(entry: Entry) -> dict[str, Any]:
    return {"type": "text", "content": entry.text}


def _answer(parts: list[dict[str, Any]], reason: str | None) -> list[Any]:
    return [{"role": "assistant", "parts": parts, "finish_reason": reason or "unknown"}] if parts else []


def _parts(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    """What a model said in a step."""
    for entry in entries:
        if isinstance(entry, ToolCallEntry):
            yield {"type": "tool_call", "id": entry.tool_call_id, "name": entry.name or "", "arguments": _given(entry)}
        elif entry.kind == "reasoning":
            yield {"type": "reasoning", "content": entry.text}
        elif entry.kind == "assistant":
            yield _text(entry)


def _given(call: ToolCallEntry) -> Any:
    """The arguments as they were meant, else as received."""
    try:
        return json.loads(call.arguments)
    except (ValueError, RecursionError):
        return call.arguments


# -- sending -----------------------------------------------------------------------------------------------------------


def _send(spans: list[Span], exporter: Any) -> None:
    try:
        sdk: Any = importlib.import_module("opentelemetry.sdk.trace")
        result: Any = importlib.import_module("opentelemetry.sdk.trace.export").SpanExportResult
    except ImportError:
        raise ConfigurationError("Sending spans needs opentelemetry-sdk: pip install 'letta-nb[otel]'") from None
    if not callable(getattr(exporter, "export", None)):
        raise InputError(f"exporter takes a SpanExporter, such as OTLPSpanExporter(), not {exporter!r:.80}.")
    resource = _resource()
    scope: Any = importlib.import_module("opentelemetry.sdk.util.instrumentation").InstrumentationScope
    shared = {"resource": resource, "instrumentation_scope": scope("letta_nb", __version__, _SCHEMA)}
    try:
        sent = exporter.export([_readable(span, sdk, shared) for span in spans])
    except OSError as problem:
        raise ConnectionFailed(f"{type(exporter).__name__} could not export the spans: {problem}") from problem
    if sent is not result.SUCCESS:
        raise ConnectionFailed(f"{type(exporter).__name__} could not export the spans; its log says why.")


def _resource() -> Any:
    """What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say of this process."""
    kind: Any = importlib.import_module("opentelemetry.sdk.resources").Resource
    told = kind.create()
    unnamed = str(told.attributes.get("service.name", "unknown_service")).startswith("unknown_service")
    return told.merge(kind({"service.name": "letta_nb"})) if unnamed else told


def _readable(span: Span, sdk: Any, shared: Mapping[str, Any]) -> Any:
    trace: Any = importlib.import_module("opentelemetry.trace")
    sampled = trace.TraceFlags(trace.TraceFlags.SAMPLED)

    def context(span_id: str) -> Any:
        return trace.SpanContext(int(span["trace_id"], 16), int(span_id, 16), is_remote=False, trace_flags=sampled)

    return sdk.ReadableSpan(
        name=span["name"],
        context=context(span["span_id"]),
        parent=context(span["parent_span_id"]) if span["parent_span_id"] else None,
        attributes=span["attributes"],
        kind=trace.SpanKind[span["kind"]],
        status=trace.Status(trace.StatusCode[span["status"]["code"]], span["status"]["message"] or None),
        start_time=span["start_time_unix_nano"],
        end_time=span["end_time_unix_nano"],
        **shared,
    )
