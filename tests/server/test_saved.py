"""The set-up between two runs: the same, never with a token's text, never less guarded than it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from npurun_tui.server.config import ServerConfig
from npurun_tui.server.saved import dump_config, load_config
from npurun_tui.server.tokens import hash_token

FULL = ServerConfig(
    host="0.0.0.0",
    port=8443,
    infer_token=hash_token("npt_one"),
    admin_token=hash_token("npt_two"),
    insecure=True,
    allowed_hosts=("box.lan",),
    cors_origins=("https://app.example",),
    tls_cert=Path("/certs/c.pem"),
    tls_key=Path("/certs/k.pem"),
    max_queue=3,
    keep_alive=-1.0,
    tools="strict",
    log_prompts=True,
)
DEFAULT = ServerConfig(max_queue=5)


@pytest.mark.parametrize("config", [FULL, ServerConfig()])
def test_it_comes_back_as_it_was(config: ServerConfig) -> None:
    text = dump_config(config)
    assert load_config(text, DEFAULT) == config
    assert "npt_" not in text


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", "[" * 100_000, '"x"', '{"infer_token": "ab"}']
)
def test_what_is_no_set_up_is_the_default(text: str) -> None:
    assert load_config(text, DEFAULT) == DEFAULT


@pytest.mark.parametrize("wrong", ["", "zz" * 32, "ab" * 31, 7, None, ["ab" * 32]])
def test_a_lost_hash_never_opens_the_server(wrong: object) -> None:
    found = json.loads(dump_config(FULL)) | {"infer_token": wrong}
    config = load_config(json.dumps(found), DEFAULT)
    if wrong != "":
        assert config == DEFAULT  # which is reached from this machine only


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("port", 70000), ("port", True), ("port", "80"), ("host", ""), ("host", 7), ("insecure", 1),
        ("max_queue", -1), ("keep_alive", "5m"), ("tools", "all"), ("allowed_hosts", "box"),
        ("cors_origins", [7]), ("tls_cert", None), ("log_prompts", "yes"), ("keep_alive", float("nan")),
    ],
)  # fmt: skip
def test_a_field_that_is_not_right_is_the_default(name: str, wrong: object) -> None:
    found = json.loads(dump_config(FULL)) | {name: wrong}
    config = load_config(json.dumps(found), DEFAULT)
    assert getattr(config, name) == getattr(DEFAULT, name)
    assert config.infer_token == FULL.infer_token
