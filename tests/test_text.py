"""A run as text: exact for real recordings, the same on each run where it is plain, and harmless to a terminal."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import rich
from folded import RUNS, load
from hostile_corpus import ENDS, PAYLOADS, TERMINAL, hostile_run
from hypothesis import given
from hypothesis import strategies as st
from recordings import ALL_STREAMS, EXPECTED, FIXTURES, Expected
from rich.console import Console

from letta_nb import bare, figures, phases, record, text, words
from letta_nb.entries import Cancel, CancelOutcome, RunError, ToolCallEntry
from letta_nb.run import Run

MULTI = """\
letta  completed  letta_v1_agent  gpt-4o-mini
12.3 s  4 steps  7,950 in (512 cached)  54 out (22 reasoning)

1   get_weather  ·━━━━━━━━━━━━━━━╌                                        3.76 s
2   roll_die                     ·━━━━━━━━━━━━━━                          3.36 s
3   slow_lookup                                ·━━━━━━━━━━━━━━━━━━━━━╌    4.94 s
4   answer                                                           ╌    187 ms

    tools 11.4 s (93%), waiting 372 ms, unattributed 220 ms

    you     SCN:multi please

1   think   Step one: look up the weather.                                3.76 s
    call    get_weather {"city": "Paris"}
    return  {"city": "Paris", "temp_c": 21}
    stdout  looking up Paris

2   think   Step two: roll a die.                                         3.36 s
    answer  Now rolling a die.
    call    roll_die {"sides": 20}
    return  4

3   think   Step three: slow lookup.                                      4.94 s
    call    slow_lookup {"key": "alpha", "seconds": 1.5}
    return  value of alpha

4   think   I have all I need.                                            187 ms
    answer  Done: weather, die and lookup complete.

end_turn"""

INTERRUPTED = """\
letta  interrupted  letta_v1_agent
9.51 s  3 steps

    The connection closed after 9.51 s, before the run ended. The agent may
    still be running on the server.
    letta_nb.attach("run-64fdac10-f3cd-4681-9f9b-512d9a783eec") looks again.

1   get_weather  ··━━━━━━━━━━━━━━━━━━━━━━━━━━                             4.96 s
2   roll_die                                ·━━━━━━━━━━━━━━━━━━━━━━━━━    4.41 s
3   slow_lookup                                                      ·    152 ms

    tools 8.88 s (93%), waiting 399 ms, unattributed 0.4 ms

    you     SCN:multi please

1   think   Step one: look up the weather.                                4.96 s
    call    get_weather {"city": "Paris"}
    return  {"city": "Paris", "temp_c": 21}
    stdout  stdout: looking up Paris

2   think   Step two: roll a die.                                         4.41 s
    answer  Now rolling a die.
    call    roll_die {"sides": 20}
    return  4

3   think   Step three: slow lookup.                                      152 ms
    call    slow_lookup {"key": "alpha", "seconds
            Cut off here. The text above is as received and is not complete
            JSON."""

TOOL_ERROR_PLAIN = """\
letta  completed  1 tool failed  letta_v1_agent

    you     SCN:badargs please

1   think   Malformed.
    call    get_weather {"city": "Par
    error   TypeError: get_weather() missing 1 required positional argument:
            'city'
"""

APPROVAL_PLAIN = """\
letta  waiting for approval  appr1

    1 call waits for your answer.
    Answer it from Python: run.approve() or run.deny("why").

    you     SCN:approve2 please

1   think   Two calls, one needs approval.
    call    get_weather {"city": "Rome"}
    call    danger {"target": "/tmp/y"}
            needs your approval

requires_approval"""

FAILED_PLAIN = """\
letta  failed  letta_v1_agent

    The model's stream broke off in step 1, so the server ended the run. What
    arrived is kept below.
    Connection error during OpenAI streaming: peer closed connection without
    sending complete message body (incomplete chunked read)

    you     SCN:disc please

1   think   I will vanish mid stream
    answer  This message will be cut off in …

llm_api_error"""


def test_a_run_with_the_servers_figures() -> None:
    assert text.transcript(RUNS["multi2_tok_server"]) == MULTI


def test_an_interrupted_run() -> None:
    assert text.transcript(RUNS["interrupted"]) == INTERRUPTED


def test_plain_texts() -> None:
    approval = load("0.16.8/v1_approve_parallel_step_1request")
    assert text.transcript(approval, plain=True) == APPROVAL_PLAIN
    assert text.transcript(load("0.16.8/v1_disc_tok"), plain=True) == FAILED_PLAIN
    assert text.transcript(load("0.16.8/v1_badargs_tok"), plain=True).startswith(TOOL_ERROR_PLAIN)


def test_the_error_stands_before_what_the_tool_printed() -> None:
    lines = text.transcript(load("0.16.8/v1_toolerr_tok"), plain=True).splitlines()
    named = [line[4:12].strip() for line in lines[1:] if line[4:12].strip()]
    assert named[:6] == ["you", "think", "call", "error", "stdout", "stderr"]
    assert '    error   ValueError: scripted tool failure: test "quotes" & unicode é' in lines


def test_steps_that_come_whole_say_so() -> None:
    shown = " ".join(text.transcript(load("0.16.8/v1_multi_step")).split())
    assert "waiting 14.6 s (100%), unattributed 16 ms, this server sent the step whole: no token times" in shown


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda expected: expected.name)
def test_every_text_is_there(expected: Expected) -> None:
    run = record.load_one(expected.path)
    shown = "".join(text.transcript(run, plain=True, lines=None).split())
    for entry in run.entries:
        its = [entry.text]
        if isinstance(entry, ToolCallEntry):
            its = [entry.text, words.unwrapped(entry.result or "")]
        for said in its:
            assert "".join(words.clean(words.lettered(said)).split()) in shown


@pytest.mark.parametrize("path", ALL_STREAMS, ids=lambda path: path.stem)
def test_plain_is_the_same_for_each_load_and_has_no_id(path: Path) -> None:
    plain = text.transcript(record.load_one(path), plain=True)
    assert plain == text.transcript(record.load_one(path), plain=True)
    assert "message-" not in plain
    assert "run-" not in plain
    assert all(len(line) <= 80 for line in plain.splitlines() if line.isascii())


def test_plain_does_not_tell_when_the_recording_was_made(tmp_path: Path) -> None:
    timed = FIXTURES / "0.16.8/v1_hello_tok.sse"
    (tmp_path / "untimed.sse").write_bytes(timed.read_bytes())
    untimed = text.transcript(record.load_one(tmp_path / "untimed.sse"), plain=True)
    assert " ms" not in untimed
    # without its sidecar a recording lacks the prompt and the agent's name, and nothing else
    assert untimed.splitlines()[-4:] == text.transcript(record.load_one(timed), plain=True).splitlines()[-4:]


def test_width_and_length_are_kept_and_what_is_left_out_is_said() -> None:
    run = load("0.16.8/v1_long_step")
    short = text.transcript(run)
    assert "more, in run.entries[2].text" in short.replace("\n            ", " ")
    assert len(short.splitlines()) < 60
    assert all(len(line) <= 60 for line in text.transcript(run, width=60, lines=None).splitlines())


# what a terminal would obey, and what would show text in another order than it has
OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202d\u202e\ud800-\udfff]")


@pytest.mark.parametrize("end", ENDS)
def test_hostile_text_does_nothing_to_a_terminal(end: str) -> None:
    for payload in PAYLOADS:
        run = hostile_run(payload, end)
        for shown in (text.transcript(run), text.transcript(run, plain=True), text.transcript(run, lines=None)):
            assert not OBEYED.search(shown.replace("\t", " ")), payload
            shown.encode()
            # harmless is not left out
            assert "".join(words.clean(payload).split()) in "".join(shown.split())


@pytest.mark.usefixtures("terminal")
def test_hostile_text_does_nothing_to_a_terminal_with_rich(capsys: pytest.CaptureFixture[str]) -> None:
    for payload in (*TERMINAL, "[red]x[/red]", "[/]", "[link=http://evil.invalid/]x[/link]", ":boom: [@click=fired]x"):
        run = hostile_run(payload)
        out = shown(rich.print, run, capsys)
        assert not OBEYED.search(re.sub(r"\x1b\[[\d;]*m", "", out).replace("\t", " "))
        assert set(re.findall(r"\x1b\[([\d;]*)m", out)) <= {"0", "1", "2", "31", "1;31"}
        assert "".join(words.clean(payload).split()) in "".join(re.sub(r"\x1b\[[\d;]*m", "", out).split())


@given(st.text(max_size=300), st.integers(10, 90))
def test_wrapping_loses_nothing_but_spaces_at_breaks(source: str, width: int) -> None:
    source = source.replace("\n", " ")
    lines = text._hang("", source, width, 0)  # pyright: ignore[reportPrivateUsage]
    assert "".join(lines).replace(" ", "") == source.replace(" ", "")
    assert all(text._width(line) <= max(width, 20) for line in lines)  # pyright: ignore[reportPrivateUsage]


def test_wide_characters_take_two_columns() -> None:
    lines = text.transcript(load("0.16.8/v1_unicode_tok")).splitlines()
    (first,) = [line for line in lines if line.startswith("1   think")]
    assert text._width(first) == 80  # pyright: ignore[reportPrivateUsage]


def test_show_prints_plainly_when_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    text.show(RUNS["multi2_tok_server"])
    assert capsys.readouterr().out == MULTI + "\n"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")


def shown(how: Callable[[Run], None], run: Run, capsys: pytest.CaptureFixture[str]) -> str:
    how(run)
    return capsys.readouterr().out


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("how", [text.show, Run.show, rich.print], ids=["text.show", "run.show", "rich.print"])
def test_a_terminal_shows_dim_bold_and_red(how: Callable[[Run], None], capsys: pytest.CaptureFixture[str]) -> None:
    run = load("0.16.8/v1_toolerr_tok")
    out = shown(how, run, capsys)
    assert "\x1b[1;31m    error   ValueError" in out
    assert "\x1b[2m1   think   Try the failing tool." in out
    assert "\x1b[1m    answer  The tool failed, sorry." in out
    assert "\x1b[31m1   always_fails" in out
    # that is all: nothing is coloured by its looks, and nothing of the text is left out or moved
    assert set(re.findall(r"\x1b\[([\d;]*)m", out)) == {"0", "1", "2", "31", "1;31"}
    assert re.sub(r"\x1b\[[\d;]*m", "", out).rstrip() == text.transcript(run)


@pytest.mark.usefixtures("terminal")
def test_without_rich_a_terminal_shows_plain_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    run = load("0.16.8/v1_toolerr_tok")
    assert shown(Run.show, run, capsys) == text.transcript(run) + "\n"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_rich_gives_the_width(width: int) -> None:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    run = RUNS["multi2_tok_server"]
    with console.capture() as capture:
        console.print(run)
    assert capture.get() == text.transcript(run, width=min(width, 80)) + "\n"


@pytest.mark.usefixtures("terminal")
def test_what_an_agent_wrote_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run({"messages": [{"role": "user", "content": "[bold]x[/bold] :smile: [link=http://evil]y[/link] http://a"}]})
    out = shown(rich.print, run, capsys)
    assert "[bold]x[/bold] :smile: [link=http://evil]y[/link] http://a" in out
    assert "\x1b]8" not in out


def test_many_lanes_are_shortened() -> None:
    run = load("0.7.16/memgpt_loop_maxsteps3")
    assert len(text.waterfall(run).splitlines()) == len(run.steps) == 41
    fall = phases.waterfall(run)
    lines = text._lanes(phases.Waterfall(fall.end, fall.lanes * 2), None, 80)  # pyright: ignore[reportPrivateUsage]
    assert (len(lines), lines[20]) == (41, "    … 42 lanes more")


# -- answers, Stop and the connection ----------------------------------------------------------------------------------

ANSWERED = """\
letta  completed  appr3
46.6 s  2 steps  2,286 in (256 cached)  20 out (8 reasoning)

1   danger       ················································━━━━━    46.4 s
2   answer                                                           ╌    192 ms

    waiting for you 0:42 (90%), tools ≤ 4.04 s, unattributed 93 ms

    you     SCN:approve please

1   think   Dangerous; needs approval.                                    46.4 s
    call    danger {"target": "/tmp/x"}
            approved after 0:42
    return  destroyed /tmp/x

2   think   Handled.                                                      192 ms
    answer  Approval flow finished.

end_turn"""


def test_an_answered_run() -> None:
    run = RUNS["answered_tok"]
    assert text.transcript(run) == ANSWERED
    plain = text.transcript(run, plain=True)
    assert "            approved\n" in plain
    assert "0:42" not in plain


def test_what_a_person_said_to_calls() -> None:
    denied = text.transcript(RUNS["denied_step"], plain=True)
    assert "            denied: too risky\n    return  Error: request to call tool denied." in denied
    assert "failed" not in denied
    assert "approved after 0:03, in this kernel" in text.transcript(RUNS["function_tok"])
    half = RUNS["half_answered"]
    shown = text.transcript(half, plain=True)
    for line in (
        "approved; goes on when the other call is answered",
        "denied; goes on when the other call is answered",
    ):
        assert f"            {line}\n" in shown
    assert '1 call waits for your answer.\n    Answer it from Python: run.approve() or run.deny("why").\n' in shown
    three = text.transcript(RUNS["asks_three"], plain=True)
    assert '3 calls wait for your answer.\n    Answer them from Python: run.approve() or run.deny("why").\n' in three
    assert three.count("            needs your approval\n") == 3


def test_answers_in_html() -> None:
    shown = bare.html(RUNS["asks_three"])
    ways = "<code>run.approve()</code> or <code>run.deny(&quot;why&quot;)</code>"
    assert f"3 calls wait for your answer. Answer them from Python: {ways}." in shown
    assert "approved after 0:42" in bare.html(RUNS["answered_tok"])
    denied = bare.html(RUNS["denied_step"])
    assert "denied: too risky" in denied
    assert "<details open" not in denied
    assert "failed" not in denied


def test_a_function_of_this_kernel_and_a_fetched_return_are_named() -> None:
    run = Run()
    call = ToolCallEntry(index=0, kind="tool_call", message_type="", approval="pending", here=True)
    assert words.notes(run, call) == ["wants to run in this kernel"]
    call = ToolCallEntry(index=0, kind="tool_call", message_type="", approval="approved", here=True)
    assert words.notes(run, call) == ["in this kernel"]
    call = ToolCallEntry(index=0, kind="tool_call", message_type="", return_source="server")
    assert words.notes(run, call) == ["fetched after the run"]
    assert words.notes(run, call, plain=True) == []


@pytest.mark.parametrize(
    ("outcome", "said", "shown"),
    [
        ("cancelled", None, "You stopped the run after 3.07 s."),
        ("nothing", "No active runs.", "The server had nothing to stop: No active runs."),
        ("nothing", None, "The server had nothing to stop."),
        (
            "unsupported",
            None,
            "This server cannot stop a run; only the connection was closed. The agent may still be running there.",
        ),
        (
            "refused",
            "Run is locked",
            "The server refused to stop the run: Run is locked. The agent may still be running there.",
        ),
        (
            "unheard",
            None,
            "The server did not answer Stop within 2 s; only the connection was closed. The agent may still be running "
            "there.",
        ),
    ],
)
def test_what_became_of_stop(outcome: CancelOutcome, said: str | None, shown: str) -> None:
    run = Run()
    run.cancel_told(Cancel(asked_at=1, outcome=outcome, words=said), 1)
    run.end(3_070_000_000, cancelled=True)
    verdict = words.verdict(run)
    assert verdict is not None
    assert f"{verdict.sentence} {verdict.more}".strip() == shown


def test_long_words_of_a_server_stand_under_the_sentence() -> None:
    run = Run()
    run.cancel_told(Cancel(asked_at=1, outcome="refused", words="word " * 40), 1)
    run.end(3_070_000_000, cancelled=True)
    assert words.verdict(run) == (
        "The server refused to stop the run.",
        "The agent may still be running there.",
        ("word " * 40).strip(),
        "",
    )


def test_a_lost_connection_is_told_and_not_in_plain_text() -> None:
    run = RUNS["resumed"]
    told = "The connection was lost after 3.20 s and taken up again 2.41 s later; nothing is missing."
    assert words.connection(run) == told
    assert told in " ".join(text.transcript(run).split())
    assert told in bare.html(run)
    assert "connection" not in text.transcript(run, plain=True)


def test_a_connection_that_is_lost_again() -> None:
    run = Run()
    run.lose(3_200_000_000)
    assert words.connection(run) == "The connection was lost after 3.20 s. Trying again."
    run.begin("resume", None, 3_610_000_000, lost_at=3_200_000_000)
    run.lose(9_200_000_000)
    assert words.connection(run) == "The connection was lost 2 times, last after 9.20 s. Trying again."
    run.end(10_000_000_000)
    assert words.connection(run).endswith("last after 9.20 s and could not be taken up again.")


def test_how_a_run_was_come_by_is_told_but_not_in_plain_text() -> None:
    run = Run()
    run.note = "The messages were fetched <instead>."
    assert f"    {run.note}" in text.transcript(run)
    assert "The messages were fetched &lt;instead&gt;." in bare.html(run)
    assert "fetched" not in text.transcript(run, plain=True)


def test_a_message_that_was_not_taken_is_told_in_the_kernels_words() -> None:
    run = Run()
    run.fail(1, RunError("pending_approval", "The agent still waits for an answer.", "Cannot send"))
    assert words.verdict(run) == ("The agent still waits for an answer.", "", "Cannot send", "")


def test_the_way_out_of_an_interrupted_run_names_it() -> None:
    run = Run()
    run.run_id = "run-1"
    run.end(9_514_000_000)
    verdict = words.verdict(run)
    assert verdict is not None
    assert verdict.way == '`letta_nb.attach("run-1")` looks again.'
    assert "run-1" not in text.transcript(run, plain=True)
    assert "<code>letta_nb.attach(&quot;run-1&quot;)</code> looks again." in bare.html(run)
    run.run_id = 'x") and `y`'
    assert "attach" not in text.transcript(run)


@pytest.mark.parametrize(("ms", "shown"), [(0, "0.0 ms"), (812, "812 ms"), (42_400, "0:42"), (3_724_000, "1:02:04")])
def test_patience(ms: int, shown: str) -> None:
    assert figures.patience(ms * 1_000_000) == shown


# -- figures and words -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (0.4, "0.4 ms"),
        (0.96, "1 ms"),
        (317.2, "317 ms"),
        (999.4, "999 ms"),
        (999.6, "1.00 s"),
        (4_609.97, "4.61 s"),
        (9_994, "9.99 s"),
        (9_996, "10.0 s"),
        (16_010, "16.0 s"),
        (59_949, "59.9 s"),
        (59_951, "1:00"),
        (124_000, "2:04"),
        (3_724_000, "1:02:04"),
    ],
)
def test_times(ms: float, shown: str) -> None:
    assert figures.time(round(ms * 1e6)) == shown


@pytest.mark.parametrize(
    ("ns", "shown"),
    [
        (0, "0.0 ms"),
        (1, "0.1 ms"),
        (900_001, "1 ms"),
        (6_200_000, "7 ms"),
        (999_000_001, "1.00 s"),
        (4_611_000_000, "4.62 s"),
        (10_600_000_000, "10.6 s"),
        (10_600_000_001, "10.7 s"),
        (59_900_000_001, "1:00"),
        (124_000_000_001, "2:05"),
    ],
)
def test_a_bound_is_never_told_as_less_than_it_is(ns: int, shown: str) -> None:
    assert figures.bound(ns) == shown


def test_calls_that_returned_together_are_bounded_from_above() -> None:
    call = load("0.16.8/v1_parallel_tok").tool_calls[0]
    assert call.at_most is not None
    call.at_most = 6_200_000
    assert words.took(call) == "≤ 7 ms"
    fall = phases.Waterfall(10**9, totals={"tool": 6_200_000}, at_most=frozenset({"tool"}))
    assert words.totals(fall) == "tools ≤ 7 ms"


def test_counts_and_sizes() -> None:
    assert [figures.count(n) for n in (0, 999, 7950, 1_000_000)] == ["0", "999", "7,950", "1,000,000"]
    assert [figures.plural(n, "step") for n in (0, 1, 2)] == ["0 steps", "1 step", "2 steps"]
    assert [figures.size(n) for n in (1, 812, 36_200, 1_240_000)] == [
        "1 character",
        "812 characters",
        "36 kB",
        "1.2 MB",
    ]


@pytest.mark.parametrize(
    ("given_", "line"),
    [
        ('{"a":1,"b":[1,2],"c":{}}', '{"a": 1, "b": [1, 2], "c": {}}'),
        ('{"a":1,"a":2}', '{"a": 1, "a": 2}'),  # two values for one key is what one debugs
        ('{"n":1.50e400,"s":"\\u000a\\" , :"}', '{"n": 1.50e400, "s": "\\u000a\\" , :"}'),
        (r'{"caf\u00e9":"\u05d7\u05D9\ud83d\ude00"}', '{"café": "חי😀"}'),
        # what is not seen, or would end the string, or is no escape at all
        (r'{"a": "\u202e\u00e9", "b": "\u0022\u00e9", "c": "\\u00e9", "d": "\ud83d"}',) * 2,
        ('{"city":"P', '{"city":"P'),
        ("plain\n  text", "plain text"),
    ],
)
def test_json_is_laid_out_and_means_the_same(given_: str, line: str) -> None:
    assert words.one_line(given_) == line


def test_long_json_becomes_a_tree() -> None:
    source = '{"key":"' + "x" * 70 + '","list":[1,{"deep":[]}],"none":{}}'
    x = "x" * 70
    assert words.laid_out(source) == (
        f'{{\n  "key": "{x}",\n  "list": [\n    1,\n    {{\n      "deep": []\n    }}\n  ],\n  "none": {{}}\n}}'
    )
    assert words.laid_out('{"a":1}') == '{"a": 1}'


def test_totals_leave_out_what_is_nothing() -> None:
    run = load("0.7.16/memgpt_mem_tok")
    assert "0.0 ms" not in text.transcript(run)
