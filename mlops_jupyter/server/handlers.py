"""HTTP: who may ask, off the loop and back, and the one place where errors become answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from http.client import responses
from pathlib import Path
from types import TracebackType
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

from ..errors import MLOpsError
from ..models import ErrorBody, to_json
from ..workspace import Workspace
from .requests import Request, check_name

MAX_BODY = 1_000_000


@dataclass(frozen=True)
class Route:
    """One row of the table: what answers ``method`` on ``path``, and with which status.

    ``path`` is a regular expression below the prefix; its one named group, if any, says what kind
    of thing the name in it belongs to.
    """

    path: str
    method: str
    function: Callable[[Workspace, Request], Any]
    status: int = 200


class BaseHandler(APIHandler):
    """What every handler of ours is: known to the authorizer, JSON in every case, never a trace."""

    auth_resource = "mlops"

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with an :class:`ErrorBody`; our own errors say their status themselves."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, MLOpsError):
            self.set_status(error.http_status)
            body = ErrorBody(error.code, error.message, error.hint)
        else:
            body = _foreign(status_code, error)
        self.finish(to_json(body))

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """One line for what the client was told; the whole trace for what is our fault."""
        if isinstance(value, MLOpsError):
            self.log.info("%s %s: %s", self.request.method, self.request.path, value)
        else:
            super().log_exception(typ, value, tb)


def _foreign(status: int, error: BaseException | None) -> ErrorBody:
    """The body for errors that are not ours: tornado's by their status, bugs without detail."""
    if not isinstance(error, web.HTTPError):
        return ErrorBody(
            "InternalError", "Something went wrong in mlops_jupyter.", "See the server's log."
        )
    reason = error.reason or responses.get(status, "Error")
    code = {400: "InvalidInput"}.get(status, reason.title().replace(" ", ""))
    message = (error.log_message or "") % error.args if error.args else error.log_message
    hint = {401: "Log in first.", 403: "Log in, or reload the page."}.get(status, "")
    return ErrorBody(code, message or f"{reason}.", hint)


class APIRouteHandler(BaseHandler):
    """Answers one path of the table; without routes, any other path: there is nothing.

    ``authorized`` remembers the action of the first request that reaches a decorated function, so
    each method of HTTP has its own function here.
    """

    def initialize(self, root: Path, folder: str, pool: Executor, routes: dict[str, Route]) -> None:
        """Take what the wiring gives every handler: the workspace's root, the server's folder
        relative to it, the threads to work in, and what answers each method."""
        self._root = root
        self._folder = folder
        self._pool = pool
        self._routes = routes

    @web.authenticated
    @authorized
    async def get(self, **names: str) -> None:
        """Read something."""
        await self._answer(names)

    @web.authenticated
    @authorized
    async def post(self, **names: str) -> None:
        """Do something."""
        await self._answer(names)

    @web.authenticated
    @authorized
    async def delete(self, **names: str) -> None:
        """End something."""
        await self._answer(names)

    async def _answer(self, names: dict[str, str]) -> None:
        if not self._routes:
            raise web.HTTPError(404, "There is nothing at this path.")
        route = self._routes.get(self.request.method or "")
        if route is None:
            raise web.HTTPError(405)
        if len(self.request.body) > MAX_BODY:
            raise web.HTTPError(413)
        request = Request(
            {what: check_name(name, what) for what, name in names.items()},
            {name: self.get_query_argument(name) for name in self.request.query_arguments},
            self.request.body,
            self._folder,
        )
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._pool, _work, route, self._root, request)
        self.set_status(route.status)
        self.finish(result)


def _work(route: Route, root: Path, request: Request) -> str:
    """Run the feature and write its JSON, both off the loop. Settings are read anew each time."""
    return to_json(route.function(Workspace(root), request))
