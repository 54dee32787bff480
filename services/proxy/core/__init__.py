"""What the proxy decides: routes, backends, names. No sockets, no clock, no await."""
