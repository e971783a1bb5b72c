"""Kernels that run cells, behind one border: only this module and ``_papermill`` import nbclient.

A :class:`Kernel` is one kernel process. It runs cells of a notebook as nbclient does, notes what is
displayed, and takes requests of the runner if it is one of our step kernels.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import shutil
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbclient.util import ensure_async
from nbformat import NotebookNode
from traitlets import Type

from .errors import Unavailable

DEFAULT = "python3"
LAUNCHER = Path(__file__).parent / "stepkernel" / "launch.py"
_REQUEST = "mlops_request"
_PATIENCE_OUTPUT = 60  # seconds for outputs that are still on their way
_LOOK = 0.1  # seconds
_PATIENCE = 5.0  # seconds for a kernel to end by itself
T = TypeVar("T")
OnOutput = Callable[[int, NotebookNode], None]


def kernel_name(notebook: NotebookNode, given: str | None = None) -> str:
    """The kernel to use: ``given``, else the notebook's own if installed, else ``python3``."""
    own = notebook.metadata.get("kernelspec", {}).get("name")
    if given or not own:
        return given or DEFAULT
    try:
        KernelSpecManager().get_kernel_spec(own)
    except NoSuchKernel:
        return DEFAULT
    return str(own)


def takes_steps(name: str) -> bool:
    """Whether the kernel can be asked what a step changed: ipykernel in this interpreter.

    Raises
    ------
    Unavailable
        If there is no such kernel.
    """
    try:
        spec = KernelSpecManager().get_kernel_spec(name)
    except NoSuchKernel as error:
        raise Unavailable(
            f"The kernel {name!r} cannot be started: it is not installed.",
            hint="See: jupyter kernelspec list",
        ) from error
    return _step_command(spec.argv) is not None


class KernelDied(Exception):  # an event, told to whoever runs the step
    """The kernel process ended while it was needed."""


class CellFailed(Exception):
    """A cell raised.

    Attributes
    ----------
    index, name, message:
        The cell, the exception's name and its text.
    """

    def __init__(self, index: int, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.index, self.name, self.message = index, name, message


class CellTimedOut(CellFailed):
    """A cell took too long."""


class Kernel:
    """One kernel, used by one thread at a time.

    Parameters
    ----------
    name:
        Name of an installed kernel.
    folder:
        Where it works.
    environment:
        Variables on top of this process's.
    cache:
        The blob store's URL for a step kernel; ``None`` for the kernel as it is.
    start_timeout:
        Seconds until it must be ready.
    log:
        Takes what nbclient says.

    Attributes
    ----------
    steps:
        Whether it takes requests. A kernel of another interpreter does not.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        environment: Mapping[str, str],
        cache: str | None = None,
        *,
        start_timeout: float = 60,
        log: logging.Logger | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._folder = folder
        self._client = _Client(
            NotebookNode(cells=[], metadata={}),
            kernel_name=name,
            startup_timeout=start_timeout,
            iopub_timeout=_PATIENCE_OUTPUT,
            log=log or logging.getLogger("mlops_jupyter.kernel"),
            **(options or {}),
        )
        self._limit: int | None = self._client.timeout  # for each cell, as nbclient's user set it
        manager: Any = self._client.create_kernel_manager()
        self._manager = manager
        manager.client_factory = _KernelClient
        if manager.has_trait("transport_encryption"):
            manager.transport_encryption = "auto"
        env = {**os.environ, **environment}
        env.pop("JPY_SESSION_NAME", None)  # another notebook's, if this runs in a kernel
        self.steps = False
        try:
            if cache is not None and (command := _step_command(manager.kernel_spec.argv)):
                manager.kernel_spec.argv = [*command, cache, str(folder), "-f", "{connection_file}"]
                env.update(hash_seed())
                self.steps = True
            self._do(self._client.async_start_new_kernel(cwd=str(folder), env=env))
            self._do(self._client.async_start_new_kernel_client())
        except (NoSuchKernel, RuntimeError, OSError) as error:
            self.kill()
            raise Unavailable(
                f"The kernel {name!r} cannot be started: {error}",
                hint="See: jupyter kernelspec list",
            ) from error
        except BaseException:
            self.kill()
            raise

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    @property
    def process(self) -> Any:
        """The kernel's process (``subprocess.Popen``), or ``None``."""
        return getattr(self._manager.provisioner, "process", None)

    def run(
        self,
        cell: NotebookNode,
        index: int,
        timeout: float | None = None,
        on_output: OnOutput | None = None,
    ) -> None:
        """Run one code cell; its outputs are put into it.

        Raises
        ------
        CellFailed
            If it raised and may not.
        CellTimedOut
            If it took longer than ``timeout`` seconds (rounded, at least 1).
        KernelDied
            If the kernel is gone.
        """
        client = self._client
        limits = [limit for limit in (timeout, self._limit) if limit is not None]
        client.timeout = max(1, round(min(limits))) if limits else None
        client.place(cell, index, on_output)
        try:
            self._do(client.async_execute_cell(cell, index))
        except CellExecutionError as error:
            raise CellFailed(index, error.ename, error.evalue) from error
        except CellTimeoutError as error:
            took = f"the cell took longer than {client.timeout} s"
            raise CellTimedOut(index, "TimeoutError", took) from error
        except DeadKernelError as error:
            raise KernelDied from error

    def displayed(self) -> Displayed:
        """What was displayed since the last call; see :class:`Displayed`."""
        return self._client.displayed()

    def ask(self, content: dict[str, Any]) -> dict[str, Any]:
        """Send a request to the agent and wait for its answer.

        Raises
        ------
        Unavailable
            If the agent could not do it.
        KernelDied
            If the kernel is gone.
        """
        reply: dict[str, Any] = self._do(self._ask(content))["content"]
        if reply["error"] is not None:
            raise Unavailable(reply["error"])
        answer: dict[str, Any] = reply["answer"]
        return answer

    async def _ask(self, content: dict[str, Any]) -> Any:
        client: Any = self._client.kc
        channel = client.shell_channel
        message = client.session.msg(_REQUEST, content)
        channel.send(message)
        while True:
            if await channel.socket.poll(200):
                reply = await channel.get_msg()
                if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                    return reply
            elif not await self._manager.is_alive():
                raise KernelDied

    def kill(self) -> None:
        """End the process at once; nothing of it is left. May be called from any thread."""
        process = self.process
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
        self._manager.cleanup_connection_file()

    def close(self) -> None:
        """End the kernel gently (what it has buffered is written), then surely."""
        if self._loop.is_closed() or self._loop.is_running():
            self.kill()
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._end()
        else:  # the caller's: this thread cannot run another one
            with ThreadPoolExecutor(1) as thread:
                thread.submit(self._end).result()

    def _end(self) -> None:
        try:
            self._do(self._shut_down())
        finally:
            self.kill()
            if self._client.kc is not None:
                self._client.kc.stop_channels()
                self._client.kc = None
            self._do(ensure_async(self._manager.cleanup_resources()))
            self._discard()

    async def _shut_down(self) -> None:
        process = self.process
        if process is None or process.poll() is not None or self._client.kc is None:
            return
        await ensure_async(self._manager.request_shutdown())
        deadline = time.monotonic() + _PATIENCE
        while process.poll() is None and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # a process tells nobody that it ended

    def _discard(self) -> None:
        if not self._loop.is_closed() and not self._loop.is_running():
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            if left:
                self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.close()


def _step_command(argv: list[str]) -> list[str] | None:
    """How to start a step kernel instead of the kernel with ``argv``, if it is ipykernel in this
    interpreter."""
    if "ipykernel_launcher" not in argv and "ipykernel" not in argv:
        return None
    version = sys.version_info
    own = {"python", f"python{version.major}", f"python{version.major}.{version.minor}"}
    given = argv[0] if argv[0] in own else shutil.which(argv[0]) or argv[0]
    if given not in own and os.path.abspath(given) != os.path.abspath(sys.executable):
        return None
    return [sys.executable, str(LAUNCHER)]


def hash_seed() -> dict[str, str]:
    """The environment in which sets iterate in the same order in all kernels that have it; the
    user's own seed stays visible."""
    given = os.environ.get("PYTHONHASHSEED")
    if given is not None and given.isdigit():
        return {"MLOPS_HASH_SEED": given}
    return {"PYTHONHASHSEED": "0"}


class Displayed:
    """What cells displayed beyond their own outputs.

    Attributes
    ----------
    ids:
        Display id to the places ``[cell index, output index]`` that show it.
    updates:
        ``[display id, data, metadata]`` of updates, in order.
    widgets:
        The states of widgets that changed: id to ``{"state": ..., "buffers": [...]}``.
    """

    def __init__(self) -> None:
        self.ids: dict[str, list[list[int]]] = {}
        self.updates: list[list[Any]] = []
        self.widgets: dict[str, dict[str, Any]] = {}


class _ShellChannel(AsyncZMQSocketChannel):
    """Looks again after a while: nobody is woken by a reply that comes in the very moment in which
    something is sent, as nbclient does for widgets while a cell runs."""

    async def get_msg(  # type: ignore[override]  # the base of its base is not async
        self, timeout: float | None = None
    ) -> dict[str, Any]:
        """The next message.

        Raises
        ------
        queue.Empty
            If there is none within ``timeout`` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _LOOK if deadline is None else deadline - time.monotonic()
            try:
                found: dict[str, Any] = await super().get_msg(max(0, min(left, _LOOK)))
                return found
            except queue.Empty:
                if left < _LOOK:
                    raise


class _KernelClient(AsyncKernelClient):
    shell_channel_class = Type(_ShellChannel)


class _Client(NotebookClient):
    """nbclient's client, which also notes display ids, their updates and widgets' states."""

    def __init__(self, nb: NotebookNode, **kwargs: Any) -> None:
        super().__init__(nb, **kwargs)
        self._updates: list[list[Any]] = []
        self._changed: set[str] = set()
        self._places: dict[int, None] = {}
        self._on_output: OnOutput | None = None

    def place(self, cell: NotebookNode, index: int, on_output: OnOutput | None) -> None:
        """The next cell to run stands at ``index``."""
        cells = self.nb.cells
        while len(cells) <= index:
            cells.append(NotebookNode(cell_type="raw", source="", metadata={}))
        cells[index] = cell
        self._places[index] = None
        self._on_output = on_output

    def _update_display_id(self, display_id: str, msg: dict[str, Any]) -> None:
        content = msg["content"]
        self._updates.append([display_id, content["data"], content["metadata"]])
        super()._update_display_id(display_id, msg)

    def handle_comm_msg(self, outs: Any, msg: dict[str, Any], cell_index: int) -> None:
        """Take a widget's message, and remember whose it was."""
        self._changed.add(msg["content"]["comm_id"])
        super().handle_comm_msg(outs, msg, cell_index)

    def output(self, outs: Any, msg: Any, display_id: Any, cell_index: int) -> Any:
        """Take an output."""
        found = super().output(outs, msg, display_id, cell_index)
        if found is not None and self._on_output is not None:
            self._on_output(cell_index, found)
        return found

    def displayed(self) -> Displayed:
        """What was displayed since the last call."""
        found = Displayed()
        for id, cells in self._display_id_map.items():
            places = [[cell, out] for cell in self._places for out in cells.get(cell, ())]
            if places:
                found.ids[id] = places
        found.updates, self._updates = self._updates, []
        for id in self._changed & set(self.widget_state):
            buffers = list(self.widget_buffers.get(id, {}).values())
            state = deepcopy(self.widget_state[id])  # later steps change it
            found.widgets[id] = {"state": state, "buffers": buffers}
        self._changed.clear()
        self._places.clear()
        return found
