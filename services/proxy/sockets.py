"""How the proxy's sockets are made."""

import resource
import socket

BACKLOG = 4096
"""Clients that may wait for accept; the kernel caps it at net.core.somaxconn."""

IP_FREEBIND = 15
"""linux/in.h: bind to an address that this host does not have yet."""


def listening_socket(address: str, port: int) -> socket.socket:
    """Return a non-blocking TCP listener; its connections inherit the stream options.

    The address may still be missing on this host. Raises OSError when the port is taken.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        set_stream_options(sock)
        sock.bind((address, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def datagram_socket(address: str, port: int, *, receive_bytes: int) -> socket.socket:
    """Return a non-blocking UDP socket; like `listening_socket` otherwise."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock


def backend_socket() -> socket.socket:
    """Return a non-blocking TCP socket to connect with."""
    flags = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    sock = socket.socket(socket.AF_INET, flags)
    set_stream_options(sock)
    return sock


def set_stream_options(sock: socket.socket) -> None:
    """Small writes at once; a peer that vanished is noticed within two minutes."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)


def raise_descriptor_limit() -> int:
    """Allow as many descriptors as the hard limit does; return how many. A connection needs two."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
