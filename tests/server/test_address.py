"""Addresses to listen on and durations to stay, as people and clients write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npurun_tui.errors import UsageError
from npurun_tui.server.address import is_loopback, parse_bind, url_host
from npurun_tui.server.keepalive import FOR_EVER, parse_keep_alive


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("localhost", ("localhost", 11435)),
        (":9000", ("127.0.0.1", 9000)),
        ("9000", ("127.0.0.1", 9000)),
        ("[::1]:9000", ("::1", 9000)),
        ("[::1]", ("::1", 11435)),
        ("::", ("::", 11435)),
        ("Laptop.local:1", ("Laptop.local", 1)),
    ],
)
def test_every_way_to_write_an_address(text: str, expected: tuple[str, int]) -> None:
    assert parse_bind(text) == expected


@pytest.mark.parametrize(
    "text", ["", "a b:1", "x:70000", "x:-1", "[::1", "[::1]x", "http://x:1", "x:٣", "-x:1", "a..b"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    if not text:
        assert parse_bind(text) == ("127.0.0.1", 11435)
        return
    with pytest.raises(UsageError, match="not an address"):
        parse_bind(text)


@given(st.text(max_size=30))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    try:
        host, port = parse_bind(text)
    except UsageError:
        return
    assert host
    assert 0 <= port <= 65535


@pytest.mark.parametrize(
    ("host", "is_it"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
    ],
)
def test_loopback(host: str, is_it: bool) -> None:
    assert is_loopback(host) is is_it


def test_a_url_wants_brackets() -> None:
    assert (url_host("::1"), url_host("127.0.0.1")) == ("[::1]", "127.0.0.1")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0.0),
        (0.0, 0.0),
        (1800, 1800.0),
        (-1, FOR_EVER),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1.5s", 1.5),
        ("-1m", FOR_EVER),
        ("24h", 86400.0),
        ("300", 300.0),
        ("-1", FOR_EVER),
        ("0", 0.0),
        ("250ms", 0.25),
    ],
)
def test_keep_alive(value: float | str, seconds: float) -> None:
    assert parse_keep_alive(value) == pytest.approx(seconds)


@pytest.mark.parametrize("value", ["", "soon", "5 m", "m", "1x", float("nan"), "nan"])
def test_keep_alive_refuses_the_rest(value: float | str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_keep_alive(value)
