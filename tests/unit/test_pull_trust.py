"""Credentials go only where they belong, certificates are checked, https is never left for http."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from npurun_tui.errors import NetworkUnavailable, PullFailed
from npurun_tui.models.pull.proxies import proxy_to
from npurun_tui.models.store import ModelStore
from tests.support.certificate import self_signed
from tests.support.index_server import (
    Index,
    serve,
    status,
)
from tests.support.pulling import (
    assert_installed,
    fail,
    only_index,
    pull_all,
)
from tests.support.relays import damaging, proxy
from tests.support.tiny_model import TinyModel


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
    return self_signed(tmp_path_factory.mktemp("tls") / "both.pem")


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


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "socks5://user:secret@127.0.0.1:1"),
        ("HTTP_PROXY", "foo://user:secret@bar"),
        ("PIP_PROXY", "foo://user:secret@x"),
        ("PIP_PROXY", "http://user:secret@[::1"),
        ("PIP_PROXY", "no-scheme:8080"),
    ],
)
async def test_a_proxy_that_cannot_be_used(
    index: Index,
    tiny: TinyModel,
    store: ModelStore,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
) -> None:
    only_index(monkeypatch, index.url)
    monkeypatch.setenv(variable, value)
    error = await fail(tiny, store, NetworkUnavailable)
    assert "proxy" in error.message
    assert "secret" not in str(error)
    assert index.requests == []


async def test_a_bundle_in_the_home_of_nobody(
    index: Index, tiny: TinyModel, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_index(monkeypatch, index.url)
    monkeypatch.setenv("PIP_CERT", "~nobody-of-this-name/ca.pem")
    error = await fail(tiny, store, NetworkUnavailable)
    assert "nobody-of-this-name" in error.message


async def test_a_line_that_damages_tls_is_a_lost_connection_and_no_fault_of_the_disk(
    tiny: TinyModel, store: ModelStore, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(tiny, certificate) as index:
        port = int(index.origin.rpartition(":")[2])
        with damaging(port, after=200_000) as line:
            index.file_base = f"https://127.0.0.1:{line.port}/files"
            only_index(monkeypatch, index.url)
            monkeypatch.setenv("PIP_CERT", str(certificate))
            await pull_all(tiny, store)
            assert_installed(tiny, store)
            store.remove(tiny.entry.name)
        with damaging(port, after=0, times=99) as line:
            index.file_base = f"https://127.0.0.1:{line.port}/files"
            error = await fail(tiny, store, NetworkUnavailable)
    assert "damaged on its way" in error.message or "connection" in error.message
    assert "folder" not in str(error)


async def test_a_proxy_with_a_password_is_gone_through(
    tiny: TinyModel, store: ModelStore, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(tiny, certificate) as index, proxy("me", "p@ss/word") as relay:
        only_index(monkeypatch, index.url)
        monkeypatch.delenv("NO_PROXY")
        monkeypatch.setenv("PIP_CERT", str(certificate))
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:p%40ss%2Fword@127.0.0.1:{relay.port}")
        await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert relay.asked
    assert all("authorization" not in request.headers for request in index.requests)
    assert all("proxy-authorization" not in request.headers for request in index.requests)


@pytest.mark.parametrize("login", ["", "me:wrong@"])
async def test_a_proxy_that_lets_nobody_in_is_named(
    tiny: TinyModel,
    store: ModelStore,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    login: str,
) -> None:
    with serve(tiny, certificate) as index, proxy("me", "right") as relay:
        only_index(monkeypatch, index.url)
        monkeypatch.delenv("NO_PROXY")
        monkeypatch.setenv("PIP_CERT", str(certificate))
        monkeypatch.setenv("HTTPS_PROXY", f"http://{login}127.0.0.1:{relay.port}")
        error = await fail(tiny, store, NetworkUnavailable)
    assert "proxy" in error.message
    assert "HTTPS_PROXY" in error.mend
    assert "wrong" not in str(error)
    assert len(relay.asked) == 1  # a password does not become right by asking again
    assert index.requests == []


async def test_a_proxy_for_plain_http_that_wants_a_password(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.always = status(407)
    error = await fail(tiny, store, NetworkUnavailable)
    assert "proxy" in error.message
    assert "index-url" not in error.mend


async def test_a_proxy_that_is_not_there_is_told_apart_from_the_server(
    index: Index, tiny: TinyModel, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_index(monkeypatch, index.url)
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTP_PROXY", "http://me:secret@127.0.0.1:1")
    error = await fail(tiny, store, NetworkUnavailable)
    assert "cannot be reached through the proxy 127.0.0.1:1: the connection was" in error.message
    assert "HTTPS_PROXY" in error.mend
    assert "secret" not in str(error)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    await pull_all(tiny, store)


async def test_a_certificate_of_another_name(
    tiny: TinyModel, store: ModelStore, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(tiny, certificate) as index:
        only_index(monkeypatch, index.url.replace("127.0.0.1", "localhost"))
        monkeypatch.setenv("NO_PROXY", "localhost")
        monkeypatch.setenv("PIP_CERT", str(certificate))
        error = await fail(tiny, store, NetworkUnavailable)
    assert "localhost" in error.message
    assert ".." not in error.message


async def test_an_address_of_ipv6(
    tiny: TinyModel, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("there is no IPv6 here")
    with serve(tiny, host="::1") as index:
        only_index(monkeypatch, index.url)
        monkeypatch.setenv("NO_PROXY", "::1")
        await pull_all(tiny, store)
        assert_installed(tiny, store)
        store.remove(tiny.entry.name)
        index.always = status(404)
        error = await fail(tiny, store, PullFailed)
    assert error.message.startswith("[::1]:")


def test_which_proxy_is_on_the_way_is_told_without_a_look_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on Windows, where the proxy is in the system's settings; it is told on the event loop."""
    only_index(monkeypatch, "http://127.0.0.1")
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"https": "http://proxy.invalid:3128"})
    monkeypatch.setattr("urllib.request.proxy_bypass", lambda _: pytest.fail("it may look up"))
    assert proxy_to(httpx.URL("https://models.invalid/m"), "") == "proxy.invalid:3128"
