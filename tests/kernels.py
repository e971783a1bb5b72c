"""A real kernel for tests: runs cells as a front end would."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel


@dataclass
class Reply:
    """What one cell gave."""

    status: str
    text: str = ""
    errors: str = ""
    result: str = ""
    traceback: str = ""
    data: list[dict[str, Any]] = field(default_factory=list)


class Kernel:
    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client
        self.lives = True

    def run(self, source: str, cell_id: str | None = None) -> Reply:
        """Run a cell and wait for its end."""
        reply = Reply("")

        def hear(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                name = "text" if content["name"] == "stdout" else "errors"
                setattr(reply, name, getattr(reply, name) + content["text"])
            elif message["msg_type"] == "error":
                reply.traceback = "\n".join(content["traceback"])
            elif message["msg_type"] == "execute_result":
                reply.result = content["data"].get("text/plain", "")
            if "data" in content:
                reply.data.append(content["data"])

        if cell_id is None:
            done = self.client.execute_interactive(
                source, output_hook=hear, timeout=120, stop_on_error=False
            )
        else:
            done = self._run_with_id(source, cell_id)
        reply.status = done["content"]["status"]
        return reply

    def _run_with_id(self, source: str, cell_id: str) -> dict[str, Any]:
        content = {
            "code": source,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": False,  # else the kernel drops what is sent just after an error
        }
        message = self.client.session.msg("execute_request", content, metadata={"cellId": cell_id})
        self.client.shell_channel.send(message)
        while True:
            answer: dict[str, Any] = self.client.get_shell_msg(timeout=120)
            if answer["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                return answer

    def ok(self, source: str, cell_id: str | None = None) -> Reply:
        """Run a cell that must succeed."""
        reply = self.run(source, cell_id)
        assert reply.status == "ok", reply.traceback
        return reply

    def kill(self) -> None:
        """SIGKILL, as when memory runs out."""
        self.manager.shutdown_kernel(now=True)
        self.lives = False


@contextlib.contextmanager
def kernel(folder: Path, **environment: str) -> Iterator[Kernel]:
    """A kernel working in ``folder``; no courier unless asked for with ``MLOPS_COURIER="on"``."""
    env = {**os.environ, "MLOPS_COURIER": "off", **environment}
    manager, client = start_new_kernel(
        kernel_name="python3", startup_timeout=120, cwd=str(folder), env=env
    )
    running = Kernel(manager, client)
    try:
        yield running
    finally:
        client.stop_channels()
        if running.lives:
            manager.shutdown_kernel()
