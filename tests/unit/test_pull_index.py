"""Which index is asked: pip's and uv's configuration, from the environment and from their files."""

from __future__ import annotations

import os
from pathlib import Path

import pypi_simple
import pytest

from npurun_tui.models.pull.index import Index, IndexConfig, configured
from tests.support.pulling import only_index


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing configured: no variables, no files but those of the test."""
    only_index(monkeypatch, "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def resolve(**environ: str) -> IndexConfig:
    return configured({"PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1", **environ})


def urls(config: IndexConfig) -> list[str]:
    return [index.url for index in config.indexes]


def pip_file(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / "pip.conf"
    path.write_text(text)
    return {"PIP_CONFIG_FILE": str(path)}


def test_nothing_configured_means_the_library_s_own_default() -> None:
    config = resolve()
    assert urls(config) == [pypi_simple.PYPI_SIMPLE_ENDPOINT.rstrip("/")]
    assert config.certificates is None
    assert config.proxy == ""


def test_the_environment_names_the_main_index_and_further_ones() -> None:
    config = resolve(
        PIP_INDEX_URL="https://a.test/simple/",
        PIP_EXTRA_INDEX_URL="https://b.test/s https://c.test/s",
    )
    assert urls(config) == ["https://a.test/simple", "https://b.test/s", "https://c.test/s"]


@pytest.mark.parametrize(("value", "off"), [("1", True), ("True", True), ("0", False), ("", False)])
def test_an_index_that_is_turned_off_is_not_asked(tmp_path: Path, value: str, off: bool) -> None:
    named = {"PIP_INDEX_URL": "https://a.test/s", "PIP_EXTRA_INDEX_URL": "https://b.test/s"}
    assert (urls(resolve(PIP_NO_INDEX=value, **named)) == []) is off
    file = pip_file(tmp_path, f"[global]\nno-index = {value}\n")
    assert (urls(resolve(**named, **file)) == []) is off


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"UV_DEFAULT_INDEX": "https://uv.test/simple"}, "https://uv.test/simple"),
        ({"UV_DEFAULT_INDEX": "corp=https://uv.test/simple"}, "https://uv.test/simple"),
        ({"UV_INDEX_URL": "https://old.test/simple"}, "https://old.test/simple"),
        (
            {"PIP_INDEX_URL": "https://pip.test/s", "UV_INDEX_URL": "https://uv.test/s"},
            "https://pip.test/s",
        ),
    ],
)
def test_uv_is_understood_and_pip_comes_first(environ: dict[str, str], expected: str) -> None:
    assert urls(resolve(**environ))[0] == expected


def test_uv_s_named_further_indexes() -> None:
    config = resolve(
        PIP_INDEX_URL="https://a.test/s", UV_INDEX="x=https://x.test/s?q=1 https://y.test/s"
    )
    assert urls(config) == ["https://a.test/s", "https://x.test/s", "https://y.test/s"]


def test_credentials_are_kept_apart_and_never_shown() -> None:
    config = resolve(PIP_INDEX_URL="https://us%40er:p%2Fw@host.test:8443/simple/")
    assert config.indexes == (Index("https://host.test:8443/simple", ("us@er", "p/w")),)
    assert "p/w" not in repr(config)


def test_pip_s_file_is_read(tmp_path: Path) -> None:
    environ = pip_file(
        tmp_path,
        "[global]\nindex_url = https://file.test/simple\nextra-index-url =\n    https://one.test/s\n    https://two.test/s\n"
        "cert = /tmp/bundle.pem\nproxy = http://proxy.test:3128\n[install]\nindex-url = https://install.test/simple\n",
    )
    config = resolve(**environ)
    assert urls(config) == [
        "https://install.test/simple",
        "https://one.test/s",
        "https://two.test/s",
    ]
    assert config.certificates == Path("/tmp/bundle.pem")
    assert config.proxy == "http://proxy.test:3128"


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    environ = pip_file(tmp_path, "[global]\nindex-url = https://file.test/simple\n")
    assert urls(resolve(**environ, PIP_INDEX_URL="https://env.test/s"))[0] == "https://env.test/s"


@pytest.mark.parametrize("text", ["index-url = x", "[global", "\x00\xff", "[global]\n= 1\n"])
def test_a_broken_file_counts_as_empty(tmp_path: Path, text: str) -> None:
    assert urls(resolve(**pip_file(tmp_path, text))) == [
        pypi_simple.PYPI_SIMPLE_ENDPOINT.rstrip("/")
    ]


def test_the_user_s_file_is_found_where_pip_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.name == "nt":
        pytest.skip("the folder comes from the registry there")
    monkeypatch.delenv("PIP_CONFIG_FILE")
    folder = tmp_path / "home" / ".pip"
    folder.mkdir(parents=True)
    (folder / "pip.conf").write_text("[global]\nindex-url = https://user.test/simple\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert urls(configured({"UV_NO_CONFIG": "1"}))[0] == "https://user.test/simple"


def test_uv_s_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "uv.toml"
    path.write_text(
        '[[index]]\nurl = "https://more.test/s"\n[[index]]\nurl = "https://main.test/s"\ndefault = true\n'
        '[[index]]\nurl = "https://only-named.test/s"\nexplicit = true\n[[index]]\nname = "no url"\n'
    )
    config = configured({"PIP_CONFIG_FILE": os.devnull, "UV_CONFIG_FILE": str(path)})
    assert urls(config) == ["https://main.test/s", "https://more.test/s"]


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "index = 3",
        "index = [1]",
        "\xff",
        'index-url = ["https://a.test"]',
        "a = " + "[" * 9999,
    ],
    ids=lambda text: text[:6],
)
def test_a_strange_uv_file_does_no_harm(tmp_path: Path, text: str) -> None:
    path = tmp_path / "uv.toml"
    path.write_bytes(text.encode("latin-1"))
    assert configured({"PIP_CONFIG_FILE": os.devnull, "UV_CONFIG_FILE": str(path)}).indexes


@pytest.mark.parametrize(
    "address",
    [
        "file:///opt/simple",
        "ftp://a.test/s",
        "https://",
        "http://[",
        "https://a.test:99999/s",
        "nonsense",
    ],
)
def test_what_is_no_web_address_is_left_out(address: str) -> None:
    assert resolve(PIP_INDEX_URL=address).indexes == ()


def test_an_ipv6_index_keeps_its_brackets() -> None:
    assert urls(resolve(PIP_INDEX_URL="http://u:p@[::1]:3141/root/")) == ["http://[::1]:3141/root"]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"PIP_CERT": "/a.pem", "SSL_CERT_FILE": "/b.pem"}, Path("/a.pem")),
        ({"SSL_CERT_FILE": "/b.pem", "REQUESTS_CA_BUNDLE": "/c.pem"}, None),
        ({"REQUESTS_CA_BUNDLE": "/c.pem"}, Path("/c.pem")),
    ],
)
def test_which_certificates(environ: dict[str, str], expected: Path | None) -> None:
    assert resolve(**environ).certificates == expected
