"""Imports point one way: data flows from bytes to the page, and nothing below knows what is above it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from recordings import BY_NAME

PACKAGE = Path(__file__).resolve().parent.parent / "letta_nb"

# A module imports from lines above its own, never from its own line or below.
LAYERS = """
_version bootstrap cleaning errors figures marimo_cells page semconv subshell
addresses log paths sse events entries shortcuts memory_patch redaction_rules
typed calls again memory redaction_walk prices
fetched sessions
fold
run
transcripts redaction
record_read capabilities protocol refusals capture progress signatures
record phases answers flows tools
words history audience
feed
align
parting deltas
compare_text
exchange
connection stream
client async_client
text views stopping
live reading multiples recorder
wire_views step_views bare replay
columns static_html span_times
frames comparison pairing otel
summary remarks limits
remarks_calls remarks_time remarks_tokens plots guard
explanation
notebook parquet
places
widget trials
server
api
magics cli pytest_plugin many
__main__
__init__
"""
LEVEL = {name: level for level, line in enumerate(LAYERS.strip().splitlines()) for name in line.split()}

# the embedded server shares no model with the client: a misreading of one must not hide in the other
SERVER_MAY = {"errors", "sse", "_version"}
# where a function may import upward: shortcuts on a Run, and names of the package that load when used
UPWARD = {"again", "shortcuts", "__init__"}
# logic: no sockets, no clocks, no threads, no files
PURE = """
errors figures page log events entries calls again memory memory_patch prices fetched fold answers feed phases words
bare text align parting deltas compare_text redaction redaction_rules redaction_walk remarks remarks_calls remarks_time
remarks_tokens multiples
""".split()
IMPURE = {
    "asyncio",
    "glob",
    "http",
    "httpx",
    "os",
    "pathlib",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
}
HEAVY = (
    "IPython",
    "anywidget",
    "fastapi",
    "genai_prices",
    "ipywidgets",
    "matplotlib",
    "numpy",
    "opentelemetry.sdk",
    "pandas",
    "pyarrow",
    "pydantic_ai",
    "uvicorn",
)

Place = Literal["module", "function", "typing"]


class Import(NamedTuple):
    """One import: which module of ours, or which foreign package, and where the statement stands."""

    name: str
    ours: bool
    place: Place
    line: int


def imports(path: Path) -> Iterator[Import]:
    def walk(node: ast.AST, place: Place) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                names = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path.name}:{child.lineno}: a relative import"
                module = child.module or ""
                names = [f"{module}.{alias.name}" for alias in child.names]
            else:
                inside: Place = place
                if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    inside = "function"
                elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                    inside = "typing"
                yield from walk(child, inside)
                continue
            for name in names:
                parts = name.split(".")
                if parts[0] != PACKAGE.name:
                    yield Import(parts[0], False, place, child.lineno)
                elif len(parts) > 1:
                    yield Import(parts[1] if parts[1] in LEVEL else "__init__", True, place, child.lineno)

    yield from walk(ast.parse(path.read_text("utf-8")), "module")


MODULES = sorted(PACKAGE.glob("*.py"))
SERVER = sorted((PACKAGE / "server").rglob("*.py"))
PLOTS = sorted((PACKAGE / "plots").glob("*.py"))
every_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)


def test_every_module_has_its_place() -> None:
    assert {path.stem for path in MODULES} - set(LEVEL) == set(), "say in LAYERS where a new module stands"


@every_module
def test_modules_import_from_below(path: Path) -> None:
    for found in imports(path):
        if found.ours and found.place == "module":
            assert LEVEL[found.name] < LEVEL[path.stem], f"{path.name}:{found.line} imports {found.name}"


@every_module
def test_functions_import_upward_only_where_that_is_the_point(path: Path) -> None:
    for found in imports(path):
        if found.ours and found.place == "function" and path.stem not in UPWARD:
            assert LEVEL[found.name] < LEVEL[path.stem], f"{path.name}:{found.line} imports {found.name}"


@pytest.mark.parametrize("path", SERVER, ids=lambda path: path.relative_to(PACKAGE).with_suffix("").as_posix())
def test_the_server_shares_only_errors_and_sse(path: Path) -> None:
    for found in imports(path):
        if found.ours:
            assert found.name in {*SERVER_MAY, "server"}, f"{path.name}:{found.line} imports {found.name}"


@pytest.mark.parametrize("path", PLOTS, ids=lambda path: path.relative_to(PACKAGE).with_suffix("").as_posix())
def test_pictures_import_from_below_and_each_other(path: Path) -> None:
    for found in imports(path):
        if found.ours and found.name != "plots":
            assert LEVEL[found.name] < LEVEL["plots"], f"{path.name}:{found.line} imports {found.name}"


@pytest.mark.parametrize("name", PURE)
def test_logic_knows_no_sockets_clocks_or_threads(name: str) -> None:
    foreign = {found.name for found in imports(PACKAGE / f"{name}.py") if not found.ours and found.place == "module"}
    assert foreign & IMPURE == set()


@pytest.mark.parametrize(
    "path", MODULES + SERVER + PLOTS, ids=lambda path: path.relative_to(PACKAGE).with_suffix("").as_posix()
)
def test_every_module_says_what_it_is_and_stays_readable(path: Path) -> None:
    text = path.read_text("utf-8")
    assert path.name == "_version.py" or ast.get_docstring(ast.parse(text)), f"{path.name} has no docstring"
    assert len(text.splitlines()) <= 400, f"{path.name} is long: 200 lines is the aim, 400 the end"


FIRST_STEPS = {
    "import": "import letta_nb",
    "client": "import letta_nb; letta_nb.Client('http://127.0.0.1:1')",
    "load": f"import letta_nb; letta_nb.load({str(BY_NAME['0.16.8/v1_hello_step'].path)!r})",
    "help": "import letta_nb; dir(letta_nb)",
}


@pytest.mark.parametrize("step", FIRST_STEPS)
def test_what_is_heavy_loads_when_it_is_used(step: str) -> None:
    code = f"import sys\n{FIRST_STEPS[step]}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == []


def test_every_public_name_can_be_had() -> None:
    code = "import letta_nb\nfor name in letta_nb.__all__: getattr(letta_nb, name)\nprint(letta_nb.__version__)"
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
