"""The agent that answers when nothing else is configured: real tools on real data, led by a script or by a model."""

from letta_nb.server.demo.agent import DEMO_BLOCKS, demo_agent

__all__ = ["DEMO_BLOCKS", "demo_agent"]
