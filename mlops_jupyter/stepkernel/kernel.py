"""The kernel that runs steps: ipykernel's own, which also takes the runner's requests."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from ipykernel.ipkernel import IPythonKernel

from ..errors import MLOpsError
from .protocol import REPLY, REQUEST

if TYPE_CHECKING:
    from .agent import Agent


class StepKernel(IPythonKernel):
    """ipykernel's kernel with one more message.

    Attributes
    ----------
    place:
        The blob store's URL and the notebook's folder, set before an instance is made.
    """

    place: ClassVar[tuple[str, str]]
    msg_types: list[str] = [*IPythonKernel.msg_types, REQUEST]  # noqa: RUF012  # as ipykernel has it

    @cached_property
    def _agent(self) -> Agent:
        """Made when the kernel is wholly set up: what is there then was there from the start."""
        from .agent import Agent

        assert self.shell is not None
        return Agent(self.shell, *self.place)

    async def mlops_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """Take one request, in order with the cells, on the thread that runs the cells."""
        try:
            content = {"answer": self._agent.take(parent["content"]), "error": None}
        except MLOpsError as error:
            content = {"answer": None, "error": str(error)}
        except Exception as error:  # noqa: BLE001  # without an answer the runner waits for ever
            content = {"answer": None, "error": f"{type(error).__name__}: {error}"}
        assert self.session is not None
        self.session.send(stream, REPLY, content, parent, ident=ident)
