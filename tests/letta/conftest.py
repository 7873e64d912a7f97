"""Tests against a real Letta server: `make test-letta` starts one and says where. Without one, none is collected."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from real import PEOPLE, Letta, Person

import letta_nb

URL, MODEL = os.environ.get("LETTA_TEST_URL"), os.environ.get("LETTA_TEST_MODEL")
collect_ignore_glob = [] if URL and MODEL else ["test_*.py"]


@pytest.fixture(scope="session")
def letta() -> Iterator[Letta]:
    if not URL or not MODEL:
        pytest.fail("There is no server: run `make test-letta`, or python scripts/real_letta.py test.", pytrace=False)
    server = Letta(URL, MODEL)
    yield server
    server.close()


@pytest.fixture
def agent(letta: Letta) -> str:
    """A new agent's id."""
    return letta.agent()


@pytest.fixture(params=PEOPLE)
def person(request: pytest.FixtureRequest, letta: Letta) -> Iterator[Person]:
    """A person with a Client, then one with an AsyncClient."""
    someone: Person = PEOPLE[request.param](letta.url)
    yield someone
    someone.close()


@pytest.fixture
def notebook(letta: Letta) -> Iterator[None]:
    """`letta_nb.send` and its like talk to the real server."""
    with letta_nb.connect(letta.url):
        yield


@pytest.fixture(params=["step", "token"])
def tokens(request: pytest.FixtureRequest) -> bool:
    """Whether the model's tokens are streamed, or whole steps."""
    return request.param == "token"


# -- the table ---------------------------------------------------------------------------------------------------------

COLUMNS = ("Client step", "Client token", "AsyncClient step", "AsyncClient token")
MARKS = {"passed": "ok", "failed": "FAILED", "skipped": "skipped", "xfailed": "known"}
_rows: dict[str, dict[str, str]] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when != "call" and report.outcome == "passed":
        return
    name, _, case = report.nodeid.partition("::")[2].partition("[")
    words = set(re.split(r"[-\]]", case))
    outcome = "xfailed" if hasattr(report, "wasxfail") else report.outcome
    who = "AsyncClient" if "AsyncClient" in words else "Client"
    # what does not depend on the mode is told once: token mode is the client's own choice
    column = f"{who} {'step' if 'step' in words else 'token'}"
    # an earlier failure is not hidden by a later case of the same cell
    cells = _rows.setdefault(name.removeprefix("test_").replace("_", " "), {})
    if cells.get(column) in (None, "ok"):
        cells[column] = MARKS[outcome]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _rows:
        return
    terminalreporter.section("letta_nb against Letta 0.16.8")
    width = max(len(name) for name in _rows)
    terminalreporter.write_line("  ".join([" " * width, *(f"{column:<18}" for column in COLUMNS)]).rstrip())
    for name, cells in _rows.items():
        line = [f"{name:<{width}}", *(f"{cells.get(column, ''):<18}" for column in COLUMNS)]
        terminalreporter.write_line("  ".join(line).rstrip())
