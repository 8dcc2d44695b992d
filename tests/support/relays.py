"""What may stand between a client and a server: a proxy that wants a password, a line that damages what it carries."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass
class Relay:
    """`port` on 127.0.0.1; `asked` are the first lines that clients sent to a proxy."""

    port: int
    asked: list[str] = field(default_factory=list)


def _pump(source: socket.socket, target: socket.socket, damage_after: int | None = None) -> None:
    """Carry bytes until either side ends; one bit is turned in the first piece that begins behind `damage_after`."""
    count = 0
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 14):
            if damage_after is not None and count > damage_after:
                data = data[:-1] + bytes([data[-1] ^ 1])
                damage_after = None
            count += len(data)
            target.sendall(data)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _join(client: socket.socket, port: int, damage_after: int | None = None) -> None:
    with client, socket.create_connection(("127.0.0.1", port)) as server:
        up = threading.Thread(target=_pump, args=(client, server), daemon=True)
        up.start()
        _pump(server, client, damage_after)
        up.join()


def _head(client: socket.socket) -> list[str]:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(1)
        if not piece:
            break
        data += piece
    return data.decode("latin-1").split("\r\n")


@contextlib.contextmanager
def _listening(
    relay: Relay, listener: socket.socket, serve: Callable[[socket.socket], None]
) -> Iterator[Relay]:
    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        with contextlib.suppress(OSError):  # not every system has it for one that listens
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@contextlib.contextmanager
def damaging(port: int, *, after: int, times: int = 1) -> Iterator[Relay]:
    """A line to `port` that turns one bit of what comes back, on each of its first `times` connections."""
    listener = socket.create_server(("127.0.0.1", 0))
    left = [times]

    def serve(client: socket.socket) -> None:
        left[0] -= 1
        _join(client, port, after if left[0] >= 0 else None)

    with _listening(Relay(listener.getsockname()[1]), listener, serve) as relay:
        yield relay


@contextlib.contextmanager
def proxy(user: str, password: str) -> Iterator[Relay]:
    """A proxy for CONNECT that lets in who names `user` and `password`."""
    listener = socket.create_server(("127.0.0.1", 0))
    relay = Relay(listener.getsockname()[1])
    wanted = base64.b64encode(f"{user}:{password}".encode()).decode()

    def serve(client: socket.socket) -> None:
        head = _head(client)
        relay.asked.append(head[0])
        if f"proxy-authorization: basic {wanted.lower()}" not in [line.lower() for line in head]:
            client.sendall(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
            )
            client.close()
            return
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        _join(client, int(head[0].split()[1].rpartition(":")[2]))

    with _listening(relay, listener, serve) as running:
        yield running
