"""The HTTP server: the front's requests and replies as `messages.py` has them.

Differs: a client certificate that our authority did not sign fails the TLS handshake, where
Kubernetes answers 401: Python's ssl judges certificates itself or does not ask for them at all.
Without a certificate a client may still show a token.
"""

import asyncio
import zlib
from contextlib import aclosing
from functools import partial

import orjson

from pybernetes.component.clock import Clock
from pybernetes.component.logs import get_logger
from pybernetes.component.tls import TlsFiles, server_ssl_context
from pybernetes.machinery.errors import ApiError, Internal, RequestEntityTooLarge
from pybernetes.transport.http import request as http
from pybernetes.transport.http import websocket
from pybernetes.transport.http.front import Front, GrpcAccept
from pybernetes.transport.http.limits import HttpLimits
from pybernetes.transport.http.reply import Disconnected, Reply
from pybernetes.transport.http.request import HttpError
from pybernetes.transport.http2 import GONE, ServerStream, StreamHandler

from ..authn import user_of
from .handler import Handler
from .messages import JSON_TYPE, Answer, Query, Request, Response, Stream, Upgrade

BODY_BYTES_MAX = 3 << 20
"""As Kubernetes: what etcd takes, twice over."""

GZIP_BYTES_MIN = 128 << 10
"""Smaller answers cost more to deflate than to send."""

LIMITS = HttpLimits(body_bytes_max=BODY_BYTES_MAX)

log = get_logger("http")


class HttpServer:
    """One listener of REST, and of gRPC when `grpc` takes its streams."""

    def __init__(
        self,
        listen: str,
        tls: TlsFiles | None,
        handler: Handler,
        tasks: asyncio.TaskGroup,
        clock: Clock,
        grpc: GrpcAccept | None = None,
    ) -> None:
        self._listen = listen
        self._handler = handler
        self._is_secure = tls is not None
        self._front = Front(
            self._serve,
            tasks,
            clock,
            context=server_ssl_context(tls) if tls is not None else None,
            grpc=grpc if tls is None or grpc is None else partial(_accept_known, grpc),
            limits=LIMITS,
        )
        self.port = 0

    async def start(self) -> None:
        """Bind and serve. Raises OSError when the address cannot be had."""
        self.port = await self._front.start(self._listen)
        log.info("serving REST", listen=self._listen, port=self.port, tls=self._is_secure)

    async def drain(self, grace_s: float) -> None:
        """Stop accepting, let requests in flight finish for `grace_s` seconds, then end them."""
        await self._front.drain(grace_s)

    async def _serve(self, request: http.Request, reply: Reply) -> None:
        """Answer one request: the boundary at which every error becomes an answer."""
        try:
            answer: Answer = await self._handler.handle(_request(request))
        except ApiError as error:
            answer = _error(error)
        except HttpError as error:
            if error.status != 413:
                raise
            answer = _error(
                RequestEntityTooLarge(f"Request entity too large: limit is {BODY_BYTES_MAX}")
            )
        except Exception:
            log.exception("request failed", method=request.method, path=request.path)
            answer = _error(
                Internal("an error on the server prevented the request from succeeding")
            )
        match answer:
            case Response():
                await _whole(request, reply, answer)
            case Stream():
                await _streamed(reply, answer)
            case Upgrade():
                await _upgraded(request, reply, answer)


def _accept_known(grpc: GrpcAccept, stream: ServerStream) -> StreamHandler:
    """Hand over a stream of gRPC whose peer has shown a certificate: REST takes tokens, too."""
    if stream.peer.certificate is not None:
        return grpc(stream)
    stream.respond(_NO_CERTIFICATE, end=True)
    return GONE


_NO_CERTIFICATE = (
    (b":status", b"200"),
    (b"content-type", b"application/grpc"),
    (b"grpc-status", b"16"),
    (b"grpc-message", b"Unauthorized: gRPC needs a client certificate"),
)


def _request(request: http.Request) -> Request:
    certificate = request.peer.certificate
    return Request(
        method=request.method,
        path=request.path,
        query=Query(request.query),
        headers=request.headers,
        read=request.read,
        certificate=user_of(certificate) if certificate is not None else None,
        is_upgrade=request.upgrade == "websocket",
    )


def _error(error: ApiError) -> Response:
    headers = [("Cache-Control", "no-cache, private")]
    if wait_s := error.details.get("retryAfterSeconds"):
        headers.append(("Retry-After", str(wait_s)))
    if error.http_code == 401:
        headers.append(("WWW-Authenticate", 'Bearer realm="pybernetes"'))
    return Response(error.http_code, orjson.dumps(error.to_status()), JSON_TYPE, headers)


async def _whole(request: http.Request, reply: Reply, answer: Response) -> None:
    body = answer.body
    headers = [*answer.headers, ("Content-Type", answer.content_type)]
    if len(body) >= GZIP_BYTES_MIN and "gzip" in request.header("accept-encoding"):
        body = await asyncio.to_thread(zlib.compress, body, 1, 31)
        headers += [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
    await reply.respond(answer.status, headers, body)


async def _streamed(reply: Reply, answer: Stream) -> None:
    async with aclosing(answer.chunks) as chunks:
        reply.start(200, [*answer.headers, ("Content-Type", answer.content_type)])
        async for chunk in chunks:
            await reply.write(chunk)
        reply.end()


class _Socket:
    """A websocket as handlers see it."""

    def __init__(self, inner: websocket.WebSocket) -> None:
        self._inner = inner

    @property
    def protocol(self) -> str:
        return self._inner.protocol

    async def receive(self) -> bytes | None:
        message = await self._inner.receive()
        return message.encode() if isinstance(message, str) else message

    async def send(self, message: bytes) -> None:
        try:
            await self._inner.send(message)
        except Disconnected:
            return


async def _upgraded(request: http.Request, reply: Reply, answer: Upgrade) -> None:
    socket = websocket.accept(request, reply, answer.protocols, message_bytes_max=BODY_BYTES_MAX)
    await answer.run(_Socket(socket))
    await socket.close()
