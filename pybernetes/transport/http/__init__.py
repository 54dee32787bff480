"""HTTP/1.1, HTTP/2, websockets and gRPC on one port.

`front.py` listens and hands every connection to `http1.py` or `http2.py`. Both give the same
`Request` and `Reply` to one function, which does not know what it is spoken to in.
"""
