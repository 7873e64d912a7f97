"""What the scripted model says: a Reply for each model call of a run. A user message chooses by saying `play:NAME`."""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class Call(NamedTuple):
    """A tool call; arguments as an object, or as text where they are not JSON."""

    name: str
    arguments: dict[str, Any] | str

    @property
    def text(self) -> str:
        """The arguments as the model writes them."""
        if isinstance(self.arguments, str):
            return self.arguments
        return json.dumps(self.arguments, ensure_ascii=False)


class Reply(NamedTuple):
    """One answer of the model.

    `refuses`: an HTTP status instead of an answer. `cut`: the connection breaks after so many pieces. `pause`: seconds
    between two pieces.
    """

    thinks: str = ""
    says: str = ""
    calls: tuple[Call, ...] = ()
    refuses: int | None = None
    cut: int | None = None
    pause: float = 0.002


PARIS = Call("get_weather", {"city": "Paris"})
TOKYO = Call("get_weather", {"city": "Tokyo"})
DANGER = Call("danger", {"target": "/tmp/x"})
OTHER_DANGER = Call("danger", {"target": "/tmp/y"})
REMEMBER = Call("memory_insert", {"label": "human", "new_string": "Likes tea."})
KERNEL = Call("kernel_fn", {"a": 7})
# unusual line ends, quotes and astral characters: what a careless decoder trips over
UNICODE = 'Héllo 👩‍👩‍👧‍👦 日本語 "quotes" \\ back\nline\ttab \u2028 LS \u0085 NEL. عربى 𝔘𝔫𝔦 ✅'
COUNTING = " ".join(f"number {n}" for n in range(1, 26))

PLAYS: dict[str, tuple[Reply, ...]] = {
    "hello": (Reply("The user greets me.", "Hello! I am scripted. 2+2=4."),),
    "one": (Reply("I need the weather first.", calls=(PARIS,)), Reply("Got it.", "It is 21°C in Paris.")),
    "several": (
        Reply("First the weather.", calls=(PARIS,)),
        Reply("Then the die.", "Now rolling a die.", (Call("roll_die", {}),)),
        Reply("That is all.", "Weather and die are done."),
    ),
    "parallel": (Reply("Both at once.", calls=(PARIS, TOKYO)), Reply("", "Paris 21, Tokyo 21.")),
    "raises": (Reply("This will fail.", calls=(Call("always_fails", {"why": 'a "reason" é'}),)), Reply("", "Sorry.")),
    "badargs": (Reply("Malformed.", calls=(Call("get_weather", '{"city": "Par'),)), Reply("", "Recovered.")),
    "missing": (Reply("No argument.", calls=(Call("get_weather", {}),)), Reply("", "Recovered.")),
    "unknown": (Reply("No such tool.", calls=(Call("no_such_tool", {"x": 1}),)), Reply("", "Recovered.")),
    "unicode": (Reply("Émoji 思考 🤔", UNICODE),),
    "loop": (Reply("Again.", calls=(Call("roll_die", {}),)),) * 20,
    "slow_tool": (Reply("This takes long.", calls=(Call("sleep_for", {"seconds": 20}),)), Reply("", "Slept.")),
    "counting": (Reply("I count slowly.", COUNTING, pause=0.1),),
    "refuses500": (Reply(refuses=500),),
    "refuses400": (Reply(refuses=400),),
    "refuses2nd": (Reply("First is fine.", calls=(Call("roll_die", {}),)), Reply(refuses=500)),
    "cut": (Reply("I will vanish", "and this will be cut off in the middle, for ever", cut=8),),
    "empty": (Reply(),),
    "remember": (Reply("Worth keeping.", calls=(REMEMBER,)), Reply("", "I will remember that.")),
    "danger": (Reply("Needs approval.", calls=(DANGER,)), Reply("Handled.", "The danger is over.")),
    "dangers": (Reply("Two need approval.", calls=(DANGER, OTHER_DANGER)), Reply("", "Both dangers are over.")),
    "danger_twice": (
        Reply("The first.", calls=(DANGER,)),
        Reply("The second.", calls=(OTHER_DANGER,)),
        Reply("", "Both dangers are over."),
    ),
    "danger_and_weather": (Reply("One needs approval.", calls=(DANGER, PARIS)), Reply("", "Danger and weather.")),
    "kernel": (Reply("The notebook knows.", calls=(KERNEL,)), Reply("It answered.", "The kernel said 49.")),
    "kernel_and_weather": (
        Reply("Three at once.", calls=(KERNEL, Call("kernel_fn", {"a": 3}), PARIS)),
        Reply("", "49, 9 and 21."),
    ),
}
