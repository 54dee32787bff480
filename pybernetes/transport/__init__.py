"""gRPC on our own HTTP/2: a server and a channel that stand in for grpc.aio's.

Generated code works on either. Wire, statuses, metadata and errors are gRPC's; a test holds each
pairing of ours with grpc.aio's to one contract. Where grpc.aio costs 230 us of a core for a call,
this costs about ten: it runs on the event loop, without threads, and writes once a turn.

    server = Server(failure=unexpected, limits=Limits(), receive_max=4 << 20, send_max=2**31 - 1)
    add_KVServicer_to_server(servicer, server)
    port = await server.listen("127.0.0.1:0", tls)   # ssl.SSLContext with ALPN h2, or None
    await server.start()
    ...
    await server.stop(grace_s)

    channel = Channel("h1:1,h2:2", tls=None, server_name=None, receive_max=4 << 20, limits=Limits())
    KVStub(channel)
    ...
    await channel.close()

`light` marks handlers that need no task. `ServerConnection` is HTTP/2 alone, for other protocols.
"""

from .channel import Channel
from .light import light
from .limits import Limits
from .server import Server, unexpected

__all__ = ["Channel", "Limits", "Server", "light", "unexpected"]
