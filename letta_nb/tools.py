"""Functions of the notebook as tools of an agent: the server gets their description, and what each call came to."""

from __future__ import annotations

import functools
import inspect
import os
import re
import sys
import traceback
from bdb import BdbQuit
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any, Literal, NamedTuple, get_args, overload

from letta_nb import capture, signatures
from letta_nb.capture import Capture, awaited, called, printable
from letta_nb.errors import InputError
from letta_nb.signatures import Arguments, InvalidArguments, described

Approve = Literal["ask", "always"]
Status = Literal["success", "error"]

# what the large providers accept
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
# a longer table is shown by its first and last rows
TABLE_ROWS = 200
ARRAY_ITEMS = 10_000
MACHINERY = (__name__, capture.__name__, signatures.__name__, "asyncio.", "concurrent.futures.", "threading")


class Outcome(NamedTuple):
    """What a call came to, as Letta takes it; `duration` in nanoseconds, without the time spent in a debugger."""

    result: str
    status: Status
    stdout: list[str]
    stderr: list[str]
    duration: int

    def as_return(self) -> dict[str, Any]:
        """The return as a server takes it."""
        return {
            "tool_return": self.result,
            "status": self.status,
            "stdout": self.stdout or None,
            "stderr": self.stderr or None,
        }


class Tool:
    """A function that an agent may call; called by a person it is the function it was."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        approve: Approve = "ask",
    ) -> None:
        if not callable(function):
            raise InputError(f"{function!r} cannot be a tool: it is no function")
        if approve not in get_args(Approve):
            raise InputError(f"approve={approve!r} is not known: write approve='ask' or approve='always'")
        functools.update_wrapper(self, function)
        self.function = function
        self.name = _checked_name(getattr(function, "__name__", "") if name is None else name)
        self.approve: Approve = approve
        words, docs = described(function)
        self.description = words if description is None else description
        self._arguments = Arguments(self.name, function, docs)

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON schema of the arguments."""
        return self._arguments.schema

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<tool {self.name}{self._arguments.signature}, approve={self.approve!r}>"

    def definition(self) -> dict[str, Any]:
        """An item of a request's `client_tools`; without a description if there is none."""
        told = {"name": self.name, "description": self.description, "parameters": deepcopy(self.parameters)}
        return {key: value for key, value in told.items() if value is not None}

    def call(self, arguments: str) -> Outcome:
        """Call the function with the JSON text that an agent sent, valid or not. Raises KeyboardInterrupt alone."""
        __debuggerskip__ = False
        output = Capture()
        try:
            result = output.run(functools.partial(self._result, arguments))
        except KeyboardInterrupt:
            raise
        # a sys.exit() ends the tool, not the notebook
        except BaseException as error:
            trace = "" if isinstance(error, (InvalidArguments, BdbQuit)) else _traceback(error)
            return _outcome(f"Error executing function {self.name}: {_words(error)}", "error", output, trace)
        return _outcome(result, "success", output)

    def _result(self, arguments: str) -> str:
        __debuggerskip__ = False
        values = self._arguments.read(arguments)
        value = called(functools.partial(self.function, **values))
        return _text(awaited(value) if inspect.isawaitable(value) else value)


@overload
def tool(
    function: Callable[..., Any], *, name: str | None = None, description: str | None = None, approve: Approve = "ask"
) -> Tool: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None, approve: Approve = "ask"
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    approve: Approve = "ask",
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Offer a function to agents. `approve="always"`: its calls run at once; `"ask"`: after you approved each.

    Its signature says what the arguments are, its docstring (Google, NumPy or Sphinx style) what they mean.
    Raises InputError if they cannot be described.
    """

    def offered(function: Callable[..., Any]) -> Tool:
        plain = function.function if isinstance(function, Tool) else function
        return Tool(plain, name=name, description=description, approve=approve)

    return offered if function is None else offered(function)


def tools_of(items: Iterable[Tool | Callable[..., Any]]) -> list[Tool]:
    """The tools of a list of tools and plain functions; those are asked about before each call."""
    if callable(items):
        raise InputError("tools is a list: write tools=[...], even for one")
    tools = [item if isinstance(item, Tool) else Tool(item) for item in items]
    names = [each.name for each in tools]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"several tools are named {', '.join(twice)}: letta_nb.tool(function, name=...) gives another name"
        )
    return tools


def _checked_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot be the name of a tool: use letters, digits, _ and -, at most 64; "
            "letta_nb.tool(function, name=...) gives one"
        )
    return name


# -- what it came to ---------------------------------------------------------------------------------------------------


def _outcome(result: str, status: Status, output: Capture, trace: str = "") -> Outcome:
    stdout, stderr = output.text("stdout"), output.text("stderr") + trace
    return Outcome(
        printable(result), status, [stdout] if stdout else [], [stderr] if stderr else [], output.duration_ns
    )


def _text(value: Any) -> str:
    """A function's value for a model to read: JSON, or a table, or else as Python shows it."""
    from pydantic_core import to_json

    if isinstance(value, str):
        return str.__str__(value)
    if (table := _table(value)) is not None:
        return table
    # in JSON it would be null, and the agent could not tell it from a failure
    if value is None:
        return "None"
    # its body is the function's: it may print, and fail
    if inspect.isgenerator(value):
        value = list(value)

    def shown(unknown: Any) -> Any:
        # numpy's; a larger array is told as numpy prints it, by its corners
        if hasattr(unknown, "tolist") and getattr(unknown, "size", 0) <= ARRAY_ITEMS:
            return unknown.tolist()
        if unknown is value:
            raise TypeError
        return repr(unknown)

    try:
        return to_json(value, fallback=shown).decode()
    except (TypeError, ValueError, RecursionError):
        return repr(value)


def _table(value: Any) -> str | None:
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(value, (pandas.DataFrame, pandas.Series)):
        return None
    table: Any = value
    cut = len(table) > TABLE_ROWS
    size = {"show_dimensions": cut} if isinstance(table, pandas.DataFrame) else {"length": cut}
    return table.to_string(max_rows=TABLE_ROWS, **size)


def _words(error: BaseException) -> str:
    if isinstance(error, BdbQuit):
        return "BdbQuit: the person at the notebook stopped it in a debugger"
    try:
        words = str(error)
    except Exception:
        words = "(it cannot be printed)"
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _traceback(error: BaseException) -> str:
    """The traceback from the function's own first frame, in files as they are imported, cells by their number."""
    trace = error.__traceback__
    while trace is not None and f"{trace.tb_frame.f_globals.get('__name__')}.".startswith(MACHINERY):
        trace = trace.tb_next
    told = traceback.TracebackException(type(error), error, trace)
    parts, seen = [told], set[int]()
    while parts:
        part = parts.pop()
        if id(part) not in seen:
            seen.add(id(part))
            for frame in part.stack:
                frame.filename = _known_as(frame.filename)
            parts += [each for each in (part.__cause__, part.__context__, *(part.exceptions or ())) if each]
    return printable("".join(told.format()))


def _known_as(filename: str) -> str:
    """A cell by its number, a module by its place in the import path: an agent need not know where this machine is."""
    ipython = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython is not None else None
    if shell is not None and (cell := shell.compile.format_code_name(filename)):
        return " ".join(cell)
    places = [place for place in sys.path if place and filename.startswith(place.rstrip(os.sep) + os.sep)]
    return os.path.relpath(filename, max(places, key=len)) if places else filename
