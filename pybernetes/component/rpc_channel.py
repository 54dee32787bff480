"""Dialling another service: TLS, keepalive, message sizes, quick reconnection."""

from typing import cast
from urllib.parse import quote

import grpc

from pybernetes.transport import Channel

from .rpc_pair import Pair, chosen_pair
from .rpc_server import MESSAGE_BYTES_MAX
from .tls import TlsFiles, channel_credentials, rpc_client_ssl_context

RECONNECT_MIN_MS = 100
RECONNECT_MAX_MS = 1_000
"""A restarted service must be found again within a second."""


def dial(
    target: str,
    tls: TlsFiles | None,
    *,
    server_name: str | None = None,
    pair: Pair | None = None,
) -> grpc.aio.Channel:
    """Return a channel to `host:port`, or to the first that answers of several, comma-separated.

    `server_name` is what the server's certificate must say instead of the host. The caller closes
    the channel.
    """
    if (pair or chosen_pair()) is Pair.GRPCIO:
        return _dial_grpcio(target, tls, server_name)
    ours = Channel(
        target,
        tls=None if tls is None else rpc_client_ssl_context(tls),
        server_name=server_name,
        receive_max=MESSAGE_BYTES_MAX,
        send_max=MESSAGE_BYTES_MAX,
    )
    return cast("grpc.aio.Channel", ours)


def _dial_grpcio(target: str, tls: TlsFiles | None, server_name: str | None) -> grpc.aio.Channel:
    options: list[tuple[str, str | int]] = [
        ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
        ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
        ("grpc.keepalive_time_ms", 5_000),
        ("grpc.keepalive_timeout_ms", 3_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", RECONNECT_MIN_MS),
        ("grpc.min_reconnect_backoff_ms", RECONNECT_MIN_MS),
        ("grpc.max_reconnect_backoff_ms", RECONNECT_MAX_MS),
        ("grpc.enable_http_proxy", 0),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if "," in target:
        if server_name is None:
            server_name = target.split(",", 1)[0].rpartition(":")[0].strip("[]")
        target = "ipv4:" + quote(target, safe=",:.[]")
    if server_name is not None:
        options.append(("grpc.ssl_target_name_override", server_name))
    if tls is None:
        return grpc.aio.insecure_channel(target, options=options)
    return grpc.aio.secure_channel(target, channel_credentials(tls), options=options)
