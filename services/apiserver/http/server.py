"""The HTTP server: aiohttp on TLS, with requests and answers as `messages.py` has them.

Differs: a client certificate that our authority did not sign fails the TLS handshake, where
Kubernetes answers 401. Without a certificate a client may still show a token.
"""

import asyncio
import zlib
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from pybernetes.component.logs import get_logger
from pybernetes.component.tls import TlsFiles, server_ssl_context
from pybernetes.machinery.errors import ApiError, Internal, RequestEntityTooLarge

from ..authn import User, of_certificate
from .handler import Handler
from .messages import JSON_TYPE, Answer, Query, Request, Response, Stream, Upgrade

BODY_BYTES_MAX = 3 << 20
"""As Kubernetes: what etcd takes, twice over."""

GZIP_BYTES_MIN = 128 << 10
"""Smaller answers cost more to deflate than to send."""

KEEPALIVE_S = 75.0
BACKLOG = 1024
CLOSE_S = 1.0
"""How long open connections may take to end once the server stops."""

PING_S = 30.0
"""An idle websocket is asked whether anybody is there."""

log = get_logger("http")


class HttpServer:
    """One listener of REST."""

    def __init__(self, listen: str, tls: TlsFiles | None, handler: Handler) -> None:
        self._listen = listen
        self._handler = handler
        self._context = server_ssl_context(tls) if tls is not None else None
        if self._context is not None:
            self._context.set_alpn_protocols(["http/1.1"])
        self._runner: web.ServerRunner | None = None
        self._site: web.TCPSite | None = None
        self.port = 0

    async def start(self) -> None:
        """Bind and serve. Raises OSError when the address cannot be had."""
        server = web.Server(
            self._serve,
            request_factory=self._make_request,
            handler_cancellation=True,
            keepalive_timeout=KEEPALIVE_S,
            access_log=None,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=CLOSE_S)
        await self._runner.setup()
        host, _, port = self._listen.rpartition(":")
        self._site = web.TCPSite(
            self._runner,
            host.strip("[]"),
            int(port),
            ssl_context=self._context,
            backlog=BACKLOG,
        )
        try:
            await self._site.start()
        except OSError as error:
            raise OSError(f"cannot listen on {self._listen}: {error.strerror}") from error
        self.port = self._runner.addresses[0][1]
        log.info("serving REST", listen=self._listen, port=self.port, tls=bool(self._context))

    async def stop(self) -> None:
        """Stop accepting, and end what is open."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    def _make_request(
        self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any
    ) -> web.BaseRequest:
        loop = asyncio.get_running_loop()
        return web.BaseRequest(
            message, payload, protocol, writer, task, loop, client_max_size=BODY_BYTES_MAX
        )

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request: the boundary at which every error becomes an answer."""
        try:
            answer: Answer = await self._handler.handle(await _request(request))
        except ApiError as error:
            answer = _error(error)
        except Exception:
            log.exception("request failed", method=request.method, path=request.path)
            answer = _error(
                Internal("an error on the server prevented the request from succeeding")
            )
        match answer:
            case Response():
                return await _whole(request, answer)
            case Stream():
                return await _streamed(request, answer)
            case Upgrade():
                return await _upgraded(request, answer)


async def _request(request: web.BaseRequest) -> Request:
    try:
        body = await request.read() if request.body_exists else b""
    except web.HTTPRequestEntityTooLarge:
        raise RequestEntityTooLarge(
            f"Request entity too large: limit is {BODY_BYTES_MAX}"
        ) from None
    return Request(
        method=request.method,
        path=request.path,
        query=Query(list(request.rel_url.query.items())),
        headers=request.headers,
        body=body,
        certificate=_certificate(request),
        is_upgrade="websocket" in request.headers.get("upgrade", "").lower(),
    )


def _certificate(request: web.BaseRequest) -> User | None:
    """Return whom the client's certificate names; the handshake has judged it."""
    peer = request.get_extra_info("peercert")
    if not peer:
        return None
    names = [pair for part in peer.get("subject", ()) for pair in part]
    users = [value for key, value in names if key == "commonName"]
    groups = [value for key, value in names if key == "organizationName"]
    return of_certificate(users[0], groups) if users else None


def _error(error: ApiError) -> Response:
    headers = [("Cache-Control", "no-cache, private")]
    if wait_s := error.details.get("retryAfterSeconds"):
        headers.append(("Retry-After", str(wait_s)))
    if error.http_code == 401:
        headers.append(("WWW-Authenticate", 'Bearer realm="pybernetes"'))
    return Response(error.http_code, orjson.dumps(error.to_status()), JSON_TYPE, headers)


async def _whole(request: web.BaseRequest, answer: Response) -> web.Response:
    body = answer.body
    headers = [*answer.headers, ("Content-Type", answer.content_type)]
    if len(body) >= GZIP_BYTES_MIN and "gzip" in request.headers.get("accept-encoding", ""):
        body = await asyncio.to_thread(zlib.compress, body, 1, 31)
        headers += [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
    return web.Response(status=answer.status, body=body, headers=headers)


async def _streamed(request: web.BaseRequest, answer: Stream) -> web.StreamResponse:
    headers = [*answer.headers, ("Content-Type", answer.content_type)]
    response = web.StreamResponse(headers=headers)
    response.enable_chunked_encoding()
    chunks = answer.chunks
    try:
        await response.prepare(request)
        async for chunk in chunks:
            if chunk:
                await response.write(chunk)
        await response.write_eof()
    except ConnectionError:
        log.debug("client left", path=request.path)
    finally:
        await chunks.aclose()
    return response


class _Socket:
    """A websocket of aiohttp's as handlers see it."""

    def __init__(self, inner: web.WebSocketResponse) -> None:
        self._inner = inner

    @property
    def protocol(self) -> str:
        return self._inner.ws_protocol or ""

    async def receive(self) -> bytes | None:
        while True:
            message = await self._inner.receive()
            if message.type is WSMsgType.BINARY:
                return bytes(message.data)
            if message.type is WSMsgType.TEXT:
                return str(message.data).encode()
            if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED):
                return None
            if message.type is WSMsgType.ERROR:
                return None

    async def send(self, message: bytes) -> None:
        try:
            await self._inner.send_bytes(message)
        except ConnectionError:
            return


async def _upgraded(request: web.BaseRequest, answer: Upgrade) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(
        protocols=answer.protocols, heartbeat=PING_S, max_msg_size=BODY_BYTES_MAX
    )
    await socket.prepare(request)
    try:
        await answer.run(_Socket(socket))
    finally:
        await socket.close()
    return socket
