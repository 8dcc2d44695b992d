"""TLS between our own commands and a server: what is trusted, and what is said where it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from npurun_tui.attach.http import UNREACHED, fetch
from npurun_tui.errors import EngineError, NetworkUnavailable
from tests.server.test_running import certificate
from tests.support.live_server import serving


async def test_a_certificate_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = certificate(tmp_path, "own")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    async with serving(tls_cert=cert, tls_key=key) as live:
        with pytest.raises(NetworkUnavailable, match="is not trusted here: self") as caught:
            await fetch("GET", live.url, "/open", "")
        assert "SSL_CERT_FILE" in caught.value.mend
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        with pytest.raises(EngineError, match="not JSON"):  # it was reached: the page is plain text
            await fetch("GET", live.url, "/open", "")


async def test_plain_http_where_tls_is_spoken(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "own")
    async with serving(tls_cert=cert, tls_key=key) as live:
        plain = live.url.replace("https:", "http:")
        with pytest.raises(NetworkUnavailable, match="speaks TLS") as caught:
            await fetch("GET", plain, "/open", "")
        assert caught.value.mend == f"Give {live.url}."


async def test_tls_where_plain_http_is_spoken() -> None:
    async with serving() as live:
        with pytest.raises(NetworkUnavailable, match="speaks no TLS") as caught:
            await fetch("GET", live.url.replace("http:", "https:"), "/open", "")
        assert caught.value.mend == f"Give {live.url}."


async def test_nobody_listens() -> None:
    with pytest.raises(NetworkUnavailable, match="cannot be reached") as caught:
        await fetch("GET", "http://127.0.0.1:1", "/open", "")
    assert caught.value.mend == UNREACHED
