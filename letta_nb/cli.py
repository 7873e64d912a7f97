"""`letta-nb`: the demo, the embedded server, a run in the terminal, runs as tables. A thin shell over the Python calls.

Exit codes: 0 done, 1 done but for files that could not be read, 2 could not do it (one line on stderr says why), 130
interrupted.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from letta_nb import paths
from letta_nb._version import __version__
from letta_nb.cleaning import clean
from letta_nb.errors import ConfigurationError, InputError, LettaNbError

if TYPE_CHECKING:
    import pandas as pd

_FIRST = "notebooks/01_first_run.ipynb"
_DEMO = ("notebooks/*.ipynb", "tests/fixtures/0.16.8/v1_multi*_[st]*", "tests/fixtures/0.16.8/v1_hello_*")
_FORMATS = ("csv", "parquet", "jsonl", "json")
_EXAMPLES = """\
examples:
  letta-nb demo                                   open JupyterLab on a first notebook; no key, no server needed
  letta-nb serve --port 8283                      agents on the Letta endpoint, for any client
  letta-nb show run.jsonl                         a saved run (or a recorded .sse) in the terminal
  letta-nb frames 'runs/*.jsonl' --grain tools    every tool call as CSV
  letta-nb frames 'runs/*.jsonl' --grain steps -o steps.parquet
  letta-nb frames 'runs/*.jsonl' --grain all --format parquet -o data    a data set for DuckDB, Polars, Spark
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(argv)
    stdout: Any = sys.stdout
    if hasattr(stdout, "reconfigure") and not stdout.isatty():
        # what others read is UTF-8, whatever a Windows code page says
        stdout.reconfigure(encoding="utf-8")
    code = None
    try:
        code = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader (`| head`) has enough; what Python would flush at its end must not fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (LettaNbError, OSError) as error:
        print(f"letta-nb: {clean(' '.join(str(error).split()))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return code or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="letta-nb",
        description="See a Letta agent think, keep the run, analyse it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"letta-nb {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="open JupyterLab on a copy of the first notebook")
    demo.add_argument("--dir", default="letta-nb-demo", help="the folder of the copy (default: letta-nb-demo)")
    demo.add_argument("--no-browser", action="store_true", help="only print the address")
    demo.add_argument("--port", type=int, help="JupyterLab's port")
    demo.set_defaults(run=_demo)

    serve = commands.add_parser("serve", help="run the embedded agent server until Ctrl-C")
    serve.add_argument("--host", default="127.0.0.1", help="where to listen; anything but loopback needs --password")
    serve.add_argument("--port", type=int, default=8283, help="default: 8283, as Letta; 0 takes a free one")
    serve.add_argument("--model", help='a pydantic-ai model such as "openai:gpt-5", or "smollm2" (default: a script)')
    serve.add_argument("--base-url", help="an OpenAI-compatible server that has the model")
    serve.add_argument("--password", help="what clients must send (default: $LETTA_SERVER_PASSWORD)")
    serve.add_argument("--database", help="a SQLite file that keeps agents, messages and runs (default: in memory)")
    serve.set_defaults(run=_serve)

    show = commands.add_parser("show", help="print a saved run as text")
    show.add_argument("files", nargs="+", metavar="FILE", help="a run file, a recorded .sse, or a quoted pattern")
    show.add_argument("--full", action="store_true", help="long texts whole")
    show.add_argument("--plain", action="store_true", help="without times, token counts and ids: the same on each run")
    show.add_argument("--width", type=int, default=80, help="columns (default: 80)")
    show.set_defaults(run=_show)

    frames = commands.add_parser("frames", help="runs as a table")
    frames.add_argument("files", nargs="+", metavar="FILE", help="run files, recorded .sse files, or quoted patterns")
    suffixes = "default: by OUT's suffix, else csv; jsonl: an object a line"
    frames.add_argument("--format", choices=_FORMATS, help=suffixes)
    grains = (*_grains(), "all")
    frames.add_argument("--grain", choices=grains, default="runs", help="what a row is (default: runs); all six tables")
    frames.add_argument(
        "-o", "--output", metavar="OUT", help="the file to write (default: stdout); for all, the folder"
    )
    frames.add_argument(
        "--skip-unreadable", action="store_true", help="leave out files that cannot be read, and say so"
    )
    frames.set_defaults(run=_frames)
    return parser


def _grains() -> tuple[str, ...]:
    from letta_nb.columns import Grain

    return get_args(Grain)


# -- the commands ------------------------------------------------------------------------------------------------------


def _demo(options: argparse.Namespace) -> None:
    if importlib.util.find_spec("jupyterlab") is None:
        raise ConfigurationError("The demo opens JupyterLab, which is not installed: pip install jupyterlab")
    copy = Path(options.dir) / _FIRST
    if copy.exists():
        print(f"letta-nb: {copy} is there already; opening it as it is.")
    else:
        for source in _demo_files():
            target = Path(options.dir) / source.relative_to(_home())
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    command = [sys.executable, "-m", "jupyterlab", str(copy)]
    command += ["--no-browser"] if options.no_browser else []
    command += [f"--port={options.port}"] if options.port is not None else []
    code = subprocess.call(command)
    if code:
        raise ConfigurationError(f"JupyterLab ended with exit code {code}.")


def _home() -> Path:
    """Where `notebooks/` and the recordings they load are: beside the package in a checkout, else in the package."""
    package = Path(__file__).parent
    for home in (package / "demo", package.parent):
        if (home / _FIRST).exists():
            return home
    raise ConfigurationError(f"{_FIRST} is not in this installation.")


def _demo_files() -> list[Path]:
    """The notebooks, and the recordings that they load by relative paths."""
    return [path for pattern in _DEMO for path in sorted(_home().glob(pattern))]


def _serve(options: argparse.Namespace) -> None:
    from letta_nb.server import serve

    password = options.password or os.environ.get("LETTA_SERVER_PASSWORD")
    server = serve(
        host=options.host,
        port=options.port,
        model=options.model,
        base_url=options.base_url,
        database=options.database,
        password=password,
    )
    with server, suppress(KeyboardInterrupt):
        key = ", api_key=PASSWORD" if password else ""
        print(f"Serving on {server.url}   Ctrl-C stops it.", flush=True)
        print(f'  in Python:    letta_nb.connect("{server.url}"{key})')
        print(f"  in a shell:   export LETTA_BASE_URL={server.url}" + " LETTA_API_KEY=PASSWORD" * bool(password))
        if options.model is None:
            print("  The agent's model is a script, not a language model; --model names a real one.")
        sys.stdout.flush()
        server.wait()


def _show(options: argparse.Namespace) -> None:
    from letta_nb import record, text
    from letta_nb.run import Run

    lines = None if options.full else text.LINES
    for number, name in enumerate(options.files):
        loaded = record.load(name)
        if loaded == []:
            raise InputError(f"No file matches {name}.")
        for index, run in enumerate([loaded] if isinstance(loaded, Run) else loaded):
            if number or index:
                print("\n")
            if options.plain:
                print(text.transcript(run, width=options.width, plain=True, lines=lines))
            else:
                text.show(run, width=options.width, lines=lines)


def _frames(options: argparse.Namespace) -> int:
    kind = options.format or _format_of(options.output if options.grain != "all" else None)
    if kind == "parquet":
        if importlib.util.find_spec("pyarrow") is None:
            raise ConfigurationError("Parquet needs pyarrow: pip install pyarrow")
        if options.output is None and sys.stdout.isatty():
            raise InputError("Parquet is not text: name a file with -o.")
    if options.grain == "all":
        return _all_frames(options, kind)
    if options.output is not None:  # before all the files are read
        paths.to_write(options.output, "-o", f"{options.grain}.{kind}")
    table, unread = _table(options.grain, options)
    _write(table, kind, options.output)
    return _tell(unread)


def _format_of(output: str | None) -> str:
    """The format that a file's name asks for."""
    suffix = Path(output or "").suffix.lower().removeprefix(".").replace("ndjson", "jsonl") or "csv"
    if suffix not in _FORMATS:
        raise InputError(f"The suffix of {output} names no format. Use one of {', '.join(_FORMATS)}, or say --format.")
    return suffix


def _all_frames(options: argparse.Namespace, kind: str) -> int:
    """All tables into a folder: a data set of Parquet files, or a file each."""
    from letta_nb import record
    from letta_nb.parquet import to_parquet

    if options.output is None:
        raise InputError("Six tables are six files: name a folder with -o.")
    if Path(options.output).suffix.lower().removeprefix(".") in _FORMATS:
        raise InputError(f"Six tables are six files, and {options.output} is one: name a folder with -o, and --format.")
    if kind == "parquet":
        return _tell(to_parquet(options.files, options.output, on_error=_on_error(options)).unread)
    folder = Path(options.output)
    with paths.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    # what stands there can be read only once
    options.files = [record.load(name) if name == "-" else name for name in options.files]
    left: dict[tuple[str, str], None] = {}
    for grain in _grains():
        table, unread = _table(grain, options)
        _write(table, kind, str(folder / f"{grain}.{kind}"))
        left |= dict.fromkeys(unread)
    return _tell(left)


def _table(grain: Any, options: argparse.Namespace) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """One table, without keys of providers as any file of ours, and what was left out of it."""
    from letta_nb import frames, redaction
    from letta_nb.reading import Reading

    reading = Reading(options.files, _on_error(options))
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        table = frames.frame(grain, map(redaction.redacted, reading))
    return table, list(reading.unread)


def _on_error(options: argparse.Namespace) -> Literal["raise", "collect"]:
    return "collect" if options.skip_unreadable else "raise"


def _tell(unread: Iterable[tuple[str, str]]) -> int:
    """Say what was left out; the exit code."""
    lines = [error if source in error else f"{source}: {error}" for source, error in unread]
    for line in lines:
        print(f"letta-nb: left out: {clean(' '.join(line.split()))}", file=sys.stderr)
    return 1 if lines else 0


def _write(table: pd.DataFrame, kind: str, output: str | None) -> None:
    if output is not None:
        with paths.writing(output):
            _write_file(table, kind, output)
    elif kind == "parquet":
        table.to_parquet(cast("Any", sys.stdout.buffer), index=False)
    else:
        sys.stdout.write(_text(table, kind))


def _write_file(table: pd.DataFrame, kind: str, output: str) -> None:
    if kind == "parquet":
        table.to_parquet(output, index=False)
    else:
        # no translation of line ends: a CSV cell may hold its own
        Path(output).write_text(_text(table, kind), encoding="utf-8", newline="")


def _text(table: pd.DataFrame, kind: str) -> str:
    if kind == "csv":
        return table.to_csv(index=False)
    lines = kind == "jsonl"
    body = table.to_json(orient="records", lines=lines, date_format="iso", date_unit="ns", force_ascii=False)
    return body if lines else f"{body}\n"
