"""An endpoint as people write it."""

from __future__ import annotations

import pytest

from npurun_tui.bench.endpoint import Address, address_of, is_address
from npurun_tui.errors import UsageError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:11434", Address("http://127.0.0.1:11434")),
        ("localhost:8080#gemma3:4b", Address("http://localhost:8080", None, "gemma3:4b")),
        ("http://host/v1", Address("http://host", "openai")),
        ("https://host/openai/v1/", Address("https://host/openai", "openai")),
        ("http://host:1/v1/chat/completions", Address("http://host:1", "openai")),
        ("http://host:1/api", Address("http://host:1", "ollama")),
        ("http://host:1/api/chat#m", Address("http://host:1", "ollama", "m")),
        ("http://[::1]:9/v1#a/b@c#d", Address("http://[::1]:9", "openai", "a/b@c#d")),
        ("host/prefix", Address("http://host/prefix")),
    ],
)
def test_what_is_meant(text: str, address: Address) -> None:
    assert is_address(text)
    assert address_of(text) == address


def test_a_place_for_people_has_no_scheme() -> None:
    assert address_of("https://host:1/openai/v1").where == "host:1/openai"


@pytest.mark.parametrize("name", ["qwen3-4b", "smollm2-135m-instruct:latest", "cpu", "a.b_c"])
def test_names_of_models_are_no_addresses(name: str) -> None:
    assert not is_address(name)


@pytest.mark.parametrize(
    "text",
    [
        "ftp://host",
        "http://",
        "http://host:0",
        "http://host:99999",
        "http://[::1",
        "host:1?x=y",
        "/a",
    ],
)
def test_what_cannot_be_one_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not an endpoint's address") as caught:
        address_of(text)
    assert "#MODEL" in caught.value.mend


def test_a_password_is_not_taken_and_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        address_of("http://me:secret@host/v1#m")
    assert caught.value.mend == "Give the token with --baseline-token."
    assert "secret" not in str(caught.value)


def test_what_is_shown_is_one_printable_line() -> None:
    with pytest.raises(UsageError) as caught:
        address_of("ftp://a\x1b[31m\nb/")
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)
