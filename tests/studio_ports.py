"""Ports for servers that tests start."""

import contextlib
import random
import socket


def free_port() -> int:
    """A port that nobody has, below those that outgoing connections take while a server is down."""
    for port in random.sample(range(20_000, 30_000), 20):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")
