"""The way in: closed and full streams, odd environments, and never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX shell redirections")


def sh(script: str, home: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """`script` in a shell in which `$P` is the program."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("NPURUN_")}
    env |= {"NPURUN_TUI_HOME": str(home), "P": f"{sys.executable} -m npurun_tui", **environ}
    return subprocess.run(
        ["/bin/sh", "-c", script], env=env, capture_output=True, text=True, timeout=60, check=False
    )


@posix
@pytest.mark.parametrize(
    ("script", "status", "words"),
    [
        ("$P list >&-", 0, ""),
        ("$P list 2>&-", 0, ""),
        ("$P list <&-", 0, ""),
        ("$P list >/dev/full", 1, "No space left"),
        ("$P list --json >/dev/full", 1, "No space left"),
        ("$P <&-", 2, "needs a terminal"),
        ("$P run some-model - <&-", 2, "prompt is empty"),
        ("$P rm some-model <&-", 1, "some-model"),
        ("$P run m hi --addr '[::1'", 2, "not an address"),
        ("$P run m hi --addr 127.0.0.1:99999", 2, "not an address"),
        ("$P run m hi --addr http://user:secret@127.0.0.1:1", 2, "no password"),
        ("$P run m hi --addr 127.0.0.1:1 --auth-token é", 2, "token"),
        ("$P run m hi --top-p 0", 2, "--top-p"),
        ("$P run m hi --stop ''", 2, "--stop"),
        ("$P run m hi --max-tokens " + "9" * 5000, 2, "--max-tokens"),
    ],
)
def test_one_sentence_at_most(tmp_path: Path, script: str, status: int, words: str) -> None:
    done = sh(script, tmp_path)
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert len(done.stderr.splitlines()) <= 1
    assert "secret" not in done.stderr
    assert not list(tmp_path.glob("state/crash-*"))


@posix
@pytest.mark.parametrize(
    "environ",
    [
        {"ALL_PROXY": "socks5://127.0.0.1:1"},
        {"HTTP_PROXY": "foo://127.0.0.1:1"},
        {"SSL_CERT_FILE": "/nonexistent"},
    ],
)
def test_proxies_and_certificates_that_cannot_be_used(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    done = sh("$P run m hi --addr 127.0.0.1:1", tmp_path, **environ)
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr.splitlines()[-1]
    assert not list(tmp_path.glob("state/crash-*"))


@posix
@pytest.mark.parametrize("name", ["NPURUN_TUI_HOME", "NPURUN_MODELS_DIR"])
def test_a_home_of_nobody(tmp_path: Path, name: str) -> None:
    done = sh("$P list", tmp_path, **{name: "~nobody-of-this-name/x"})
    assert done.returncode == 2
    assert "absolute paths" in done.stderr
    assert len(done.stderr.splitlines()) == 1
