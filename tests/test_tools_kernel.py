"""Tools in a real kernel: a debugger that a person can talk to, prints that are kept, and cells in tracebacks."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from letta_nb.tools import Outcome

TOOL = """
from letta_nb.tools import Outcome, tool

@tool
def double(a: int) -> int:
    print("before")
    {stop}
    b = a * 2
    print("after", b)
    return b
"""
CALL = "double.call('{\"a\": 21}')"
CLEAN = "import sys; [type(sys.stdout).__name__, sys.breakpointhook.__name__, sys.gettrace()]"

ANSI = re.compile(r"\x1b\[[0-9;]*m")

Answer = str | Callable[[], str]


class Kernel:
    """A kernel, and a person at it who answers when asked."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client
        self.shown = ""
        self.value: Any = None
        self.error = ""
        self.prompts: list[str] = []

    def run(self, code: str, answers: Sequence[Answer] = (), then: str | None = None) -> Any:
        """Run a cell; `shown` is what it printed, the result its value. Asked for more, the person answers `then`."""
        self.shown, self.value, self.error, self.prompts = "", None, "", []
        left = list(answers)

        def asked(message: dict[str, Any]) -> None:
            self.prompts.append(message["content"]["prompt"])
            # an unforeseen question must not leave the kernel waiting
            answer = left.pop(0) if left else then if then and len(self.prompts) < 20 else "q"
            self.client.input(answer() if callable(answer) else answer)

        self.client.execute_interactive(code, allow_stdin=True, stdin_hook=asked, output_hook=self._output, timeout=60)
        assert not left, f"it did not ask for {left}"
        assert then or len(self.prompts) == len(answers), f"it asked for more: {self.shown}"
        return self.value

    def _output(self, message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "stream":
            self.shown += ANSI.sub("", content["text"])
        elif message["msg_type"] == "execute_result":
            text = content["data"]["text/plain"]
            self.value = eval(text, {"Outcome": Outcome}) if text.startswith("Outcome(") else ast.literal_eval(text)
        elif message["msg_type"] == "error":
            self.error = f"{content['ename']}: {content['evalue']}"


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


@pytest.fixture(autouse=True)
def _the_kernel_is_as_it_was(kernel: Kernel) -> Iterator[None]:
    yield
    assert kernel.run(CLEAN) == ["OutStream", "debugpy_breakpointhook", None]


def test_prints_are_kept_and_not_shown(kernel: Kernel) -> None:
    kernel.run(TOOL.format(stop="pass"))
    outcome = kernel.run(f"print('mine'); {CALL}")
    assert outcome[:4] == ("42", "success", ["before\nafter 42\n"], [])
    assert kernel.shown == "mine\n"


@pytest.mark.parametrize(
    "stop",
    [
        "breakpoint()",
        "import pdb; pdb.set_trace()",
        "from IPython.core.debugger import set_trace; set_trace()",
    ],
)
def test_a_breakpoint_stops_where_it_stands(kernel: Kernel, stop: str) -> None:
    kernel.run(TOOL.format(stop=stop))
    outcome = kernel.run(CALL, ["p a * 111", "!a = 50", "c"])
    assert kernel.prompts == ["ipdb> "] * 3
    assert "double()" in kernel.shown
    # Python 3.13 stops at the breakpoint itself, earlier ones at the next line
    assert re.search(r"^-+> (6 .*set_trace|6 .*breakpoint|7 .*b = a \* 2)", kernel.shown, re.MULTILINE)
    assert "letta_nb" not in kernel.shown
    assert "2331\n" in kernel.shown
    assert outcome[:4] == ("100", "success", ["before\nafter 100\n"], [])
    assert "before" not in kernel.shown.replace('print("before")', "")


def test_its_time_is_the_person_s(kernel: Kernel) -> None:
    kernel.run(TOOL.format(stop="breakpoint()"))
    kernel.run("from letta_nb import capture; clock, capture.time.perf_counter_ns = capture.time.perf_counter_ns, int")
    slow = "import letta_nb.capture as c; c.time.perf_counter_ns = lambda: 10**15"
    outcome = kernel.run(CALL, [f"!{slow}", "!c.time.perf_counter_ns = int", "c"])
    kernel.run("capture.time.perf_counter_ns = clock")
    assert outcome.duration == 0


def test_who_steps_on_stays_in_their_own_code(kernel: Kernel) -> None:
    kernel.run(TOOL.format(stop="breakpoint()"))
    # `s` steps into the prints, which are ours while a call runs
    for step in "ns":
        outcome = kernel.run(CALL, then=step)
        assert "--Return--" in kernel.shown
        assert "letta_nb" not in kernel.shown
        assert outcome[:3] == ("42", "success", ["before\nafter 42\n"])


def test_who_quits_ends_the_call(kernel: Kernel) -> None:
    kernel.run(TOOL.format(stop="breakpoint()"))
    words = "Error executing function double: BdbQuit: the person at the notebook stopped it in a debugger"
    assert kernel.run(CALL, ["q"])[:4] == (words, "error", ["before\n"], [])
    # and the next call stops again
    assert kernel.run(CALL, ["c"]).result == "42"


def test_a_coroutine_stops_too(kernel: Kernel) -> None:
    kernel.run(TOOL.format(stop="breakpoint()").replace("def double", "async def double"))
    outcome = kernel.run(CALL, ["p a * 111", "n", "c"])
    assert "2331\n" in kernel.shown
    assert "letta_nb" not in kernel.shown
    assert outcome[:4] == ("42", "success", ["before\nafter 42\n"], [])


def test_a_tool_may_ask_the_person(kernel: Kernel) -> None:
    kernel.run(TOOL.format(stop="a = int(input('how many? '))"))
    assert kernel.run(CALL, ["4"]).result == "8"
    assert kernel.prompts == ["how many? "]


def test_other_hooks_are_respected(kernel: Kernel) -> None:
    kernel.run(TOOL.format(stop="breakpoint()"))
    kernel.run("import os; os.environ['PYTHONBREAKPOINT'] = '0'")
    assert kernel.run(CALL).result == "42"
    kernel.run("os.environ['PYTHONBREAKPOINT'] = 'builtins.print'")
    assert kernel.run(CALL).stdout == ["before\n\nafter 42\n"]
    kernel.run("del os.environ['PYTHONBREAKPOINT']; import sys; hook = sys.breakpointhook")
    kernel.run("sys.breakpointhook = lambda: print('own hook')")
    assert kernel.run(CALL).stdout == ["before\nown hook\nafter 42\n"]
    kernel.run("sys.breakpointhook = hook")


def test_stop_reaches_the_cell(kernel: Kernel) -> None:
    kernel.run(TOOL.format(stop="input('ready'); __import__('time').sleep(100)"))

    def interrupt() -> str:
        kernel.manager.interrupt_kernel()
        return ""

    kernel.run(CALL, [interrupt])
    assert kernel.error.startswith("KeyboardInterrupt")


def test_a_traceback_names_the_cell(kernel: Kernel) -> None:
    kernel.run(TOOL.format(stop="1 / 0"))
    outcome = kernel.run(CALL)
    assert outcome.result == "Error executing function double: ZeroDivisionError: division by zero"
    (trace,) = outcome.stderr
    assert re.match(
        r'Traceback \(most recent call last\):\n  File "Cell In\[\d+\]", line 6, in double\n    1 / 0\n', trace
    )
    assert trace.count("File") == 1


def test_rich_output_and_other_threads_go_to_the_cell(kernel: Kernel) -> None:
    stop = "import threading; t = threading.Thread(target=print, args=('aside',)); t.start(); t.join()"
    kernel.run(TOOL.format(stop=stop))
    assert kernel.run(CALL).stdout == ["before\nafter 42\n"]
    assert kernel.shown == "aside\n"
