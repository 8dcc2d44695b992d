"""Bodies that are decoded: what is in them, whoever chose their shape, and that a large one holds up nobody."""

from __future__ import annotations

import json
import threading
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npurun_tui.server import bodies
from npurun_tui.server.faults import BadRequest
from tests.support.live_server import Live, Probe, serving

JSON = st.recursive(
    st.none() | st.integers(-9, 9) | st.text('\\"/[]{}u0\x00\n\U0001f600ä', max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('\\"[u0'), inner),
    max_leaves=12,
)


def deep(value: Any) -> int:
    """How many levels `value` has."""
    if isinstance(value, dict):
        return 1 + max(map(deep, value.values()), default=0)
    return 1 + max(map(deep, value), default=0) if isinstance(value, list) else 0


def has_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return any(has_nul(key) or has_nul(each) for key, each in value.items())
    if isinstance(value, list):
        return any(map(has_nul, value))
    return isinstance(value, str) and "\x00" in value


@given(JSON, st.integers(1, 64), st.integers(0, 5), st.booleans())
def test_depth_and_nul_are_found_wherever_a_piece_ends(
    value: Any, piece: int, depth: int, plain: bool
) -> None:
    body = json.dumps(value, ensure_ascii=plain).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bodies, "PIECE", piece)
        try:
            bodies._look_through(body, depth)
            found = ""
        except BadRequest as refused:
            found = str(refused)
    if "NUL" in found:
        assert has_nul(value)
    elif found:
        assert deep(value) > depth
    else:
        assert not has_nul(value)
        assert deep(value) <= depth


@pytest.mark.parametrize(("size", "apart"), [(100, False), (bodies.AT_ONCE * 2, True)])
async def test_a_large_body_is_decoded_beside_the_loop(
    size: int, apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    real = bodies.decode

    def decode(*given: Any) -> Any:
        threads.append(threading.current_thread().name)
        return real(*given)

    monkeypatch.setattr(bodies, "decode", decode)
    async with serving() as live:
        assert (await echoed(live, b"x" * size)) == 200
        assert (await echoed(live, b"x" * size + b"\\u0000")) == 400
    assert [name == "npurun-tui server" for name in threads] == [not apart] * 2


async def echoed(live: Live, text: bytes) -> int:
    body = b'{"text":"' + text + b'"}'
    head = f"POST /v1/echo HTTP/1.1\nContent-Length: {len(body)}"
    return (await live.ask(head, body)).status


@pytest.mark.parametrize(
    "body",
    [
        b'{"text":"' + b"x" * (2 << 20) + b'"}',
        b'{"text":"' + b"\\\\" * (1 << 20) + b'u0000"}',
        b'{"text":"' + b"\\\\u0000" * 100_000 + b'"}',
        b'{"text":"' + b'\\"' * 100_000 + b"[" * 40_000 + b'"}',
    ],
)
def test_no_whole_body_goes_through_a_pattern(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern keeps the interpreter until it has done: it is given pieces only."""

    class Watched:
        longest = 0

        def sub(self, put: bytes, piece: bytes) -> bytes:
            self.longest = max(self.longest, len(piece))
            return real.sub(put, piece)

    real, watched = bodies._ESCAPE, Watched()
    monkeypatch.setattr(bodies, "_ESCAPE", watched)
    expected = msgspec.json.decode(body, type=Probe)
    assert bodies.decode(body, Probe, 64, "openai") == expected
    assert watched.longest <= bodies.PIECE + len(bodies.NUL)
