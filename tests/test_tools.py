"""Kernel functions as tools: how they are described, what they are given, what is kept of a call."""

from __future__ import annotations

import _thread
import asyncio
import dataclasses
import datetime as dt
import enum
import functools
import inspect
import io
import json
import pdb
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema
import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from letta_nb import capture, tools
from letta_nb.errors import InputError
from letta_nb.tools import Outcome, Tool, tool, tools_of

FIXTURES = Path(__file__).parent / "fixtures/0.16.8"


def square(a: int) -> int:
    """Square a number in the notebook."""
    print("squared in the kernel")
    return a * a


@pytest.fixture(autouse=True)
def _everything_is_restored() -> Iterator[None]:
    before = sys.stdout, sys.stderr, sys.breakpointhook, sys.gettrace(), pdb.Pdb.interaction
    yield
    assert (sys.stdout, sys.stderr, sys.breakpointhook, sys.gettrace(), pdb.Pdb.interaction) == before


def schema_of(function: Callable[..., Any]) -> dict[str, Any]:
    return tool(function).parameters["properties"]


# -- the function and its description ----------------------------------------------------------------------------------


def test_a_tool_is_still_the_function() -> None:
    offered = tool(square)
    assert offered(3) == 9
    assert (offered.__name__, offered.__doc__) == ("square", square.__doc__)
    assert inspect.signature(offered) == inspect.signature(square)
    assert (offered.name, offered.approve) == ("square", "ask")
    assert repr(offered) == "<tool square(a: int) -> int, approve='ask'>"


def test_options_win_over_what_is_read() -> None:
    offered = tool(name="quadrat", description="Otherwise.", approve="always")(square)
    assert (offered.name, offered.description, offered.approve) == ("quadrat", "Otherwise.", "always")
    again = tool(offered, approve="ask")
    assert (again.function, again.name, again.approve) == (square, "square", "ask")


def test_it_speaks_as_recorded() -> None:
    asked = json.loads((FIXTURES / "v1_clienttool_step_1request.json").read_text())["request"]["body"]
    answered = json.loads((FIXTURES / "v1_clienttool_step_2answer.json").read_text())["request"]["body"]
    wanted = answered["messages"][0]["approvals"][0]
    offered = tool(square, name="kernel_fn")
    (told,) = asked["client_tools"]
    assert offered.definition() == {**told, "parameters": {**told["parameters"], "additionalProperties": False}}
    outcome = offered.call('{"a":7}')
    assert (outcome.result, outcome.status, outcome.stdout) == (
        wanted["tool_return"],
        wanted["status"],
        wanted["stdout"],
    )


def test_a_definition_is_the_caller_s_own() -> None:
    offered = tool(square)
    offered.definition()["parameters"]["properties"].clear()
    assert list(offered.parameters["properties"]) == ["a"]


def test_servers_find_what_they_look_up() -> None:
    @tool
    def now(): ...

    # 0.16.8 reads `required` without asking whether it is there
    assert now.definition() == {
        "name": "now",
        "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
    }


GOOGLE = """Weather of a place.

    Of today.

    Args:
        city (str): where: a name
            or a code
        days: how far
        unknown

    Returns:
        str: a sentence

    Note:
        Not twice.
    """
NUMPY = """Weather of a place.

    Of today.

    Parameters
    ----------
    city : str
        where: a name
        or a code
    days : int, optional
        how far

    Returns
    -------
    str
        a sentence
    """
SPHINX = """Weather of a place.

    Of today.

    :param city: where: a name
        or a code
    :param int days: how far
    :returns: a sentence
    """


@pytest.mark.parametrize("doc", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_docstrings(doc: str, caplog: pytest.LogCaptureFixture) -> None:
    def weather(city: str, days: int = 1) -> str: ...

    weather.__doc__ = doc
    offered = tool(weather)
    assert (offered.description or "").startswith("Weather of a place.\n\nOf today.\n\nReturns: a sentence")
    assert {name: told["description"] for name, told in offered.parameters["properties"].items()} == {
        "city": "where: a name\nor a code",
        "days": "how far",
    }
    assert not caplog.records


@pytest.mark.parametrize(
    ("doc", "words"),
    [
        (None, None),
        ("One line.", "One line."),
        ("\n    Args:\n        city: where\n    ", None),
        ("Free words\n\n    code: {x}\n    ", "Free words\n\ncode: {x}"),
        (GOOGLE, "Weather of a place.\n\nOf today.\n\nReturns: a sentence\n\nNote: Not twice."),
        ("Do.\n\nExamples:\n    >>> weather('x')\n    'y'", "Do.\n\nExamples:\n>>> weather('x')\n'y'"),
    ],
)
def test_a_docstring_s_words(doc: str | None, words: str | None) -> None:
    def weather(city: str) -> str: ...

    weather.__doc__ = doc
    assert tool(weather).description == words


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Place:
    title: str


class Trip(pydantic.BaseModel):
    """A way."""

    title: str
    to: Place
    when: dt.date = dt.date(2026, 1, 2)


REF = {"$ref": "#/$defs/Place"}


@pytest.mark.parametrize(
    ("annotation", "schema", "sent", "given"),
    [
        (int, {"type": "integer"}, "3", 3),
        (int, {"type": "integer"}, '"3"', 3),
        (Any, {}, '[1,{"a":null}]', [1, {"a": None}]),
        (str | None, {"anyOf": [{"type": "string"}, {"type": "null"}]}, "null", None),
        (Literal["a", "b"], {"enum": ["a", "b"], "type": "string"}, '"a"', "a"),
        (list[float], {"items": {"type": "number"}, "type": "array"}, "[1,2.5]", [1.0, 2.5]),
        (dict[str, int], {"additionalProperties": {"type": "integer"}, "type": "object"}, '{"a":1}', {"a": 1}),
        (set[int], {"items": {"type": "integer"}, "type": "array", "uniqueItems": True}, "[1]", {1}),
        (dt.date, {"format": "date", "type": "string"}, '"2026-01-02"', dt.date(2026, 1, 2)),
        (Colour, {"$ref": "#/$defs/Colour"}, '"red"', Colour.RED),
        (Place, REF, '{"title":"Oslo"}', Place("Oslo")),
        (Trip, {"$ref": "#/$defs/Trip"}, '{"title":"x","to":{"title":"y"}}', Trip(title="x", to=Place("y"))),
        (
            Annotated[int, pydantic.Field(ge=0, description="how many")],
            {"description": "how many", "minimum": 0, "type": "integer"},
            "0",
            0,
        ),
    ],
    ids=str,
)
def test_arguments(annotation: Any, schema: Any, sent: str, given: Any) -> None:
    received = []

    def take(title):
        received.append(title)

    take.__annotations__ = {"title": annotation}
    offered = tool(take)
    assert offered.parameters["properties"]["title"] == schema
    assert "title" not in [key for told in offered.parameters.get("$defs", {}).values() for key in told]
    jsonschema.Draft202012Validator(offered.parameters).validate({"title": json.loads(sent.replace('"3"', "3"))})
    assert offered.call(f'{{"title":{sent}}}') == Outcome("None", "success", [], [], pytest.approx(0, abs=1e10))
    assert received == [given]


def test_defaults_are_the_function_s_own() -> None:
    nothing, items = object(), [1]

    def take(a, b: int = 2, c: Colour = Colour.RED, d=nothing, e: list[int] = items, f: int = None):  # noqa: RUF013
        assert d is nothing
        assert e is items
        return [a, b, c, f]

    offered = tool(take)
    assert offered.parameters["required"] == ["a"]
    defaults = {name: told["default"] for name, told in schema_of(take).items() if "default" in told}
    assert defaults == {"b": 2, "c": "red", "e": [1], "f": None}
    assert offered.call('{"a":1}').result == '[1,2,"red",null]'
    assert offered.call('{"a":1,"f":null}').status == "success"


def test_methods_and_partials() -> None:
    class Counter:
        def count(self, by: int, twice: bool = False) -> int:
            """Count."""
            return by * (1 + twice)

    assert tool(Counter().count).call('{"by":2}').result == "2"
    partial = tool(functools.partial(Counter().count, by=3), name="three")
    assert partial.parameters["required"] == []
    assert partial.call("{}").result == "3"


def positional(a: int, /) -> None: ...
def star(*a: int) -> None: ...
def stars(**a: int) -> None: ...
def unknown(a: Missing) -> None: ...  # noqa: F821
def opaque(a: threading.Lock) -> None: ...  # pyright: ignore[reportGeneralTypeIssues]
def frame(a: pd.DataFrame) -> None: ...
def callback(a: Callable[[], int]) -> None: ...
def field(a: int = pydantic.Field(description="x")) -> None: ...
def method(self: Any, a: int) -> None: ...
def größe() -> None: ...


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (positional, "remove the `/`"),
        (star, "take a list"),
        (stars, "list the arguments"),
        (unknown, "Missing"),
        (opaque, "opaque cannot be a tool"),
        (frame, "DataFrame"),
        (callback, "callback cannot be a tool"),
        (field, "Annotated"),
        (method, "letta_nb.tool(thing.method)"),
        (größe, "letta_nb.tool(function, name=...)"),
        (lambda: 1, "letta_nb.tool(function, name=...)"),
        (functools.partial(square), "letta_nb.tool(function, name=...)"),
        (3, "it is no function"),
    ],
)
def test_what_cannot_be_described_says_what_to_do(function: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        tools_of([function])
    assert words in str(caught.value)


def test_options_are_checked() -> None:
    with pytest.raises(InputError, match="approve='never'"):
        tool(square, approve="never")  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert tool(lambda: 1, name="one").call("").result == "1"


def test_a_list_of_tools() -> None:
    always = tool(approve="always", name="always")(square)
    found = tools_of([always, square])
    assert [(each.name, each.approve) for each in found] == [("always", "always"), ("square", "ask")]
    assert found[0] is always
    with pytest.raises(InputError, match="several tools are named square"):
        tools_of([square, tool(square)])
    with pytest.raises(InputError, match=r"tools=\[\.\.\.\]"):
        tools_of(square)  # pyright: ignore[reportArgumentType]


# -- what a model may send ---------------------------------------------------------------------------------------------


def test_what_servers_add_is_dropped() -> None:
    assert tool(square).call('{"a": 3, "request_heartbeat": true, "thinking": "hm"}').result == "9"


def test_what_servers_add_is_given_to_those_who_ask() -> None:
    def beat(request_heartbeat: bool) -> bool:
        return request_heartbeat

    assert list(schema_of(beat)) == ["request_heartbeat"]
    assert tool(beat).call('{"request_heartbeat": true}').result == "true"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "a is missing"),
        ("null", "a is missing"),
        ("[]", "the arguments: Input should be an object (got [])"),
        ('{"sides": 20, "request_heartbeat"}', "Invalid JSON: expected `:` at line 1 column 34"),
        ('{"a": "x"}', "a: Input should be a valid integer, unable to parse string as an integer (got 'x')"),
        ('{"a": 1, "b": 2}', "there is no argument b: it takes a"),
        ('{"a": "\ud800"}', "Invalid JSON: invalid unicode code point at line 1 column 8"),
        ('{"a": ' + "[" * 5000, "Invalid JSON: recursion limit exceeded at line 1 column 207"),
    ],
)
def test_a_model_is_told_what_it_did_wrong(arguments: str, words: str) -> None:
    outcome = tool(square).call(arguments)
    assert outcome[:4] == (f"Error executing function square: InvalidArguments: {words}", "error", [], [])


def test_many_mistakes_and_long_values_stay_short() -> None:
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    words = tool(total).call(json.dumps({"numbers": ["x" * 500] * 20})).result
    assert words.endswith("and 15 more")
    assert "numbers.0: " in words
    assert "pydantic" not in words
    assert len(words) < 1200


def test_a_validator_s_exception_is_the_function_s() -> None:
    class Fussy(pydantic.BaseModel):
        @pydantic.model_validator(mode="before")
        @classmethod
        def look(cls, value: Any) -> Any:
            print("looking")
            raise LookupError("not here")

    def fuss(a: Fussy) -> None: ...

    fuss.__annotations__ = {"a": Fussy}
    outcome = tool(fuss).call('{"a": {}}')
    assert outcome[:3] == ("Error executing function fuss: LookupError: not here", "error", ["looking\n"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abct"), inner, max_size=3),
    max_leaves=8,
)


@dataclasses.dataclass
class Node:
    a: int
    b: list[str] = dataclasses.field(default_factory=list)


def many(
    a: int,
    b: list[int | str] | None,
    c: dict[str, float] = {},  # noqa: B006
    t: tuple[int, bool] | Literal["x", 3] = "x",
    n: Node | None = None,
    e: Annotated[float, pydantic.Field(gt=0)] | Colour = 1.0,
) -> list[Any]:
    return [a, b, c, t, n, e]


MANY = tool(many)
VALID = jsonschema.Draft202012Validator(MANY.parameters)
OBJECTS = st.fixed_dictionaries(
    {"a": st.integers(-9, 9) | JSON, "b": st.none() | st.lists(JSON, max_size=2)},
    optional={
        "c": JSON,
        "t": st.sampled_from([[1, True], "x", 3]) | JSON,
        "n": st.fixed_dictionaries({"a": st.integers()}, optional={"b": JSON}) | JSON,
        "e": st.just("red") | st.floats(0, 9) | JSON,
    },
)


@given(OBJECTS)
def test_what_the_schema_allows_is_accepted(arguments: dict[str, Any]) -> None:
    if VALID.is_valid(arguments):
        assert MANY.call(json.dumps(arguments)).status == "success"


@given(st.text() | st.text(st.characters(categories=["Cs"])) | JSON.map(json.dumps))
def test_nothing_that_is_sent_raises(arguments: str) -> None:
    outcome = MANY.call(arguments)
    assert (outcome.status == "success") is not outcome.result.startswith("Error executing function many: Invalid")
    outcome.result.encode()


# -- what a call comes to ----------------------------------------------------------------------------------------------


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError("no words")


class Sized:
    def __repr__(self) -> str:
        return "<Sized>"


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("as it is", "as it is"),
        (None, "None"),
        (True, "true"),
        ({"a": [1, None, "é"]}, '{"a":[1,null,"é"]}'),
        (Colour.RED, '"red"'),
        (Trip(title="x", to=Place("y")), '{"title":"x","to":{"title":"y"},"when":"2026-01-02"}'),
        (np.float64(0.5), "0.5"),
        ({"m": np.eye(2, dtype=int)}, '{"m":[[1,0],[0,1]]}'),
        (np.zeros(20_000), "array([0., 0., 0., ..., 0., 0., 0.], shape=(20000,))"),
        (pd.DataFrame({"city": ["Oslo", "Bergen"], "t": [1, 2]}), "     city  t\n0    Oslo  1\n1  Bergen  2"),
        (pd.Series([1, 2], name="t"), "0    1\n1    2"),
        (Sized(), "<Sized>"),
        ([Sized()], '["<Sized>"]'),
        (b"\xff", "b'\\xff'"),
        ("half \ud83d of a pair", "half \\ud83d of a pair"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_results_are_text_for_a_model(value: Any, result: str) -> None:
    assert tool(lambda: value, name="f").call("{}")[:2] == (result, "success")


def test_a_long_table_shows_both_ends_and_its_size() -> None:
    table = tool(lambda: pd.DataFrame({"n": range(1000)}), name="f").call("{}").result
    assert table.endswith("999  999\n\n[1000 rows x 1 columns]")
    assert len(table.splitlines()) < 220


def test_a_generator_is_the_function_s_too() -> None:
    def count(to: int) -> Iterator[int]:
        for i in range(to):
            print(i)
            yield 6 // (2 - i)

    assert tool(count).call('{"to": 2}')[:3] == ("[3,6]", "success", ["0\n1\n"])
    assert tool(count).call('{"to": 3}').result.startswith("Error executing function count: ZeroDivisionError:")


def test_sizes_are_capped() -> None:
    def shout() -> str:
        for _ in range(3):
            print("é" * 300_000)
        sys.stderr.write("y" * 2_000_000)
        raise ValueError("z" * 1_200_000)

    outcome = tool(shout).call("{}")
    assert outcome.stdout == ["é" * 300_000 + "\n" + "é" * 199_999 + "\n[cut here by letta_nb: 800,003 more bytes]"]
    assert outcome.result.endswith("[cut here by letta_nb: 200,044 more bytes]")
    # what went wrong is told even after too many words
    assert "1,000,000 more bytes]Traceback" in outcome.stderr[0]


def test_a_failure_reads_as_recorded() -> None:
    def always_fails(why: str) -> str:
        print("stdout before failing")
        print("stderr before failing", file=sys.stderr)
        raise ValueError("scripted tool failure: " + why)

    lines = (FIXTURES / "v1_toolerr_step.sse").read_text().split("\n")
    events = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    wanted = next(event for event in events if event["message_type"] == "tool_return_message")
    outcome = tool(always_fails).call(json.dumps({"why": 'test "quotes" & unicode é'}))
    assert outcome[:3] == (wanted["tool_return"], wanted["status"], wanted["stdout"])
    told, said = outcome.stderr[0].splitlines(), wanted["stderr"][0].splitlines()
    assert (told[:2], told[-2:]) == (said[:2], said[-2:])
    assert sum(line.startswith("  File ") for line in told) == 1


def test_a_traceback_names_modules_and_no_machine() -> None:
    def load() -> None:
        try:
            json.loads("{")
        except ValueError:
            pd.DataFrame().loc["x"]

    (trace,) = tool(load).call("{}").stderr
    assert 'File "json/decoder.py"' in trace
    assert 'File "pandas/core/indexing.py"' in trace
    assert "letta_nb" not in trace.replace(str(Path(__file__).parent), "")
    assert not [path for path in sys.path if path and f'"{path}' in trace]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (KeyError("k"), "KeyError: 'k'"),
        (AssertionError(), "AssertionError"),
        (GeneratorExit(), "GeneratorExit"),
        (asyncio.CancelledError(), "CancelledError"),
        (ValueError(Unprintable()), "ValueError: (it cannot be printed)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_are_told_whatever_they_are(error: BaseException, words: str) -> None:
    def fail() -> None:
        raise error

    outcome = tool(fail).call("{}")
    assert outcome[:2] == (f"Error executing function fail: {words}", "error")
    assert "in fail" in outcome.stderr[0]


def test_a_note_is_in_the_traceback_and_the_words_are_the_error_s() -> None:
    def fail() -> None:
        error = ValueError("the cause")
        error.add_note("a hint")
        raise error

    outcome = tool(fail).call("{}")
    assert outcome.result == "Error executing function fail: ValueError: the cause"
    assert outcome.stderr[0].endswith("ValueError: the cause\na hint\n")


def test_a_value_that_cannot_be_shown_is_an_error() -> None:
    outcome = tool(Unprintable, name="f").call("{}")
    assert outcome[:2] == ("Error executing function f: ValueError: no words", "error")


def test_stop_is_not_swallowed() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tool(stop).call("{}")


# -- whose prints are whose --------------------------------------------------------------------------------------------


def test_other_threads_print_for_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        print("mine")
        thread = threading.Thread(target=print, args=("theirs",))
        thread.start()
        thread.join()
        print("mine again", file=sys.stderr)
        sys.stdout.writelines(["and ", "this\n"])

    outcome = tool(work).call("{}")
    assert (outcome.stdout, outcome.stderr) == (["mine\nand this\n"], ["mine again\n"])
    assert capsys.readouterr().out == "theirs\n"


def test_calls_at_once_do_not_mix() -> None:
    barrier = threading.Barrier(8)

    def work(name: str) -> str:
        for _ in range(20):
            print(name)
            barrier.wait(20)
        return name

    offered = tool(work)
    found: dict[str, Outcome] = {}
    threads = [
        threading.Thread(target=lambda name=name: found.update({name: offered.call(f'{{"name":"{name}"}}')}))
        for name in "abcdefgh"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: outcome.stdout for name, outcome in found.items()} == {
        name: [f"{name}\n" * 20] for name in "abcdefgh"
    }


def test_a_tool_may_call_another() -> None:
    def outer() -> str:
        print("outer")
        inner = tool(square).call('{"a": 2}')
        print("again")
        return inner.stdout[0] + inner.result

    assert tool(outer).call("{}")[:3] == ("squared in the kernel\n4", "success", ["outer\nagain\n"])


def test_a_stream_that_somebody_put_there_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    own = io.StringIO()

    def redirect() -> None:
        monkeypatch.setattr(sys, "stdout", own)

    tool(redirect).call("{}")
    assert sys.stdout is own
    monkeypatch.undo()
    assert isinstance(sys.stdout, capture.Router)
    # the next call clears it away
    tool(square).call('{"a": 1}')


# -- coroutines --------------------------------------------------------------------------------------------------------


async def wait_a_moment(a: int) -> int:
    print("before")
    await asyncio.to_thread(print, "aside")
    return 6 // a


@pytest.mark.parametrize("running", [True, False])
def test_coroutines_work_whether_or_not_a_loop_runs(running: bool) -> None:
    async def main() -> list[Outcome]:
        return [tool(wait_a_moment).call(f'{{"a": {a}}}') for a in (2, 0)]

    good, bad = asyncio.run(main()) if running else [tool(wait_a_moment).call(f'{{"a": {a}}}') for a in (2, 0)]
    assert good[:3] == ("3", "success", ["before\naside\n"])
    assert bad.result == "Error executing function wait_a_moment: ZeroDivisionError: integer division or modulo by zero"
    assert next(line for line in bad.stderr[0].splitlines() if "File" in line).endswith("in wait_a_moment")


def test_stop_cancels_a_coroutine() -> None:
    told = []

    async def wait() -> None:
        try:
            _thread.interrupt_main()
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    with pytest.raises(KeyboardInterrupt):
        tool(wait).call("{}")
    assert told == ["cancelled"]


# -- debuggers ---------------------------------------------------------------------------------------------------------


def test_a_debugger_talks_to_the_person_and_its_time_is_not_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0]
    monkeypatch.setattr(capture.time, "perf_counter_ns", lambda: now[0])
    typed = io.StringIO("!now[0] += 10**12\nprint('at the prompt')\nc\n")

    def work() -> None:
        now[0] += 5
        print("mine")
        pdb.Pdb(stdin=typed, stdout=sys.stdout, nosigint=True).set_trace()
        now[0] += 6
        print("mine too")

    outcome = tool(work).call("{}")
    assert (outcome.stdout, outcome.duration) == (["mine\nmine too\n"], 11)
    assert "at the prompt" in capsys.readouterr().out


def test_in_plain_python_breakpoint_asks_the_terminal() -> None:
    code = (
        "from letta_nb.tools import tool\n"
        "@tool\n"
        "def work(a: int):\n"
        "    print('kept')\n"
        "    breakpoint()\n"
        "    return a\n"
        "print(work.call('{\"a\": 3}').stdout)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input="p a * 111\nc\n", capture_output=True, text=True, check=True
    )
    assert "333" in done.stdout
    assert done.stdout.endswith("['kept\\n']\n")


def test_nothing_heavy_is_loaded_before_a_tool_is_made() -> None:
    code = (
        "import sys, letta_nb.tools as tools\n"
        "print([name for name in ('griffe', 'IPython', 'pandas', 'pydantic') if name in sys.modules])\n"
        "tools.tool(lambda: 1, name='f', description='x').call('')\n"
        "print([name for name in ('griffe', 'IPython', 'pandas') if name in sys.modules])\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n[]\n"


def test_the_types_are_what_they_say() -> None:
    assert isinstance(tool(square), Tool)
    assert set(tools.get_args(tools.Approve)) == {"ask", "always"}
