"""A signed catalog, made by the maintainer's own tool, on a static HTTP server that misbehaves on demand."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from securesystemslib.signer import Key, SSlibKey

from npurun_tui.models import catalog_json
from npurun_tui.models.builtin import CATALOG
from npurun_tui.models.catalog import CatalogEntry
from scripts.catalog_tool.keys import ONLINE, make_keys, root_names
from scripts.catalog_tool.repository import Days, Repository


def entry(name: str) -> CatalogEntry:
    """An entry that can be told by its name."""
    return replace(CATALOG[1], name=name, title=f"The model {name}")


def new_repository(folder: Path, *names: str, days: Days | None = None) -> Repository:
    """A catalog in `folder`/pub with the models `names`, and its keys in `folder`/keys; one root key of two signs."""
    keys, published = folder / "keys", folder / "pub"
    make_keys(keys, published, [*root_names(2), *ONLINE], "")
    repository = Repository(published, keys, days=days or Days())
    repository.init(1)
    publish(repository, names)
    return repository


def publish(repository: Repository, names: Sequence[str]) -> None:
    """A new version of the list, with the models `names`."""
    repository.build(catalog_json.dump([entry(name) for name in names]))


def relabelled(key: Key, label: str) -> SSlibKey:
    """`key` under another id, which in TUF is only a label."""
    return SSlibKey(label, keytype=key.keytype, scheme=key.scheme, keyval=key.keyval)


@dataclass
class Site:
    """A folder behind HTTP. Paths are as in `metadata/timestamp.json`."""

    folder: Path
    url: str = ""
    replaced: dict[str, bytes] = field(default_factory=dict)
    """Other bytes than the folder's."""
    endless: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    dripping: set[str] = field(default_factory=set)
    """A byte of the header now and then."""
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def serve_copy(self, of: Path) -> None:
        """Serve what `of` holds from now on."""
        shutil.rmtree(self.folder)
        shutil.copytree(of, self.folder)


class _Handler(BaseHTTPRequestHandler):
    site: ClassVar[Site]

    def do_GET(self) -> None:
        path, site = self.path.lstrip("/"), self.site
        site.requests.append(path)
        with contextlib.suppress(OSError):  # the client has had enough
            if path in site.silent:
                site.over.wait(20)
            elif path in site.dripping:
                self._drip()
            elif path in site.endless:
                self._pour()
            else:
                self._answer(path)

    def _answer(self, path: str) -> None:
        site = self.site
        if path in site.redirects:
            self.send_response(302)
            self.send_header("Location", site.redirects[path])
            self.end_headers()
            return
        file = site.folder / path
        data = site.replaced.get(path) or (file.read_bytes() if file.is_file() else None)
        status = site.statuses.get(path, 404 if data is None else 200)
        self.send_response(status)
        self.end_headers()
        if data is not None and status == 200:
            self.wfile.write(data)

    def _pour(self) -> None:
        self.send_response(200)
        self.end_headers()
        while not self.site.over.is_set():
            self.wfile.write(bytes(65_536))

    def _drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self.site.over.wait(0.05):
            self.wfile.write(b"x")

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - as the base class has it
        """Say nothing."""


@contextlib.contextmanager
def serve(folder: Path, certificate: Path | None = None) -> Iterator[Site]:
    """`folder` at an address on this machine, over TLS where there is a `certificate` (a file with its key in it); it
    may be shut down before the context ends with `over`."""
    site = Site(folder)
    handler = type("Handler", (_Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    site.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
