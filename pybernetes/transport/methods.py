"""The methods of a server, by path, with what their messages are made of."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import grpc

from .light import is_light
from .status import OK

Parse = Callable[[bytes], Any]


class Method:
    """How one path is called."""

    __slots__ = (
        "_deserialize",
        "_serialize",
        "behaviour",
        "failed",
        "is_light",
        "name",
        "started",
        "streams_requests",
        "streams_responses",
        "succeeded",
    )

    def __init__(self, name: str, handler: "grpc.RpcMethodHandler[Any, Any]") -> None:
        self.name = name
        self.streams_requests = bool(handler.request_streaming)
        self.streams_responses = bool(handler.response_streaming)
        behaviour: Any = (
            handler.unary_unary
            or handler.unary_stream
            or handler.stream_unary
            or handler.stream_stream
        )
        self.behaviour: Callable[..., Any] = behaviour
        self.is_light = is_light(self.behaviour) and not self.streams_responses
        self.started = self.succeeded = 0
        self.failed: dict[grpc.StatusCode, int] = {}
        self._deserialize = _codec(handler.request_deserializer)
        self._serialize = _codec(handler.response_serializer)

    def ended(self, code: grpc.StatusCode | None) -> None:
        """Count the end of a call; without a code it went well."""
        if code is None or code is OK:
            self.succeeded += 1
        else:
            self.failed[code] = self.failed.get(code, 0) + 1

    def parse(self, raw: bytes) -> Any:
        """Return the message in bytes; what the deserializer raises otherwise."""
        return raw if self._deserialize is None else self._deserialize(raw)

    def format(self, message: Any) -> Any:
        """Return a message's bytes, or their pieces; bytes are taken for what they are."""
        if type(message) is bytes or self._serialize is None:
            return b"" if message is None else message
        return b"" if message is None else self._serialize(message)


class Methods:
    """What generated code registers, and what a path leads to."""

    def __init__(self) -> None:
        self._known: dict[bytes, Method] = {}
        self._generic: list[Any] = []

    def add_registered(
        self, service: str, handlers: Mapping[str, "grpc.RpcMethodHandler[Any, Any]"]
    ) -> None:
        """Add the methods of a service."""
        for name, handler in handlers.items():
            path = f"/{service}/{name}"
            self._known[path.encode()] = Method(path, handler)

    def add_generic(self, handlers: Iterable[Any]) -> None:
        """Add handlers that are asked for each path."""
        self._generic += handlers

    def __iter__(self) -> Iterator[Method]:
        """Iterate those that were registered, or called."""
        return iter(self._known.values())

    def find(self, path: bytes) -> Method | None:
        """Return how a path is called; None if it leads nowhere."""
        method = self._known.get(path)
        if method is not None:
            return method
        name = path.decode("latin-1")
        for generic in self._generic:
            handler = generic.service(_Details(name))
            if handler is not None:
                return self._known.setdefault(path, Method(name, handler))
        return None


class _Details(grpc.HandlerCallDetails):
    """What a generic handler decides by."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.invocation_metadata = ()


def _codec(function: Any) -> Any:
    """Return a serializer or deserializer; None for one that only passes bytes on."""
    return None if function is bytes else function
