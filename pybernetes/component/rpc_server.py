"""The gRPC server of every service: health, reflection, identity and errors."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

import grpc
import orjson
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from pybernetes.machinery.errors import ApiError, Internal
from pybernetes.transport import Server
from pybernetes.transport.http2 import Accept
from pybernetes.transport.methods import Method

from .health import Health
from .logs import get_logger
from .rpc_pair import Pair, chosen_pair
from .tls import TlsFiles, rpc_server_ssl_context, server_credentials

STATUS_METADATA_KEY = "pybernetes-status-bin"
"""Trailing metadata that carries the whole meta/v1 Status of a failed call, as JSON."""

MESSAGE_BYTES_MAX = 64 << 20
"""Lists of a large cluster must fit into one message."""

OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.max_ping_strikes", 0),
)

log = get_logger("rpc")

Context = grpc.aio.ServicerContext[Any, Any]
Metadata = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls: the subject of a client certificate."""

    user: str
    groups: tuple[str, ...] = ()


def peer_identity(context: Context) -> Identity | None:
    """Return the caller as its certificate names it (CN, O); None without a certificate."""
    pem = context.auth_context().get("x509_pem_cert")
    return _identity_of_certificate(next(iter(pem))) if pem else None


_IDENTITIES: dict[bytes, Identity] = {}
_IDENTITIES_MAX = 1_000


def _identity_of_certificate(pem: bytes) -> Identity:
    known = _IDENTITIES.get(pem)
    if known is not None:
        return known
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    subject = x509.load_pem_x509_certificate(pem).subject
    names = [str(name.value) for name in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = [str(name.value) for name in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    identity = Identity(names[0] if names else "", tuple(groups))
    if len(_IDENTITIES) >= _IDENTITIES_MAX:
        _IDENTITIES.clear()
    _IDENTITIES[pem] = identity
    return identity


class RpcServer:
    """One listening gRPC server; servicers are added to `.server` before `start`."""

    def __init__(self, listen: str, tls: TlsFiles | None, *, pair: Pair | None = None) -> None:
        self.listen = listen
        self.health = Health()
        self._tls = tls
        self._services: list[str] = []
        self._ours: Server | None = None
        if (pair or chosen_pair()) is Pair.H2:
            self._ours = Server(
                failure=failure, receive_max=MESSAGE_BYTES_MAX, send_max=MESSAGE_BYTES_MAX
            )
            self.server = cast("grpc.aio.Server", self._ours)
        else:
            self.server = grpc.aio.server(interceptors=[_Errors()], options=OPTIONS)

    def add(self, service_full_name: str) -> None:
        """Name a service for reflection and health."""
        self._services.append(service_full_name)

    @property
    def accept(self) -> Accept | None:
        """How a front that listens for us hands over our streams; None: grpc.aio takes none."""
        return self._ours.accept if self._ours is not None else None

    def methods(self) -> Iterable[Method]:
        """Return what was called, and how it ended; nothing from grpc.aio, which does not count."""
        return self._ours.methods if self._ours is not None else ()

    async def start(self, *, is_serving: bool = True, binds: bool = True) -> int:
        """Bind and serve; return the port. Raises OSError when the address cannot be had.

        Not serving yet means only that the health service says so, until `set_serving`. Without
        `binds` some front listens for us, and the port is 0.
        """
        if binds:
            _refuse_taken(self.listen)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self.server)
        names = (
            *self._services,
            health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
            reflection.SERVICE_NAME,
        )
        add_reflection: Any = reflection_pb2_grpc.add_ServerReflectionServicer_to_server
        add_reflection(reflection.aio.ReflectionServicer(service_names=names), self.server)
        port = await self._bind() if binds else 0
        await self.server.start()
        self.set_serving(is_serving)
        if binds:
            log.info("serving gRPC", listen=self.listen, port=port, tls=self._tls is not None)
        return port

    async def _bind(self) -> int:
        if self._ours is not None:
            tls = self._tls
            context = None if tls is None else rpc_server_ssl_context(tls)
            return await self._ours.listen(self.listen, context)
        try:
            if self._tls is None:
                return self.server.add_insecure_port(self.listen)
            return self.server.add_secure_port(self.listen, server_credentials(self._tls))
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self.listen}: {error}") from error

    def set_serving(self, is_serving: bool) -> None:
        """Let the health service say whether calls are worth trying."""
        self.health.set(serving=is_serving, services=("", *self._services))

    async def drain(self, grace_s: float) -> None:
        """Say that we stop, let calls in flight finish for `grace_s` seconds, then cancel them."""
        self.health.end()
        await self.server.stop(grace_s)


def _refuse_taken(listen: str) -> None:
    """Raise OSError with a clear text when `listen` cannot be bound; gRPC's own says little."""
    if listen.startswith("unix:"):
        return
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError as error:
            raise OSError(f"cannot listen on {listen}: {error.strerror or error}") from error


def failure(error: Exception, method: str) -> tuple[grpc.StatusCode, str, Metadata]:
    """Return the status of a call whose handler raised: an ApiError's own, else INTERNAL.

    The RPC boundary of both pairs.
    """
    if not isinstance(error, ApiError):
        log.error("call failed", method=method, exc_info=error)
        error = Internal("internal error")
    code = cast("grpc.StatusCode", getattr(grpc.StatusCode, error.grpc_code))
    return code, error.message, ((STATUS_METADATA_KEY, orjson.dumps(error.to_status())),)


Continuation = Callable[
    [grpc.HandlerCallDetails], "Awaitable[grpc.RpcMethodHandler[Any, Any] | None]"
]


class _Errors(grpc.aio.ServerInterceptor):
    """Gives grpc.aio what our own server does itself: `failure` for what a handler raises."""

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = str(handler_call_details.method)
        wrapped: Any
        if handler.unary_unary:
            wrapped = grpc.unary_unary_rpc_method_handler
            behaviour = _guard_unary(method, handler.unary_unary)
        elif handler.stream_unary:
            wrapped = grpc.stream_unary_rpc_method_handler
            behaviour = _guard_unary(method, handler.stream_unary)
        elif handler.unary_stream:
            wrapped = grpc.unary_stream_rpc_method_handler
            behaviour = _guard_stream(method, handler.unary_stream)
        else:
            wrapped = grpc.stream_stream_rpc_method_handler
            behaviour = _guard_stream(method, handler.stream_stream)
        return wrapped(behaviour, handler.request_deserializer, handler.response_serializer)


def _guard_unary(method: str, behaviour: Any) -> Any:
    async def guarded(request: Any, context: Context) -> Any:
        try:
            return await behaviour(request, context)
        except (grpc.RpcError, grpc.aio.AbortError):
            raise
        except Exception as error:
            await context.abort(*failure(error, method))

    return guarded


def _guard_stream(method: str, behaviour: Any) -> Any:
    async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
        try:
            answers = behaviour(request, context)
            if hasattr(answers, "__aiter__"):
                async for answer in answers:
                    yield answer
            else:
                await answers
        except (grpc.RpcError, grpc.aio.AbortError):
            raise
        except Exception as error:
            await context.abort(*failure(error, method))

    return guarded
