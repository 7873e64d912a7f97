"""What others' tables cost for the same runs: `python peers.py WHAT RUNS` prints figures; run by their own environment.

`inspect`: Inspect's `samples_df` and `messages_df` over one log with a sample a run. `phoenix`: Phoenix's client reads
the spans of the runs, page by page, from a server that has them ready, into a table. A run is that of `run_files`.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

STEPS = 33
PAGE = 100
MODEL = "openai/gpt-4o-mini"
DATE = "2026-01-02T03:04:05+00:00"


def inspect(runs: int) -> Callable[[], int]:
    """Both tables of a log that is there. A message is in the log where a model was asked with it."""
    analysis, log, model = (importlib.import_module(f"inspect_ai.{name}") for name in ("analysis", "log", "model"))
    event, tool = (importlib.import_module(f"inspect_ai.{name}") for name in ("event", "tool"))

    def sample(run: int) -> Any:
        messages: list[Any] = [model.ChatMessageUser(id=f"m{run}", content="Go through it.")]
        events: list[Any] = []
        for step in range(STEPS):
            call = tool.ToolCall(id=f"call-{run}-{step}", function=f"tool_{step % 5}", arguments={"key": "k", "n": 1})
            said = model.ChatMessageAssistant(id=f"a{run}-{step}", content=f"Now number {step}.", tool_calls=[call])
            output = model.ModelOutput(model=MODEL, choices=[model.ChatCompletionChoice(message=said)])
            asked = {"model": MODEL, "input": list(messages), "tools": [], "tool_choice": "auto", "output": output}
            events.append(event.ModelEvent(config=model.GenerateConfig(), **asked))
            messages += [said, model.ChatMessageTool(id=f"t{run}-{step}", content='{"value": 1}', tool_call_id=call.id)]
        usage = {MODEL: model.ModelUsage(input_tokens=9000, output_tokens=900, total_tokens=9900)}
        its: dict[str, Any] = {"messages": messages, "events": events, "model_usage": usage}
        return log.EvalSample(id=run, epoch=1, input="Go.", target="", **its)

    facts: dict[str, Any] = {"dataset": log.EvalDataset(samples=runs), "model": MODEL, "config": log.EvalConfig()}
    spec = log.EvalSpec(created=DATE, task="bench", **facts)
    path = f"{tempfile.mkdtemp()}/2026-01-02T03-04-05_bench_x.eval"
    log.write_eval_log(log.EvalLog(eval=spec, samples=list(map(sample, range(runs))), status="success"), path)
    return lambda: len(analysis.samples_df(path, quiet=True)) + len(analysis.messages_df(path, quiet=True))


def phoenix(runs: int) -> Callable[[], int]:
    """A table of all spans."""
    pandas, phoenix = importlib.import_module("pandas"), importlib.import_module("phoenix.client")
    port: multiprocessing.Queue[int] = multiprocessing.Queue()
    multiprocessing.Process(target=_serve, args=(runs, port), daemon=True).start()
    client = phoenix.Client(base_url=f"http://127.0.0.1:{port.get()}")

    def read() -> int:
        spans = client.spans.get_spans(project_identifier="bench", limit=10**9)
        return len(pandas.json_normalize(spans))

    return read


def _span(run: int, number: int) -> dict[str, Any]:
    kind = "AGENT" if number == 0 else "LLM" if number % 2 else "TOOL"
    told = {"llm.model_name": "gpt-4o-mini", "llm.token_count.prompt": 272, "llm.token_count.completion": 27}
    ran = {"tool.name": f"tool_{number % 5}", "input.value": '{"key":"k","n":1}', "output.value": '{"value": 1}'}
    return {
        "id": f"{run}-{number}",
        "name": kind.lower(),
        "context": {"trace_id": f"{run:032x}", "span_id": f"{run:08x}{number:08x}"},
        "span_kind": kind,
        "parent_id": f"{run:08x}{0:08x}" if number else None,
        "start_time": DATE,
        "end_time": DATE,
        "status_code": "OK",
        "status_message": "",
        "attributes": {"session.id": f"run-{run}", **(told if kind == "LLM" else ran if number else {})},
        "events": [],
    }


def _serve(runs: int, port: Any) -> None:
    """A server that has the spans ready, as pages of JSON."""
    spans = [json.dumps(_span(run, number)) for run in range(runs) for number in range(2 * STEPS + 1)]

    class Pages(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            start = int(parse_qs(urlsplit(self.path).query).get("cursor", ["0"])[0])
            until = start + PAGE
            after = f'"{until}"' if until < len(spans) else "null"
            body = f'{{"data":[{",".join(spans[start:until])}],"next_cursor":{after}}}'.encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever).start()
    port.put(server.server_address[1])


def main(what: str, runs: int) -> dict[str, float]:
    ways = {"inspect": inspect, "phoenix": phoenix}
    ways[what](2)()  # what is imported is no part of it
    read = ways[what](runs)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.process_time()
    rows = read()
    cpu = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu_s": cpu, "rows": rows, "runs_per_s": runs / cpu, "peak_mb": peak, "grown_mb": peak - before}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
