"""Spans: what the conventions say, as long as was measured, and the same through the SDK and over the wire."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from folded import two_legs
from recordings import ALL_STREAMS, BY_NAME, FIXTURES

from letta_nb import record
from letta_nb.errors import ConfigurationError, ConnectionFailed, InputError
from letta_nb.log import Received
from letta_nb.otel import Span, to_otel
from letta_nb.run import Run
from letta_nb.semconv import ATTRIBUTES
from letta_nb.views import base

S = 1_000_000_000
# the parts of messages, as the conventions' JSON schemas have them
PART = {
    "type": "object",
    "required": ["type"],
    "oneOf": [
        {
            "properties": {"type": {"enum": ["text", "reasoning"]}, "content": {"type": "string"}},
            "required": ["content"],
        },
        {"properties": {"type": {"const": "tool_call"}, "name": {"type": "string"}}, "required": ["name", "arguments"]},
        {"properties": {"type": {"const": "tool_call_response"}}, "required": ["response"]},
    ],
}
MESSAGES = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["role", "parts"],
        "properties": {
            "role": {"enum": ["user", "system", "assistant", "tool"]},
            "parts": {"type": "array", "items": PART, "minItems": 1},
            "finish_reason": {"type": "string"},
        },
    },
}


def sample() -> Run:
    """Three tools one after the other, streamed, with the server's figures."""
    run = record.load_one(BY_NAME["0.16.8/v1_multi2_tok"].path)
    rows = json.loads((FIXTURES / "0.16.8/v1_multi2_run_steps.json").read_text())["body"]
    run.join_server({"steps": rows})
    run.agent_name, run.conversation_id = "demo", "conv-1"
    return run


def of_kind(spans: list[Span], operation: str) -> list[Span]:
    return [span for span in spans if span["attributes"]["gen_ai.operation.name"] == operation]


def length(span: Span) -> int:
    return span["end_time_unix_nano"] - span["start_time_unix_nano"]


def test_a_run_is_a_trace() -> None:
    run = sample()
    spans = run.to_otel()
    agent, *rest = spans
    assert agent["name"] == "invoke_agent demo"
    assert (agent["kind"], agent["parent_span_id"]) == ("CLIENT", None)
    assert agent["start_time_unix_nano"] == base(run)
    assert length(agent) == run.ended_at
    facts = agent["attributes"]
    assert facts["gen_ai.agent.id"] == run.agent_id
    assert facts["gen_ai.conversation.id"] == "conv-1"
    assert facts["gen_ai.response.finish_reasons"] == ["end_turn"]
    assert run.usage is not None
    assert facts["gen_ai.usage.input_tokens"] == run.usage.input_tokens
    assert facts["gen_ai.usage.output_tokens"] == run.usage.output_tokens
    assert {span["trace_id"] for span in spans} == {agent["trace_id"]}
    assert {span["parent_span_id"] for span in rest} == {agent["span_id"]}
    assert len({span["span_id"] for span in spans}) == len(spans)
    assert all(span["status"] == {"code": "UNSET", "message": ""} for span in spans)


def test_a_step_is_a_chat_with_its_tokens() -> None:
    run = sample()
    chats = of_kind(run.to_otel(), "chat")
    assert len(chats) == len(run.steps)
    for span, step in zip(chats, run.steps, strict=True):
        facts = span["attributes"]
        assert span["name"] == f"chat {step.server['model']}"
        assert facts["letta.step_id"] == step.step_id
        assert facts["gen_ai.usage.input_tokens"] == step.server["prompt_tokens"]
        assert facts["gen_ai.usage.output_tokens"] == step.server["completion_tokens"]
        assert facts["gen_ai.provider.name"] == "openai"
        assert 0 < facts["gen_ai.response.time_to_first_chunk"] < 60


def test_a_call_is_a_tool_as_long_as_it_ran() -> None:
    run = sample()
    tools = of_kind(run.to_otel(), "execute_tool")
    assert [span["attributes"]["gen_ai.tool.name"] for span in tools] == [call.name for call in run.tool_calls]
    for span, call in zip(tools, run.tool_calls, strict=True):
        assert (span["name"], span["kind"]) == (f"execute_tool {call.name}", "INTERNAL")
        assert span["attributes"]["letta.duration_source"] == call.duration_source
        assert span["attributes"]["gen_ai.tool.call.id"] == call.tool_call_id
        assert length(span) == call.duration


@pytest.mark.parametrize("path", ALL_STREAMS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_nothing_is_longer_than_it_was_measured(path: Path) -> None:
    run = record.load_one(path)
    agent, *rest = run.to_otel(content=True)
    for span in rest:
        assert agent["start_time_unix_nano"] <= span["start_time_unix_nano"] <= span["end_time_unix_nano"]
        assert span["end_time_unix_nano"] <= agent["end_time_unix_nano"]
        facts = span["attributes"]
        bound = facts.get("letta.duration_at_most")
        assert (bound is not None) == (facts["letta.duration_source"] == "none" and length(span) > 0)
        assert bound is None or bound == length(span) / S
    measured = {call.tool_call_id: call.duration for call in run.tool_calls if call.duration}
    timed = [span for span in rest if span["attributes"]["letta.duration_source"] != "none"]
    told = {span["attributes"].get("gen_ai.tool.call.id"): length(span) for span in of_kind(timed, "execute_tool")}
    assert {call_id: ns for call_id, ns in told.items() if ns} == {
        call_id: ns for call_id, ns in measured.items() if ns
    }
    json.dumps([agent, *rest])


def test_a_step_that_came_whole_bounds_its_model_and_its_tool() -> None:
    run = record.load_one(BY_NAME["0.16.8/v1_multi_step"].path)
    assert run.delivery == "step"
    spans = run.to_otel()[1:]
    assert {span["attributes"]["letta.duration_source"] for span in spans} == {"none"}
    starts = [(start - base(run)) / S for start in run.steps_df().start_time.astype("int64")]
    for span in spans:
        index = int(str(span["attributes"]["letta.step_index"]))
        assert (span["start_time_unix_nano"] - base(run)) / S == pytest.approx(starts[index], abs=1e-6)
        assert span["attributes"]["letta.duration_at_most"] == length(span) / S > 0
    for span, call in zip(of_kind(spans, "execute_tool"), run.tool_calls, strict=True):
        assert span["end_time_unix_nano"] - base(run) == call.returned_at
    # what its server measured is told, each part after the one before
    row = {"id": run.steps[0].step_id, "llm_request_ns": S // 5, "tool_execution_ns": S // 50, "model": "m"}
    run.join_server({"steps": [row]})
    chat, tool = run.to_otel()[1:3]
    assert [(length(span), span["attributes"]["letta.duration_source"]) for span in (chat, tool)] == [
        (S // 5, "server"),
        (S // 50, "server"),
    ]
    assert tool["start_time_unix_nano"] == chat["end_time_unix_nano"]


def test_calls_that_returned_together_are_only_bounded() -> None:
    run = record.load_one(BY_NAME["0.16.8/v1_parallel2_tok"].path)
    chat, *_ = of_kind(run.to_otel(), "chat")
    tools = of_kind(run.to_otel(), "execute_tool")
    assert len(tools) > 1
    for span, call in zip(tools, run.tool_calls, strict=True):
        facts = span["attributes"]
        assert facts["letta.duration_source"] == "none"
        # from the end of the reply to the return: nothing is drawn that is no longer than it can have been
        assert span["start_time_unix_nano"] == chat["end_time_unix_nano"]
        assert span["end_time_unix_nano"] - base(run) == call.returned_at
        assert call.at_most is not None
        assert facts["letta.duration_at_most"] == call.at_most / S == length(span) / S > 0


def said(at: float, **message: Any) -> Received:
    return Received(round(at * S), "", json.dumps({"id": "m", **message}))


def call_piece(number: int) -> dict[str, Any]:
    return {"name": "f", "tool_call_id": f"c{number}", "arguments": "{}"}


def test_a_model_does_not_end_before_what_it_said_arrived() -> None:
    run = Run()
    for number in range(10, 21):
        run.receive(said(number / 10, message_type="reasoning_message", otid="o", step_id="s", reasoning="hm"))
    run.receive(said(2.1, message_type="stop_reason", stop_reason="end_turn"))
    run.end(3 * S)
    # the server: 1.5 s of the 2 s until the last of it was here
    run.join_server({"steps": [{"id": "s", "llm_request_ns": 3 * S // 2}]})
    (chat,) = of_kind(run.to_otel(), "chat")
    assert (length(chat), chat["attributes"]["letta.duration_source"]) == (3 * S // 2, "server")
    assert chat["end_time_unix_nano"] - base(run) == 2 * S
    assert chat["attributes"]["gen_ai.response.time_to_first_chunk"] == 0.5
    # 0.4 s would have begun after the first chunk came: the two do not agree
    run.join_server({"steps": [{"id": "s", "llm_request_ns": 2 * S // 5}]})
    (chat,) = of_kind(run.to_otel(), "chat")
    assert (length(chat), chat["end_time_unix_nano"] - base(run)) == (2 * S // 5, 2 * S)
    assert "gen_ai.response.time_to_first_chunk" not in chat["attributes"]


def test_what_waited_in_a_store_is_not_bounded() -> None:
    run = record.load_one(BY_NAME["0.16.8/v1_bg_resume_after0"].path)
    spans = run.to_otel()[1:]
    assert {(length(span), span["attributes"]["letta.duration_source"]) for span in spans} == {(0, "none")}
    # calls that were whole before the connection broke, and returned at some time after that
    run = Run()
    for number, at in ((1, 1.0), (2, 1.5)):
        run.receive(said(at, message_type="tool_call_message", step_id="s", tool_call=call_piece(number)))
    run.begin("resume", None, 3 * S, lost_at=2 * S)
    for number, at in ((1, 4.0), (2, 4.0)):
        message = {"id": f"r{number}", "tool_call_id": f"c{number}", "tool_return": "1", "status": "success"}
        run.receive(said(at, message_type="tool_return_message", step_id="s", **message))
    run.end(5 * S)
    tools = of_kind(run.to_otel(), "execute_tool")
    assert [length(span) / S for span in tools] == [3.0, 2.5]
    assert {span["attributes"]["letta.duration_source"] for span in tools} == {"none"}


def test_a_call_that_was_denied_has_no_length() -> None:
    (tool,) = of_kind(two_legs("v1_deny_step").to_otel(), "execute_tool")
    assert (length(tool), tool["attributes"]["letta.approval"]) == (0, "denied")
    (tool,) = of_kind(two_legs("v1_approve_step").to_otel(), "execute_tool")
    # bounded by the answer and its return, without the time that a person took
    assert tool["attributes"]["letta.duration_at_most"] == length(tool) / S > 0
    assert length(tool) < 5 * S


def test_a_call_that_waited_for_a_person() -> None:
    (tool,) = of_kind(two_legs("v1_approve_tok").to_otel(), "execute_tool")
    assert tool["attributes"]["letta.approval"] == "approved"
    assert 8 < tool["attributes"]["letta.approval_wait"] < 10


@pytest.mark.parametrize(
    ("name", "kind"), [("0.16.8/v1_err500_tok", "invoke_agent"), ("0.16.8/v1_toolerr_tok", "execute_tool")]
)
def test_what_failed_says_so(name: str, kind: str) -> None:
    run = record.load_one(BY_NAME[name].path)
    failed = [span for span in run.to_otel() if span["status"]["code"] == "ERROR"]
    assert kind in {span["attributes"]["gen_ai.operation.name"] for span in failed}
    assert all(span["attributes"]["error.type"] for span in failed)
    assert [span for span in run.to_otel() if "error.type" in span["attributes"]] == failed


# -- what may be told --------------------------------------------------------------------------------------------------


def test_texts_are_told_when_they_are_asked_for() -> None:
    run = sample()
    results = [str(call.result) for call in run.tool_calls]
    texts = [run.prompt, run.text, *(text for text in results if len(text) > 8)]
    assert len(texts) > 2
    plain = json.dumps(run.to_otel(), ensure_ascii=False)
    assert not any(text in plain for text in texts)
    assert "messages" not in plain
    agent, chat, tool, *_ = run.to_otel(content=True)
    for span in (agent, chat):
        for name in ("gen_ai.input.messages", "gen_ai.output.messages"):
            jsonschema.validate(json.loads(str(span["attributes"][name])), MESSAGES)
    assert json.loads(str(agent["attributes"]["gen_ai.input.messages"]))[0]["parts"][0]["content"] == run.prompt
    said = json.loads(str(agent["attributes"]["gen_ai.output.messages"]))[0]["parts"]
    assert "\n\n".join(part["content"] for part in said) == run.text
    assert tool["attributes"]["gen_ai.tool.call.arguments"] == run.tool_calls[0].arguments
    assert tool["attributes"]["gen_ai.tool.call.result"] == run.tool_calls[0].result
    said = json.loads(str(chat["attributes"]["gen_ai.output.messages"]))[0]["parts"]
    assert [part["id"] for part in said if part["type"] == "tool_call"] == [run.tool_calls[0].tool_call_id]


def test_what_the_next_step_is_told_is_what_the_tools_returned() -> None:
    run = sample()
    second = of_kind(run.to_otel(content=True), "chat")[1]
    (message,) = json.loads(str(second["attributes"]["gen_ai.input.messages"]))
    assert message["role"] == "tool"
    assert [part["response"] for part in message["parts"]] == [
        call.result for call in run.tool_calls if call.step_index == 0
    ]


def test_a_tools_own_words_are_content() -> None:
    run = record.load_one(BY_NAME["0.16.8/v1_toolerr_tok"].path)
    plain, told = (of_kind(run.to_otel(content=content), "execute_tool")[0] for content in (False, True))
    assert plain["status"] == {"code": "ERROR", "message": ""}
    assert told["status"]["message"]


def test_attributes_are_the_conventions() -> None:
    attributes = pytest.importorskip("opentelemetry.semconv._incubating.attributes.gen_ai_attributes")
    known = {value for name, value in vars(attributes).items() if name.startswith("GEN_AI")}
    operations = {value.value for value in attributes.GenAiOperationNameValues}
    for span in sample().to_otel(content=True):
        assert {name for name in span["attributes"] if name.startswith("gen_ai.")} <= known
        assert {name.partition(".")[0] for name in span["attributes"]} <= {"gen_ai", "letta", "error"}
        assert span["attributes"]["gen_ai.operation.name"] in operations
    assert {value for value in ATTRIBUTES.values() if value.startswith("gen_ai.")} <= known


# -- which trace -------------------------------------------------------------------------------------------------------


def test_the_second_time_it_is_the_same_trace(tmp_path: Path) -> None:
    run = sample()
    again = record.load_one(run.save(tmp_path / "run.jsonl"))
    assert again.to_otel(content=True) == run.to_otel(content=True)
    other = Run(uid="other")
    other.end(5)
    assert other.to_otel()[0]["trace_id"] != run.to_otel()[0]["trace_id"]


def test_a_run_without_times_has_no_spans(tmp_path: Path) -> None:
    path = tmp_path / "bare.sse"
    path.write_bytes(BY_NAME["0.16.8/v1_multi_tok"].content)
    with pytest.raises(InputError, match="has no times"):
        record.load_one(path).to_otel()


def test_several_runs_are_several_traces(tmp_path: Path) -> None:
    runs = [record.load_one(BY_NAME[f"0.16.8/{name}"].path) for name in ("v1_multi_tok", "v1_hello_tok")]
    for number, run in enumerate(runs):
        run.save(tmp_path / f"{number}.jsonl")
    spans = to_otel(str(tmp_path / "*.jsonl"))
    assert spans == [*runs[0].to_otel(), *runs[1].to_otel()]
    assert len({span["trace_id"] for span in spans}) == 2


def test_a_run_that_goes_on_has_come_so_far() -> None:
    run = Run()
    run.receive(Received(S, "", json.dumps({"message_type": "reasoning_message", "id": "m", "reasoning": "hm"})))
    agent = run.to_otel()[0]
    assert (length(agent), agent["attributes"]["letta.status"]) == (S, "running")


# -- through the SDK ---------------------------------------------------------------------------------------------------


def check(spans: list[Span], sent: list[Any]) -> None:
    """What an exporter was given is what was told."""
    assert len(sent) == len(spans)
    for span, told in zip(spans, sent, strict=True):
        assert told.name == span["name"]
        assert f"{told.context.trace_id:032x}" == span["trace_id"]
        assert f"{told.context.span_id:016x}" == span["span_id"]
        assert (told.parent and f"{told.parent.span_id:016x}") == span["parent_span_id"]
        assert (told.start_time, told.end_time) == (span["start_time_unix_nano"], span["end_time_unix_nano"])
        assert dict(told.attributes) == span["attributes"]
        assert (told.kind.name, told.status.status_code.name) == (span["kind"], span["status"]["code"])


def test_any_exporter_is_given_the_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    exporter = memory.InMemorySpanExporter()
    run = record.load_one(BY_NAME["0.16.8/v1_toolerr_tok"].path)
    spans = run.to_otel(exporter, content=True)
    sent = exporter.get_finished_spans()
    check(spans, sent)
    assert sent[0].resource.attributes["service.name"] == "letta_nb"
    assert sent[0].instrumentation_scope.name == "letta_nb"
    json.loads(sent[0].to_json())
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    exporter.clear()
    run.to_otel(exporter=exporter)
    assert exporter.get_finished_spans()[0].resource.attributes["service.name"] == "mine"


def test_an_exporter_that_fails_is_told() -> None:
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    exporter = memory.InMemorySpanExporter()
    exporter.shutdown()
    with pytest.raises(ConnectionFailed, match="InMemorySpanExporter could not"):
        sample().to_otel(exporter)


def test_what_is_no_exporter_and_what_one_raises_is_told() -> None:
    pytest.importorskip("opentelemetry.sdk.trace.export")

    class Unplugged:
        def export(self, spans: Any) -> Any:
            raise OSError("no route to host")

    wrong: Any = "http://localhost:4318"
    with pytest.raises(InputError, match="exporter takes a SpanExporter"):
        sample().to_otel(wrong)
    with pytest.raises(ConnectionFailed, match="Unplugged could not export the spans: no route to host"):
        sample().to_otel(Unplugged())


def test_without_the_sdk_there_is_data_and_no_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    assert sample().to_otel()
    with pytest.raises(ConfigurationError, match=r"letta-nb\[otel\]"):
        sample().to_otel(object())


class Collector(BaseHTTPRequestHandler):
    """Takes what an OTLP exporter posts."""

    bodies: list[tuple[str, str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies.append((self.path, self.headers["Content-Type"], body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Not on the test's stderr."""


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    Collector.bodies = []
    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces", Collector.bodies
    server.shutdown()
    thread.join()
    server.server_close()


def test_spans_arrive_over_otlp(collector: tuple[str, list[tuple[str, str, bytes]]]) -> None:
    otlp = pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    url, bodies = collector
    run = sample()
    hostile = Run({"messages": [{"role": "user", "content": "half \ud800"}]}, uid="h", agent_name="\udfff")
    hostile.end(S)
    exporter = otlp.OTLPSpanExporter(endpoint=url)
    spans = run.to_otel(exporter, content=True) + hostile.to_otel(exporter, content=True)
    exporter.shutdown()
    assert {(path, kind) for path, kind, _ in bodies} == {("/v1/traces", "application/x-protobuf")}
    arrived = [
        span
        for _, _, body in bodies
        for resource in service.ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert len(arrived) == len(spans)
    for told, span in zip(arrived, spans, strict=True):
        assert told.trace_id.hex() == span["trace_id"]
        assert told.span_id.hex() == span["span_id"]
        assert told.parent_span_id.hex() == (span["parent_span_id"] or "")
        assert (told.start_time_unix_nano, told.end_time_unix_nano) == (
            span["start_time_unix_nano"],
            span["end_time_unix_nano"],
        )
        attributes = {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in told.attributes}
        for name, value in span["attributes"].items():
            got = attributes[name]
            assert (value == [one.string_value for one in got.values]) if isinstance(value, list) else value == got
