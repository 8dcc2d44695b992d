"""Where a server listens: checked, bound, and refused where that would be unsafe."""

from __future__ import annotations

import errno
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

from npurun_tui.errors import NpurunError
from npurun_tui.server.address import is_loopback, url_host
from npurun_tui.server.config import ServerConfig

BACKLOG = 128


class CannotServe(NpurunError):
    """The server cannot start like this."""


class PortTaken(CannotServe):
    """Another program, or another process of this one, listens there."""


def check_exposure(config: ServerConfig) -> None:
    """Refuse to let strangers in, be they other machines or any web page. Raises CannotServe."""
    if not config.infer_token and any(one.rstrip("/") == "*" for one in config.cors_origins):
        raise CannotServe(
            "Any web page could use this machine's models: * is a web origin, and no token is set.",
            mend="Set a token, or name the pages with --cors-origin.",
        )
    if is_loopback(config.host) or config.infer_token or config.insecure:
        return
    raise CannotServe(
        f"{config.host} can be reached from other machines, and no token is set.",
        mend="Set a token, listen on 127.0.0.1, or say --i-know-insecure if everybody may use this machine's models.",
    )


def bind(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address of `host`, all on one port. Blocks on the name's lookup.

    Raises:
        CannotServe: the name is unknown, the port is taken or not allowed.
    """
    sockets: list[socket.socket] = []
    try:
        for family, address in _addresses(host, port):
            sockets.append(_listen(family, address, port))
            port = sockets[0].getsockname()[1]
    except OSError as error:
        for bound in sockets:
            bound.close()
        raise _refusal(error, host, port) from None
    return sockets


def _addresses(host: str, port: int) -> Iterator[tuple[socket.AddressFamily, str]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    seen: set[str] = set()
    for family, _, _, _, address in found:
        text = str(address[0])
        if text not in seen and family in (socket.AF_INET, socket.AF_INET6):
            seen.add(text)
            yield family, text


def _listen(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    # asyncio switches Nagle's algorithm off only where the protocol is named; with it each answer takes 40 ms longer.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform == "win32":
            # Without it another program could take the same port on Windows, and its requests.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((address, port))
        bound.listen(BACKLOG)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


def _refusal(error: OSError, host: str, port: int) -> CannotServe:
    if isinstance(error, socket.gaierror):
        return CannotServe(f"There is no address called {host}.", mend="Check the name.")
    mend = "Choose another port, or end what uses it."
    if error.errno == errno.EADDRINUSE or getattr(error, "winerror", 0) == 10048:
        return PortTaken(f"Port {port} on {host} is in use.", mend=mend)
    if error.errno == errno.EADDRNOTAVAIL:
        return CannotServe(f"{host} is not an address of this machine.", mend="Use one that is.")
    if error.errno == errno.EACCES or getattr(error, "winerror", 0) == 10013:
        return CannotServe(f"The system does not give out port {port} on {host}.", mend=mend)
    return CannotServe(f"Cannot listen on {host}:{port}: {error.strerror}.", mend=mend)


def url_of(config: ServerConfig, port: int) -> str:
    """Where clients reach the server, as they would write it."""
    host = config.host
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        host = socket.gethostname() if config.host else "127.0.0.1"
    return f"{config.scheme}://{url_host(host)}:{port}"


def tls_context(config: ServerConfig) -> ssl.SSLContext | None:
    """What TLS needs; None where the server speaks plain HTTP. The key may be in the certificate's file.

    Raises:
        CannotServe: a file is missing, unreadable, no certificate or key, or they do not belong together.
    """
    cert, key = config.tls_cert, config.tls_key or config.tls_cert
    if cert is None or key is None:
        if key is not None:
            raise CannotServe(
                "A key without its certificate makes no TLS.", mend="Give both files."
            )
        return None
    for path in (cert, key):
        _check_readable(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a password of ours OpenSSL would ask for an encrypted key's on the terminal.
        context.load_cert_chain(cert, key, password=lambda: b"")
    except ssl.SSLError as error:
        raise _tls_refusal(error, cert, key) from None
    return context


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise CannotServe(
            f"{path} cannot be read: {error.strerror}.", mend="Check the path."
        ) from None


def _tls_refusal(error: ssl.SSLError, cert: Path, key: Path) -> CannotServe:
    if error.reason == "KEY_VALUES_MISMATCH":
        return CannotServe(
            f"{key} is not the key of {cert}.", mend="Give the two that belong together."
        )
    return CannotServe(
        f"{cert} and {key} are not a PEM certificate and its key without a password.",
        mend="Export them as PEM, the key unencrypted.",
    )
