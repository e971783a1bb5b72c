"""The ASGI application of one deployment: routes, limits, request ids, and what is recorded.

Every answer names the version that gave it (``X-MLOps-Version``) and the request (``X-Request-Id``:
the client's own, a V2 body's ``id``, or a new one). A prediction is on record before it is sent.
Errors have the body of the protocol that was spoken: ``{"error": ...}`` under ``/v2``,
``{"error_code": ..., "message": ...}`` elsewhere.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version as installed
from time import perf_counter
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import InvalidInput, MLOpsError
from ..models import now
from ..records import Writer
from . import invocations, open_inference, openapi
from .figures import Figures
from .payload import Query, TooLarge, UnsupportedMedia, encode
from .predictor import Prediction, Predictor

BODY_LIMIT = 32 * 1024 * 1024
_REQUEST_ID = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?")

_Read = Callable[[Predictor, Request, bytes], Query]
_Write = Callable[[Predictor, Prediction, str, Query], bytes]


class Service:
    """What one deployment serves now.

    Parameters
    ----------
    deployment:
        Its name.
    predictor:
        The version that answers. Assign another to ``predictor`` to hand over: each request is
        answered by the version that was there when its prediction began.
    writer:
        Where predictions are recorded.
    body_limit:
        Largest body taken, in bytes.
    """

    def __init__(
        self, deployment: str, predictor: Predictor, writer: Writer, body_limit: int = BODY_LIMIT
    ) -> None:
        self.deployment = deployment
        self.predictor = predictor
        self.writer = writer
        self.body_limit = body_limit
        self.figures = Figures()
        self.pool = ThreadPoolExecutor(2, "predict")  # more only fight for the interpreter

    def answer(
        self,
        read: Callable[[Predictor], Query],
        write: _Write,
        request_id: str,
        started: float,
    ) -> tuple[bytes, str, str]:
        """Read, predict, record: the whole of one request in a worker thread.

        Returns
        -------
        The answer's body, the request's id and the version that answered.
        """
        predictor = self.predictor
        query = read(predictor)
        request_id = _checked_id(query.id) if query.id else request_id
        prediction = predictor.predict(query.columns)
        body = write(predictor, prediction, request_id, query)
        self.writer.append(
            request_id,
            now(),
            predictor.version,
            predictor.signature.names,
            list(zip(*query.columns, strict=True)),
            prediction.rows,
            round((perf_counter() - started) * 1000, 3),
        )
        return body, request_id, predictor.version

    def close(self) -> None:
        """Wait for predictions that are under way, and close the records."""
        self.pool.shutdown()
        self.writer.close()


def build(service: Service) -> ASGIApp:
    """The ASGI application that serves ``service``."""

    async def predict(request: Request, read: _Read, write: _Write) -> Response:
        started = perf_counter()
        body = await _body(request, service.body_limit)
        answer, request_id, version = await asyncio.get_running_loop().run_in_executor(
            service.pool,
            service.answer,
            lambda predictor: read(predictor, request, body),
            write,
            request.state.request_id,
            started,
        )
        service.figures.good((perf_counter() - started) * 1000)
        request.state.request_id, request.state.version = request_id, version
        return _json(answer)

    async def invoke(request: Request) -> Response:
        return await predict(request, _read_invocation, _write_invocation)

    async def infer(request: Request) -> Response:
        return await predict(request, _read_inference, _write_inference)

    async def ping(_: Request) -> Response:
        return Response("\n", media_type="application/json")

    async def version(_: Request) -> Response:
        return Response(installed("mlflow"), media_type="application/json")

    async def stats(_: Request) -> Response:
        figures = service.figures.snapshot()
        return _json(encode({"version": service.predictor.version, **vars(figures)}))

    async def metrics(_: Request) -> Response:
        text = service.figures.prometheus(
            service.deployment, service.predictor.model, service.predictor.version
        )
        return Response(text, media_type="text/plain; version=0.0.4")

    async def description(_: Request) -> Response:
        return _json(openapi.describe(service.predictor))

    async def server(_: Request) -> Response:
        about = {"name": "mlops_jupyter", "version": installed("mlops_jupyter"), "extensions": []}
        return _json(encode(about))

    async def live(_: Request) -> Response:
        return _json(b'{"live":true}')

    async def ready(request: Request) -> Response:
        if request.path_params:
            _check_path(service.predictor, request)
        return _json(b'{"ready":true}')

    async def metadata(request: Request) -> Response:
        _check_path(service.predictor, request)
        return _json(open_inference.metadata(service.predictor))

    async def failed(request: Request, error: Exception) -> Response:
        assert isinstance(error, MLOpsError)
        if request.method == "POST":
            service.figures.bad()
        spoken = open_inference if request.url.path.startswith("/v2") else invocations
        return _json(spoken.error_body(error), error.http_status)

    async def no_route(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        refused = InvalidInput(f"{request.method} {request.url.path}: {error.detail}.")
        refused.http_status = error.status_code
        spoken = open_inference if request.url.path.startswith("/v2") else invocations
        answer = _json(spoken.error_body(refused), error.status_code)
        answer.headers.update(error.headers or {})
        return answer

    async def gone(_request: Request, _error: Exception) -> Response:
        return Response(status_code=400)  # the client hung up; nobody reads this

    model = "/v2/models/{model}"
    versioned = model + "/versions/{version}"
    application = Starlette(
        routes=[
            Route("/invocations", invoke, methods=["POST"]),
            Route(f"{model}/infer", infer, methods=["POST"]),
            Route(f"{versioned}/infer", infer, methods=["POST"]),
            Route("/ping", ping),
            Route("/health", ping),
            Route("/version", version),
            Route("/stats", stats),
            Route("/metrics", metrics),
            Route("/openapi.json", description),
            Route("/v2", server),
            Route("/v2/health/live", live),
            Route("/v2/health/ready", ready),
            Route(model, metadata),
            Route(versioned, metadata),
            Route(f"{model}/ready", ready),
            Route(f"{versioned}/ready", ready),
        ],
        exception_handlers={
            MLOpsError: failed,
            HTTPException: no_route,
            ClientDisconnect: gone,
        },
    )
    application.router.redirect_slashes = False
    return _Named(application, service)


class _Named:
    """Gives every answer the headers that name the version and the request."""

    def __init__(self, application: ASGIApp, service: Service) -> None:
        self._application = application
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        given = next((v for k, v in scope["headers"] if k == b"x-request-id"), b"")
        text = given.decode("latin-1")
        valid = _REQUEST_ID.fullmatch(text) is not None
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = text if valid else uuid.uuid4().hex

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                headers["X-MLOps-Version"] = state.get("version", self._service.predictor.version)
                headers["X-Request-Id"] = state["request_id"]
            await send(message)

        if given and not valid:
            error = _bad_id(text)
            spoken = open_inference if scope["path"].startswith("/v2") else invocations
            await _json(spoken.error_body(error), 400)(scope, receive, named)
            return
        await self._application(scope, receive, named)


def _bad_id(text: str) -> InvalidInput:
    return InvalidInput(
        f"The request id {text[:40]!r} cannot be used.", hint="Use up to 128 printable characters."
    )


def _checked_id(text: str) -> str:
    if _REQUEST_ID.fullmatch(text) is None:
        raise _bad_id(text)
    return text


async def _body(request: Request, limit: int) -> bytes:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("Content-Encoding is not supported.", hint="Send it uncompressed.")
    too_large = TooLarge(f"The body is larger than {limit} bytes.", hint="Send fewer rows at once.")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise too_large
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise too_large
        parts.append(part)
    return b"".join(parts)


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json")


def _check_path(predictor: Predictor, request: Request) -> None:
    path = request.path_params
    open_inference.check_served(predictor, path["model"], path.get("version"))


def _read_invocation(predictor: Predictor, request: Request, body: bytes) -> Query:
    return invocations.query(predictor.signature, request.headers.get("content-type"), body)


def _write_invocation(_: Predictor, prediction: Prediction, _id: str, _query: Query) -> bytes:
    return invocations.answer(prediction)


def _read_inference(predictor: Predictor, request: Request, body: bytes) -> Query:
    _check_path(predictor, request)
    return open_inference.query(predictor.signature, request.headers.get("content-type"), body)


def _write_inference(predictor: Predictor, prediction: Prediction, id: str, query: Query) -> bytes:
    return open_inference.answer(predictor, prediction, id, query.outputs)
