"""Serve any `ChatModel` behind an OpenAI-compatible endpoint: `/v1/chat/completions`, `/v1/models`.

Not streaming, bounded in size and concurrency, on the loopback interface unless told otherwise.
"""

from __future__ import annotations

import asyncio
import functools
import hmac
import ipaddress
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vlm_agent.model import ChatModel, ModelError
from vlm_agent.openai_format import FormatError, messages_from_json, reply_to_json, specs_from_json

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

STATUS = {
    "unreachable": 502,
    "timeout": 504,
    "rate_limited": 429,
    "auth": 502,
    "garbage": 502,
    "too_long": 413,
    "rejected": 400,
    "cancelled": 503,
}


@dataclass(frozen=True)
class ServeConfig:
    """Settings of the endpoint.

    Attributes:
        host: Interface; anything but loopback needs `api_key` as well.
        port: 0 takes a free one.
        api_key: Key that requests must carry; "" asks for none.
        max_body_bytes: Largest request.
        max_concurrent: Requests answered at a time; others get 429 and are asked to come back.
        timeout_s: Longest time for one reply [s].
    """

    host: str = "127.0.0.1"
    port: int = 0
    api_key: str = ""
    max_body_bytes: int = 64_000_000
    max_concurrent: int = 4
    timeout_s: float = 120.0

    def __post_init__(self) -> None:
        """Refuse to stand open to a network."""
        if not self.api_key and not _is_loopback(self.host):
            raise ValueError(f"host {self.host!r} is open to the network; set api_key, or use 127.0.0.1")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Refusal(Exception):
    """An HTTP error; the message goes to the client."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers or {}


class _Endpoint:
    def __init__(self, model: ChatModel, config: ServeConfig) -> None:
        self._model, self._config = model, config
        self._numbers = itertools.count(1)
        self._busy = 0  # only touched by the event loop

    async def models(self, request: Request) -> Response:
        entry = {"id": self._model.name, "object": "model", "created": 0, "owned_by": "habilis"}
        return await self._guarded(request, lambda: _done({"object": "list", "data": [entry]}))

    async def completions(self, request: Request) -> Response:
        return await self._guarded(request, lambda: self._complete(request))

    async def _guarded(self, request: Request, answer: Any) -> Response:
        from starlette.responses import JSONResponse

        try:
            self._check_key(request)
            return JSONResponse(await answer())
        except _Refusal as refusal:
            error = {"message": str(refusal), "type": "invalid_request_error", "code": None}
            return JSONResponse({"error": error}, refusal.status, refusal.headers)

    def _check_key(self, request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._config.api_key and not hmac.compare_digest(given.encode(), self._config.api_key.encode()):
            raise _Refusal(401, "wrong API key")

    async def _complete(self, request: Request) -> dict[str, Any]:
        if self._busy >= self._config.max_concurrent:
            raise _Refusal(429, "too many requests at a time", {"retry-after": "1"})
        self._busy += 1
        try:
            data = await self._body(request)
            if data.get("stream"):
                raise _Refusal(400, "streaming is not supported; send stream=false")
            try:
                messages, specs = messages_from_json(data.get("messages")), specs_from_json(data.get("tools"))
            except FormatError as error:
                raise _Refusal(400, str(error)) from error
            reply = await self._ask(request, messages, specs)
        finally:
            self._busy -= 1
        request_id = f"chatcmpl-{next(self._numbers)}"
        return reply_to_json(reply, self._model.name, request_id, int(time.time()))

    async def _body(self, request: Request) -> dict[str, Any]:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._config.max_body_bytes:
                raise _Refusal(413, f"the request is larger than {self._config.max_body_bytes} bytes")
        try:
            data = json.loads(bytes(body))
        except (ValueError, RecursionError) as error:
            raise _Refusal(400, "the request is not JSON") from error
        if not isinstance(data, dict):
            raise _Refusal(400, "the request is not a JSON object")
        return data

    async def _ask(self, request: Request, messages: Any, specs: Any) -> Any:
        """Run the model in a thread; cancel it when the client leaves or time is up."""
        cancel = threading.Event()
        work = asyncio.ensure_future(asyncio.to_thread(self._model.complete, messages, specs, cancel))
        work.add_done_callback(lambda task: task.cancelled() or task.exception())  # it may come too late
        deadline = time.monotonic() + self._config.timeout_s
        try:
            while not (await asyncio.wait({work}, timeout=0.1))[0]:
                if time.monotonic() > deadline:
                    raise _Refusal(504, f"the model took longer than {self._config.timeout_s:g} s")
                if await request.is_disconnected():
                    raise _Refusal(499, "the client left")
            return work.result()
        except ModelError as error:
            wait_s = error.retry_after_s
            headers = {} if wait_s is None else {"retry-after": f"{wait_s:g}"}
            raise _Refusal(STATUS.get(error.kind, 502), f"{error.kind}: {error}", headers) from error
        finally:
            cancel.set()


async def _done(value: dict[str, Any]) -> dict[str, Any]:
    return value


def make_app(model: ChatModel, config: ServeConfig = ServeConfig()) -> Starlette:
    """Return the ASGI application."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    endpoint = _Endpoint(model, config)
    return Starlette(
        routes=[
            Route("/v1/models", endpoint.models, methods=["GET"]),
            Route("/v1/chat/completions", endpoint.completions, methods=["POST"]),
        ]
    )


def _server(model: ChatModel, config: ServeConfig) -> Any:
    import uvicorn

    app = make_app(model, config)
    settings = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=2)
    return uvicorn.Server(settings)


def _listen(config: ServeConfig) -> socket.socket:
    """Return a listening socket.

    Raises:
        RuntimeError: Host or port cannot be had.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family)
    except OSError as error:
        where = f"{config.host}:{config.port}"
        raise RuntimeError(
            f"cannot serve at {where}: {error.strerror}; choose another host or port"
        ) from error


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"


def serve(
    model: ChatModel, config: ServeConfig = ServeConfig(), on_start: Callable[[str], None] | None = None
) -> None:
    """Serve until interrupted; `on_start` is told the base URL.

    Raises:
        RuntimeError: Host or port cannot be had.
    """
    with _listen(config) as listener:
        if on_start is not None:
            on_start(_url(listener))
        _server(model, config).run(sockets=[listener])


@contextmanager
def serving(model: ChatModel, config: ServeConfig = ServeConfig()) -> Iterator[str]:
    """Serve from a thread while the context is open; gives the base URL, ending in ``/v1``.

    Raises:
        RuntimeError: Host or port cannot be had.
    """
    with _listen(config) as listener:
        server = _server(model, config)
        run = functools.partial(server.run, sockets=[listener])
        thread = threading.Thread(target=run, name="serve-model", daemon=True)
        thread.start()  # requests that come before it is ready wait in the socket
        try:
            yield _url(listener)
        finally:
            server.should_exit = True
            thread.join()
