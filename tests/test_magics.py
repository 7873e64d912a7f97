"""%letta and %%letta in a real IPython shell: what reaches `send`, character for character."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.testing.globalipapp import start_ipython

import letta_nb
from letta_nb import api, magics
from letta_nb.protocol import Agent
from letta_nb.run import Run

_SHELL: Any = start_ipython()


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    # an import on another thread meets pytest's warning filters half-way
    monkeypatch.setattr(api, "warm_up", lambda: None)
    _SHELL.run_line_magic("load_ext", "letta_nb")
    yield _SHELL
    _SHELL.run_line_magic("reload_ext", "letta_nb")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any, dict[str, Any]]]:
    calls: list[tuple[str, Any, dict[str, Any]]] = []

    def send(prompt: str, agent: str | None = None, **options: Any) -> Run:
        calls.append((prompt, agent, options))
        run = api._default.last = Run()
        return run

    monkeypatch.setattr(api, "send", send)
    return calls


@pytest.mark.parametrize(
    "prompt",
    [
        "hello",
        "What is the weather in Oslo, and should I bike?",
        "Really??",
        "What's up?",
        "a{2,3} costs $5 and {x!r} {{y}} $HOME",
        "say \\n and \\\\ and 'quotes' and \"double\"",
        "is --bg an option? and -a too?",
        "--unknown is a word",
        "x = %letta y?",
        "émoji 🤔 日本語?",
        "50% of ?",
    ],
)
def test_a_prompt_arrives_as_it_was_written(shell: Any, sent: list[Any], prompt: str) -> None:
    shell.user_ns["x"] = "EXPANDED"
    for code in (f"%letta {prompt}", f"run = %letta {prompt}", f"%%letta\n{prompt}", f"if True:\n    %letta {prompt}"):
        sent.clear()
        assert shell.run_cell(code).success, code
        assert [call[0] for call in sent] == [prompt], code


def test_several_questions_in_one_cell(shell: Any, sent: list[Any]) -> None:
    shell.run_cell(
        "a = %letta one?\nb = 1\n%letta isn't it two?\n%letta three\nc = %letta -a bob four?\n"
    ).raise_error()
    assert [call[:2] for call in sent] == [("one?", None), ("isn't it two?", None), ("three", None), ("four?", "bob")]


def test_text_in_a_string_is_left_alone(shell: Any, sent: list[Any]) -> None:
    shell.run_cell('text = """\n%letta is this a prompt?\n"""').raise_error()
    assert shell.user_ns["text"] == "\n%letta is this a prompt?\n"
    assert sent == []


def test_help_is_still_help(shell: Any, sent: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    for code in ("%letta -h", "%letta", "%letta --help"):
        shell.run_cell(code).raise_error()
        assert "--no-tokens" in capsys.readouterr().out
    shell.run_cell("%letta?").raise_error()
    assert sent == []


def test_options(shell: Any, sent: list[Any]) -> None:
    shell.run_cell("%letta -a bob --no-tokens --bg -o kept what is -a?").raise_error()
    plain = {"conversation": None, "tools": None, "stream_tokens": False, "background": True, "save": None}
    assert sent == [("what is -a?", "bob", plain)]
    assert shell.user_ns["kept"] is letta_nb.last_run()
    shell.run_cell('%letta -c conv-1 --save "a b.jsonl" --no-tools hi').raise_error()
    there = {"conversation": "conv-1", "tools": [], "stream_tokens": True, "background": False, "save": "a b.jsonl"}
    assert sent[1:] == [("hi", None, there)]


@pytest.mark.parametrize(
    ("line", "agent"),
    [
        ("-a bob hi", "bob"),
        ("--agent bob hi", "bob"),
        ("--agent=bob hi", "bob"),
        ('-a "my agent" hi', "my agent"),
        ("-a 'my agent' -- hi", "my agent"),
        ("-- hi", None),
    ],
)
def test_the_agent_is_named(line: str, agent: str | None) -> None:
    options = magics.parse(line)
    assert (options.agent, options.prompt) == (agent, "hi")


def test_two_dashes_end_the_options() -> None:
    assert magics.parse("-- -a is a flag").prompt == "-a is a flag"


@pytest.mark.parametrize(("line", "words"), [("-a", "needs a value"), ("-o 1x hi", "variable name")])
def test_a_bad_option_says_what_to_do(line: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        magics.parse(line)


def test_expansion_only_when_asked_for(shell: Any, sent: list[Any]) -> None:
    shell.user_ns["n"] = 3
    shell.run_cell("%letta -f {n + 1} {{literal}} ${n}").raise_error()
    shell.run_cell("%%letta -f\n{n * 2} lines").raise_error()
    assert [call[0] for call in sent] == ["4 {literal} $3", "6 lines"]


@pytest.mark.parametrize("prompt", ["{nope}", "{1/0}", "a } b", "a { b"])
def test_an_expansion_that_fails_sends_nothing(shell: Any, sent: list[Any], prompt: str) -> None:
    result = shell.run_cell(f"%letta -f {prompt}")
    assert isinstance(result.error_in_exec, UsageError)
    assert sent == []


def test_the_magic_returns_the_run(shell: Any, sent: list[Any]) -> None:
    shell.run_cell("run = %letta hi").raise_error()
    assert isinstance(shell.user_ns["run"], Run)


def test_agent_names_and_options_complete(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    agents = [Agent(id="agent-1", name="bob"), Agent(id="agent-2", name="b b")]
    monkeypatch.setattr(api, "known_agents", lambda: agents)

    def completed(line: str) -> set[str]:
        with provisionalcompleter():
            return {found.text for found in shell.Completer.completions(line, len(line))}

    assert "bob" in completed("%letta -a b")
    assert {"bob", '"b b"'} <= completed("%letta -a ")
    assert "--no-tokens" in completed("%letta --n")
