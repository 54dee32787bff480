"""What a gRPC server tells Prometheus of its calls, under the names that Go's middleware gave them.

Source: github.com/grpc-ecosystem/go-grpc-prometheus, server_metrics.go.
"""

from collections.abc import Iterable, Iterator

from prometheus_client.core import Metric

from pybernetes.transport.methods import Method

from .metrics import labelled

_KINDS = {
    (False, False): "unary",
    (True, False): "client_stream",
    (False, True): "server_stream",
    (True, True): "bidi_stream",
}
_LABELS = ("grpc_type", "grpc_service", "grpc_method")


def call_metrics(methods: Iterable[Method]) -> Iterator[Metric]:
    """Yield how many calls of each method began, and how those that ended did."""
    named = [(_labels(method), method) for method in methods]
    yield labelled(
        "grpc_server_started_total",
        "Calls that began.",
        _LABELS,
        [(labels, method.started) for labels, method in named],
    )
    yield labelled(
        "grpc_server_handled_total",
        "Calls that ended, by their status.",
        (*_LABELS, "grpc_code"),
        [
            ((*labels, code), count)
            for labels, method in named
            for code, count in (("OK", method.succeeded), *_failed(method))
        ],
    )


def _labels(method: Method) -> tuple[str, str, str]:
    _, service, name = method.name.split("/")
    return _KINDS[method.streams_requests, method.streams_responses], service, name


def _failed(method: Method) -> Iterator[tuple[str, int]]:
    for code, count in method.failed.items():
        words = "".join(word.title() for word in code.name.split("_"))
        yield words.replace("Cancelled", "Canceled"), count  # Go spells it so
