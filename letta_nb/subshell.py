"""A way for a button to be heard while a cell blocks the kernel.

ipykernel 7 can run message handlers on a subshell, but from 7.4 it answers a comm on the shell that last published on
it, which is the blocked one. So: ask the kernel's own control channel for one subshell (public protocol, ~140 ms, once
a kernel) and route our comms there. On older kernels none of this exists; there the interrupt button stops a run.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

_lock = threading.Lock()
_subshell: list[str | None] = []


def heard_while_blocked() -> bool:
    """Whether a button can be heard while a cell runs: ipykernel 7 and later."""
    ipython = sys.modules.get("IPython")
    kernel: Any = getattr(ipython.get_ipython(), "kernel", None) if ipython is not None else None
    return "kernel subshells" in getattr(kernel, "kernel_info", {}).get("supported_features", ())


def route(comm: Any) -> None:
    """Let messages of this comm be handled while a cell runs, where the kernel can. Safe to call on any comm."""
    # a private hook of ipykernel >= 7.4: a browser test fails when it stops working
    if not hasattr(comm, "_reply_subshell_for"):
        return
    # creating the subshell must not hold up the first token
    threading.Thread(target=_route, args=(comm,), name="letta_nb subshell", daemon=True).start()


def _route(comm: Any) -> None:
    subshell = _subshell_id()
    if subshell is not None:

        def reply_subshell_for(data: Any, default: str | None) -> str | None:
            return subshell

        comm._reply_subshell_for = reply_subshell_for


def _subshell_id() -> str | None:
    with _lock:
        if not _subshell:
            _subshell.append(_create())
        return _subshell[0]


def _create() -> str | None:
    try:
        from ipykernel.connect import get_connection_file
        from jupyter_client.blocking.client import BlockingKernelClient

        client = BlockingKernelClient(connection_file=get_connection_file())
        client.load_connection_file()
        return _ask(client)
    except Exception:
        # no subshells here: the kernel's interrupt button still stops a run, and the page says so
        return None


def _ask(client: Any) -> str | None:
    control = client.control_channel
    try:
        control.start()
        request = client.session.msg("create_subshell_request")
        control.send(request)
        while True:
            reply = control.get_msg(timeout=5)
            if reply["parent_header"].get("msg_id") == request["header"]["msg_id"]:
                return reply["content"].get("subshell_id")
    finally:
        control.stop()
