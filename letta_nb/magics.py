"""%letta and %%letta: parse a line, make one public call, return the Run."""

from __future__ import annotations

import re
import tokenize
from dataclasses import dataclass
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from letta_nb import api
from letta_nb.errors import Interrupted, LettaNbError
from letta_nb.run import Run

HELP = """%letta [options] prompt          one line
%%letta [options]                the prompt is the cell

Sends the prompt to a Letta agent and streams its reply here. Returns the Run.

  -a, --agent NAME   the agent, by name or id (default: the one of connect(agent=...), else the only one)
  -o, --out VAR      also assign the Run to VAR, even if the cell is interrupted
  --no-tokens        stream whole steps instead of tokens
  --save FILE        write the run file while the run goes on
  --bg               return at once; the view streams on, and takes a broken connection up again
  -c, --conversation ID   in one of the agent's conversations, or in a new one: -c new
  --no-tools         offer no functions of this notebook (those made with @letta_nb.tool)
  -f, --format       replace {expr} in the prompt by the value of the Python expression; {{ and }} are braces
  -h, --help         this text
  --                 the prompt begins here

The prompt is sent exactly as written: without -f, braces and $ mean nothing. Options end at the first word that is
none. To choose a server: letta_nb.connect(url), or LETTA_BASE_URL and LETTA_API_KEY; else the embedded one answers."""

_WORD = re.compile(r"""\s*("[^"]*"|'[^']*'|\S+)""")
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@dataclass
class Options:
    """What a magic's line asks for."""

    agent: str | None = None
    out: str | None = None
    tokens: bool = True
    background: bool = False
    conversation: str | None = None
    save: str | None = None
    offer_tools: bool = True
    format: bool = False
    help: bool = False
    prompt: str = ""


_FLAGS = {
    "--no-tokens": ("tokens", False),
    "--bg": ("background", True),
    "--no-tools": ("offer_tools", False),
    "-f": ("format", True),
    "--format": ("format", True),
    "-h": ("help", True),
    "--help": ("help", True),
}
_VALUES = {
    "-a": "agent",
    "--agent": "agent",
    "-o": "out",
    "--out": "out",
    "-c": "conversation",
    "--conversation": "conversation",
    "--save": "save",
}


def parse(line: str) -> Options:
    """Options, then the prompt, which keeps every character it was written with."""
    options = Options()
    position = 0
    while match := _WORD.match(line, position):
        word, equals, value = match[1].partition("=")
        if match[1] == "--":
            position = match.end()
            break
        if match[1] in _FLAGS:
            setattr(options, *_FLAGS[match[1]])
        elif word in _VALUES:
            if not (equals and word.startswith("--")):
                if equals or (match := _WORD.match(line, match.end())) is None:
                    raise UsageError(f"{word} needs a value: %letta {word} NAME prompt")
                value = match[1]
            setattr(options, _VALUES[word], value.strip("\"'"))
        else:
            break
        position = match.end()
    options.prompt = line[position:].strip()
    if options.out is not None and not options.out.isidentifier():
        raise UsageError(f"-o needs a variable name, not {options.out!r}")
    return options


def expand(prompt: str, namespace: dict[str, Any]) -> str:
    """`{expr}` replaced by the expression's value; an expression that fails is one clear error, and nothing is sent."""

    def value(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        if match[1] is None:
            raise UsageError(
                f"-f: a single {match[0]!r} at character {match.start() + 1}; write {match[0] * 2} for a brace"
            )
        try:
            return str(eval(match[1].strip(), namespace))  # the reader's own code, in the reader's own cell
        except Exception as problem:
            raise UsageError(f"-f: {match[0]} failed: {type(problem).__name__}: {problem}") from None

    return _BRACES.sub(value, prompt)


@magics_class
class LettaMagics(Magics):
    """The two magics; registered by `%load_ext letta_nb`."""

    @no_var_expand
    @line_cell_magic
    def letta(self, line: str, cell: str | None = None) -> Run | None:
        """Stream a Letta agent's reply into the cell; `%letta -h` for the options."""
        options = parse(line)
        if options.help or (cell is None and not line.strip()):
            print(HELP)
            return None
        if cell is None and not options.prompt:
            raise UsageError("There is no prompt: %letta [options] prompt")
        if cell is not None and not cell.strip() and not options.prompt:
            raise UsageError("There is no prompt: write it in the cell, below %%letta.")
        prompt = "\n".join(part for part in (options.prompt, (cell or "").strip("\n")) if part)
        shell: Any = self.shell
        if options.format:
            prompt = expand(prompt, shell.user_ns)
        run: Run | None = None
        try:
            run = api.send(
                prompt,
                options.agent,
                conversation=options.conversation,
                tools=None if options.offer_tools else [],
                stream_tokens=options.tokens,
                background=options.background,
                save=options.save,
            )
        except (LettaNbError, Interrupted) as problem:
            run = problem.run
            raise
        finally:
            if options.out is not None and run is not None:
                shell.user_ns[options.out] = run
        return run


_ASKS = re.compile(r"(\s*)((?:[\w.\[\], \t]+=\s*)?)%letta[ \t]+(.*\?)\s*\Z", re.DOTALL)


def keep_question_marks(lines: list[str]) -> list[str]:
    """An input transformer: IPython takes any line that ends in `?` for a request for help, `%letta How are you?` too.

    Such a line becomes the call that IPython would make of it. `%letta?` stays what it is, and text in a string.
    """
    if lines and lines[0].startswith("%%"):
        return lines
    kept: list[str] = []
    for line in lines:
        match = _ASKS.match(line)
        if match and not _ends_in_string(kept):
            indent, assignment, prompt = match.groups()
            line = f"{indent}{assignment}get_ipython().run_line_magic('letta', {prompt!r})\n"
        kept.append(line)
    return kept


def _ends_in_string(lines: list[str]) -> bool:
    try:
        for _ in tokenize.generate_tokens(iter(lines).__next__):
            pass
    except tokenize.TokenError as problem:
        return "string" in str(problem)
    except (SyntaxError, StopIteration):
        pass
    return False


def complete(_magics: Any, event: Any) -> list[str]:
    """Agent names after -a, options after a dash."""
    words = event.line.split()
    before = words[-2] if event.symbol and len(words) > 1 else words[-1]
    if before in ("-a", "--agent"):
        names = [agent.name or agent.id for agent in api.known_agents()]
        return [f'"{name}"' if " " in name else name for name in names]
    return [*_FLAGS, *_VALUES] if event.symbol.startswith("-") else []


def register(shell: Any) -> None:
    """Add the magics, the completion of agent names and the protection of question marks to a shell."""
    shell.register_magics(LettaMagics)
    if keep_question_marks not in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.append(keep_question_marks)
    api.warm_up()
    for name in ("%letta", "%%letta"):
        shell.set_hook("complete_command", complete, str_key=name)
