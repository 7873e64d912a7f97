"""Pictures of runs, by matplotlib, so that they stay in the saved notebook and on GitHub.

Each takes the `ax` to draw on, or makes a figure, and returns the Axes. Grounds are transparent, and every colour has
at least 3:1 (text 3.6:1) on white and on the page's dark ground alike, so that one picture reads in both. The colours
are the page's: grey for waiting, purple for reasoning, ochre for arguments, blue for tools, red for what failed. What
nobody measured is outlined, fenced or left out, and said in words; an input with nothing to draw is a sentence.
"""

from __future__ import annotations

from letta_nb.plots.latency import tool_latency
from letta_nb.plots.sizes import context, tokens
from letta_nb.plots.times import compare, waterfall

__all__ = ["compare", "context", "tokens", "tool_latency", "waterfall"]
