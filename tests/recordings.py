"""The recordings in `fixtures/`, and what each holds: the servers' model was a script, so every text is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

FIXTURES = Path(__file__).parent / "fixtures"


class Call(NamedTuple):
    """A tool call: arguments as a dict, or as text where they are not JSON, or None where the call was not streamed."""

    name: str | None
    arguments: dict[str, Any] | str | None
    status: str | None = "success"
    approval: str | None = None


class Story(NamedTuple):
    """What the agent thinks, says and calls, in order of each."""

    thinks: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()


class Expected(NamedTuple):
    """One row of the table."""

    name: str
    story: Story
    status: str
    stop_reason: str | None
    error: str | None
    steps: int

    @property
    def path(self) -> Path:
        return FIXTURES / f"{self.name}.sse"

    @property
    def content(self) -> bytes:
        return self.path.read_bytes()


HELLO = "Hello! I am a scripted agent. 2+2=4."
GREETS = "The user greets me; I should answer briefly."
UNICODE = 'Héllo 👩‍👩‍👧‍👦 🇫🇷 日本語テスト "quotes" \\ backslash\nnew line\ttab \u2028 LS end. عربى 𝔘𝔫𝔦 ✅'
LONG = ("The quick brown fox jumps over the lazy dog. " * 10 + "\n") * 180
SMOLLM = "Paris is a city that has been reimagined, reimagined, and reimagined."
WEATHER = Call("get_weather", {"city": "Paris"})
TOKYO = Call("get_weather", {"city": "Tokyo"})
DIE = Call("roll_die", {"sides": 20})
LOOKUP = Call("slow_lookup", {"key": "alpha", "seconds": 1.5})
STEPS = ("Step one: look up the weather.", "Step two: roll a die.", "Step three: slow lookup.", "I have all I need.")
DONE = "Done: weather, die and lookup complete."
FAILS = Call("always_fails", {"why": 'test "quotes" & unicode é'}, "error")
LOOP = Call("roll_die", {"sides": 6})

STORIES: dict[str, Story] = {
    "nothing": Story(),
    "hello": Story((GREETS,), (HELLO,)),
    "hello silent": Story((f" {GREETS}",)),  # 0.16.8 loses the message tool's text when it streams tokens
    "hello as call": Story((GREETS,), (), (Call("send_message", {"message": HELLO}),)),
    "one": Story(("I need the weather first.", "Got it."), ("It is 21°C in Paris.",), (WEATHER,)),
    "one, seed tokens": Story(  # 0.7.16 leaves a stray quote in the arguments
        ("I need the weather first.", "Got it."),
        ("It is 21°C in Paris.",),
        (Call("get_weather", '{"city":"Paris","request_heartbeat":"true}'),),
    ),
    "one as calls": Story(
        ("I need the weather first.", "Got it."),
        (),
        (WEATHER, Call("send_message", {"message": "It is 21°C in Paris."})),
    ),
    "one as calls, seed tokens": Story(
        ("I need the weather first.", "Got it."),
        (),
        (
            Call("get_weather", '{"city":"Paris","request_heartbeat":"true}'),
            Call("send_message", '{"message":"It is 21°C in Paris.","request_heartbeat":"true}'),
        ),
    ),
    "one unfinished": Story(("I need the weather first.",), (), (WEATHER,)),
    "one filtered": Story((), ("It is 21°C in Paris.",), (Call("get_weather", None),)),
    "multi": Story(STEPS, ("Now rolling a die.", DONE), (WEATHER, DIE, LOOKUP)),
    "multi by tool": Story(STEPS, (DONE,), (WEATHER, DIE, LOOKUP)),
    "multi from 30": Story(STEPS[2:], (DONE,), (Call("roll_die", "}"), LOOKUP)),
    "parallel": Story(
        ("Both cities at once.",),
        ("Paris 21, Tokyo 21.",),
        (WEATHER, TOKYO, Call("slow_lookup", {"key": "beta", "seconds": 1})),
    ),
    "toolerr": Story(("Try the failing tool.", "It failed; apologise."), ("The tool failed, sorry.",), (FAILS,)),
    "badargs": Story(("Malformed.",), ("Recovered after bad args.",), (Call("get_weather", {"city": "P"}),)),
    "badargs as sent": Story(
        ("Malformed.",), ("Recovered after bad args.",), (Call("get_weather", '{"city": "Par', "error"),)
    ),
    "missarg": Story(("Missing arg.",), ("Recovered after a missing arg.",), (Call("get_weather", {}, "error"),)),
    "unknowntool": Story(
        ("Unknown tool.",), ("Recovered after an unknown tool.",), (Call("no_such_tool", {"x": 1}, "error"),)
    ),
    "longjson": Story(("Get big JSON.",), ("Got the big JSON.",), (Call("long_json", {"n": 200}),)),
    "longjson ok": Story(("Get big JSON.", "ok"), ("Got the big JSON.",), (Call("long_json", {"n": 200}),)),
    "slow": Story(("Slow lookup 3 s.",), ("Slow done.",), (Call("slow_lookup", {"key": "g", "seconds": 3}),)),
    "slow from 3": Story((" s.",), ("Slow done.",), (Call("slow_lookup", {"key": "g", "seconds": 3}),)),
    "slow dropped": Story(("Slow lookup 3",)),
    "slowtok dropped": Story(("Slow thinking tokens",)),
    "slowtok cancelled": Story(
        ("Slow thinking tokens here please wait",), ("one two three four five six seven eight nine ten one two",)
    ),
    "unicode": Story(("Émoji 思考 🤔",), (UNICODE,)),
    "long": Story(("Write a lot.",), (LONG,)),
    "loop 3": Story(("Loop again.",) * 3, (), (LOOP,) * 3),
    "loop 40": Story(("Loop again.",) * 40 + ("ok",), ("(script over)",), (LOOP,) * 40),
    "approve asked": Story(
        ("Dangerous; needs approval.",), (), (Call("danger", {"target": "/tmp/x"}, None, "pending"),)
    ),
    "approved": Story(("Handled.",), ("Approval flow finished.",), (Call("danger", None, "success", "approved"),)),
    "denied": Story(("Handled.",), ("Approval flow finished.",), (Call(None, None, "error", "denied"),)),
    "approve2 asked": Story(
        ("Two calls, one needs approval.",),
        (),
        (Call("get_weather", {"city": "Rome"}, None), Call("danger", {"target": "/tmp/y"}, None, "pending")),
    ),
    # one name on the event for several returns: it need not be the first one's, so it is nobody's
    "approved2": Story((), ("Approval flow 2 finished.",), (Call(None, None, "success", "approved"), Call(None, None))),
    "clienttool asked": Story(("The notebook can answer.",), (), (Call("kernel_fn", {"a": 7}, None, "pending"),)),
    "clienttool answered": Story(("It answered.",), ("The kernel said it is 49.",), (Call(None, None),)),
    "clienttool answered, tokens": Story(("It answered.",), ("The kernel said it is 49.",)),
    "clienttools asked": Story(
        ("Two at once.",),
        (),
        (
            Call("get_weather", {"city": "Oslo"}, None),
            Call("kernel_fn", {"a": 2}, None, "pending"),
            Call("kernel_fn", {"a": 3}, None, "pending"),
        ),
    ),
    "clienttools answered": Story((), ("Four and nine.",), (Call(None, None),) * 3),
    "err2": Story(("First ok.",), (), (WEATHER,)),
    "disc": Story(("I will vanish mid stream",), ("This message will be cut off in",)),
    "length": Story((), ("Truncated because of max tok",)),
    "over": Story((), ("(script over)",)),
    "over ok": Story(("ok",), ("(script over)",)),
    "img": Story((), ("I see an image.",)),
    "printer": Story(("print",), ("Printed.",), (Call("printer", {"text": "héllo ✅"}),)),
    "printer ok": Story(("print", "ok"), ("Printed.",), (Call("printer", {"text": "héllo ✅"}),)),
    "printer ok, seed tokens": Story(
        ("print", "ok"), ("Printed.",), (Call("printer", '{"text":"héllo ✅","request_heartbeat":"true}'),)
    ),
    # the request named another tool as the message tool, and 0.7.16 honours that
    "printer as message": Story(("print", "ok"), ("héllo ✅",), (Call("send_message", {"message": "Printed."}),)),
    "mem": Story(
        ("Save to memory.", "ok"),
        ("Saved to memory.",),
        (Call("memory_insert", {"label": "human", "new_str": "Likes tea."}, "error"),),
    ),
    "mem unseen": Story(("ok",), ("Saved to memory.",), (Call("memory_insert", None, "error"),)),
    "mem unseen, tokens": Story(("", "ok"), ("Saved to memory.",), (Call("memory_insert", None, "error"),)),
    "smollm": Story((), (SMOLLM,)),
}

# recording | story | steps | status | stop reason | type of the run's error
TABLE = """
0.16.8/bad_approval_none_pending   | nothing            |  0 | failed | error | internal_error
0.16.8/bad_empty_content           | nothing            |  0 | failed | error | internal_error
0.16.8/bad_empty_messages          | nothing            |  0 | failed | error | internal_error
0.16.8/compat_stream_steps         | hello              |  1 | completed | end_turn
0.16.8/conv_multi_tok              | one                |  2 | completed | end_turn
0.16.8/memgpt_hello_step           | hello              |  1 | completed | end_turn
0.16.8/memgpt_hello_tok            | hello silent       |  1 | completed | end_turn
0.16.8/memgpt_multi_step           | multi by tool      |  4 | completed | end_turn
0.16.8/post_messages_streaming_true_foreign_ua | hello              |  1 | completed | end_turn
0.16.8/real_smollm_step            | smollm             |  1 | completed | end_turn
0.16.8/v1_after_drop               | hello              |  1 | completed | end_turn
0.16.8/v1_approve_parallel_step_1request | approve2 asked     |  1 | requires_approval | requires_approval
0.16.8/v1_approve_parallel_step_2answer | approved2          |  2 | completed | end_turn
0.16.8/v1_approve_step_1b_usermsg_while_pending | nothing            |  0 | failed | error | internal_error
0.16.8/v1_approve_step_1request    | approve asked      |  1 | requires_approval | requires_approval
0.16.8/v1_approve_step_2answer     | approved           |  2 | completed | end_turn
0.16.8/v1_approve_tok_1request     | approve asked      |  1 | requires_approval | requires_approval
0.16.8/v1_approve_tok_2answer      | approved           |  2 | completed | end_turn
0.16.8/v1_badargs_step             | badargs            |  2 | completed | end_turn
0.16.8/v1_badargs_tok              | badargs as sent    |  2 | completed | end_turn
0.16.8/v1_bg_dropped               | slow dropped       |  1 | interrupted | - | stream_ended
0.16.8/v1_bg_err500_tok            | nothing            |  0 | failed | llm_api_error | llm_error
0.16.8/v1_bg_hello_step            | hello              |  1 | completed | end_turn
0.16.8/v1_bg_multi_tok             | multi              |  4 | completed | end_turn
0.16.8/v1_bg_resume_after0         | multi              |  4 | completed | end_turn
0.16.8/v1_bg_resume_after30        | multi from 30      |  3 | completed | end_turn
0.16.8/v1_bg_resume_live           | slow from 3        |  2 | completed | end_turn
0.16.8/v1_cancel_bg_slowtok        | slowtok cancelled  |  1 | cancelled | cancelled
0.16.8/v1_cancel_slowtok           | slowtok cancelled  |  1 | cancelled | cancelled
0.16.8/v1_client_drop_nonbg        | slowtok dropped    |  1 | interrupted | - | stream_ended
0.16.8/v1_clienttool_step_1request | clienttool asked   |  1 | requires_approval | requires_approval
0.16.8/v1_clienttool_step_2answer  | clienttool answered |  2 | completed | end_turn
0.16.8/v1_clienttool_tok_1request  | clienttool asked   |  1 | requires_approval | requires_approval
0.16.8/v1_clienttool_tok_2answer   | clienttool answered, tokens |  1 | completed | end_turn
0.16.8/v1_clienttools_step_1request | clienttools asked  |  1 | requires_approval | requires_approval
0.16.8/v1_clienttools_step_2answer | clienttools answered |  2 | completed | end_turn
0.16.8/v1_concurrent_A             | slow               |  2 | completed | end_turn
0.16.8/v1_deny_step_1request       | approve asked      |  1 | requires_approval | requires_approval
0.16.8/v1_deny_step_2answer        | denied             |  2 | completed | end_turn
0.16.8/v1_disc_step                | nothing            |  0 | failed | llm_api_error | llm_error
0.16.8/v1_disc_tok                 | disc               |  1 | failed | llm_api_error | internal_error
0.16.8/v1_empty_step               | nothing            |  0 | failed | invalid_llm_response | llm_empty_response
0.16.8/v1_empty_tok                | nothing            |  0 | completed | end_turn
0.16.8/v1_err2_step                | err2               |  1 | failed | llm_api_error | internal_error
0.16.8/v1_err2_tok                 | err2               |  1 | failed | llm_api_error | internal_error
0.16.8/v1_err400ctx_step           | nothing            |  0 | failed | error | internal_error
0.16.8/v1_err400ctx_tok            | nothing            |  0 | failed | error | internal_error
0.16.8/v1_err500_step              | nothing            |  0 | failed | llm_api_error | llm_error
0.16.8/v1_err500_tok               | nothing            |  0 | failed | llm_api_error | llm_error
0.16.8/v1_filter_step              | nothing            |  0 | failed | invalid_llm_response | llm_empty_response
0.16.8/v1_hello_noassist_step      | hello              |  1 | completed | end_turn
0.16.8/v1_hello_step               | hello              |  1 | completed | end_turn
0.16.8/v1_hello_tok                | hello              |  1 | completed | end_turn
0.16.8/v1_include_return_types     | one filtered       |  2 | completed | end_turn
0.16.8/v1_input_string             | hello              |  1 | completed | end_turn
0.16.8/v1_length_step              | length             |  1 | failed | max_tokens_exceeded
0.16.8/v1_long_step                | long               |  1 | completed | end_turn
0.16.8/v1_long_tok                 | long               |  1 | completed | end_turn
0.16.8/v1_longjson_step            | longjson           |  2 | completed | end_turn
0.16.8/v1_loop_maxsteps3_step      | loop 3             |  3 | completed | max_steps
0.16.8/v1_missarg_step             | missarg            |  2 | completed | end_turn
0.16.8/v1_multi2_tok               | multi              |  4 | completed | end_turn
0.16.8/v1_multi_step               | multi              |  4 | completed | end_turn
0.16.8/v1_multi_tok                | multi              |  4 | completed | end_turn
0.16.8/v1_multimodal               | img                |  1 | completed | end_turn
0.16.8/v1_nonbg_for_resume         | hello              |  1 | completed | end_turn
0.16.8/v1_noping_step              | hello              |  1 | completed | end_turn
0.16.8/v1_parallel2_tok            | parallel           |  2 | completed | end_turn
0.16.8/v1_parallel_step            | parallel           |  2 | completed | end_turn
0.16.8/v1_parallel_tok             | parallel           |  2 | completed | end_turn
0.16.8/v1_printer_step             | printer            |  2 | completed | end_turn
0.16.8/v1_streaming_false_on_stream | hello              |  1 | completed | end_turn
0.16.8/v1_system_role              | over               |  1 | completed | end_turn
0.16.8/v1_toolerr_step             | toolerr            |  2 | completed | end_turn
0.16.8/v1_toolerr_tok              | toolerr            |  2 | completed | end_turn
0.16.8/v1_unicode_step             | unicode            |  1 | completed | end_turn
0.16.8/v1_unicode_tok              | unicode            |  1 | completed | end_turn
0.16.8/v1_unknowntool_step         | unknowntool        |  2 | completed | end_turn
0.16.8/v2_custom_othertool_step    | printer ok         |  2 | completed | end_turn
0.16.8/v2_disc_step                | nothing            |  0 | failed | error | internal_error
0.16.8/v2_err500_step              | nothing            |  0 | failed | error | internal_error
0.16.8/v2_err500_tok               | nothing            |  0 | failed | llm_api_error | llm_error
0.16.8/v2_hello_customtool_step    | hello              |  1 | completed | end_turn
0.16.8/v2_hello_noassist_step      | hello as call      |  1 | completed | end_turn
0.16.8/v2_hello_noassist_tok       | hello as call      |  1 | completed | end_turn
0.16.8/v2_hello_step               | hello              |  1 | completed | end_turn
0.16.8/v2_hello_tok                | hello silent       |  1 | completed | end_turn
0.16.8/v2_mem_step                 | mem                |  2 | completed | end_turn
0.16.8/v2_multi_step               | multi by tool      |  4 | completed | end_turn
0.16.8/v2_toolerr_step             | toolerr            |  2 | completed | end_turn
0.16.8/v2_unicode_step             | unicode            |  1 | completed | end_turn
0.16.8/workflow_one_step           | one unfinished     |  1 | completed | end_turn
0.7.16/bad_empty_messages          | over ok            |  1 | completed
0.7.16/memgpt_custom_othertool_step | printer as message |  2 | completed
0.7.16/memgpt_disc_step            | nothing            |  0 | failed | - | stream_error
0.7.16/memgpt_err500_step          | nothing            |  0 | failed | - | stream_error
0.7.16/memgpt_err500_tok           | nothing            |  0 | failed | - | stream_error
0.7.16/memgpt_hello_custom_step    | hello              |  1 | completed
0.7.16/memgpt_hello_custom_tok     | hello              |  1 | completed
0.7.16/memgpt_hello_step           | hello              |  1 | completed
0.7.16/memgpt_hello_tok            | hello              |  1 | completed
0.7.16/memgpt_longjson_step        | longjson ok        |  2 | completed
0.7.16/memgpt_loop_maxsteps3       | loop 40            | 41 | completed
0.7.16/memgpt_mem_step             | mem unseen         |  2 | completed
0.7.16/memgpt_mem_tok              | mem unseen, tokens |  2 | completed
0.7.16/memgpt_multi_step           | multi by tool      |  4 | completed
0.7.16/memgpt_one_noassist_step    | one as calls       |  2 | completed
0.7.16/memgpt_one_noassist_tok     | one as calls, seed tokens |  2 | completed
0.7.16/memgpt_one_step             | one                |  2 | completed
0.7.16/memgpt_one_tok              | one, seed tokens   |  2 | completed
0.7.16/memgpt_printer_step         | printer ok         |  2 | completed
0.7.16/memgpt_printer_tok          | printer ok, seed tokens |  2 | completed
0.7.16/memgpt_toolerr_step         | toolerr            |  2 | completed
0.7.16/memgpt_unicode_step         | unicode            |  1 | completed
"""

# a real 135M model wrote these: only their shape is known
UNSCRIPTED = ("0.16.8/real_smollm_tok", "0.16.8/real_smollm_tool_step")

# answered by an HTTP error, not a stream
REFUSED = (
    "0.16.8/bad_404_agent 0.16.8/bad_422_agentid 0.16.8/bad_422_body 0.16.8/bad_422_role 0.16.8/bad_nobody "
    "0.16.8/resume_bad_run 0.16.8/resume_non_background_run 0.16.8/v1_bg_resume_get 0.16.8/v1_concurrent_B "
    "0.7.16/bad_404_agent 0.7.16/bad_422_body"
).split()


def _row(line: str) -> Expected:
    name, story, steps, status, *ends = (cell.strip() for cell in line.split("|"))
    stop_reason, error = (None if end == "-" else end for end in [*ends, "-", "-"][:2])
    return Expected(name, STORIES[story], status, stop_reason, error, int(steps))


EXPECTED = [_row(line) for line in TABLE.strip().splitlines()]
BY_NAME = {row.name: row for row in EXPECTED}
ALL_STREAMS = [row.path for row in EXPECTED] + [FIXTURES / f"{name}.sse" for name in UNSCRIPTED]
