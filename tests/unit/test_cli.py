"""The way in: closed and full streams, odd environments, and never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from npurun_tui.crash import crash_report

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
        ("$P pull nothing-of-this-name --json >/dev/full", 1, "No space left"),
        ("$P --help >/dev/full", 1, "No space left"),
        ("$P --version >/dev/full", 1, "No space left"),
        ("$P --help >&-", 0, ""),
        ("$P nonsense 2>/dev/full", 2, ""),
        ("$P nonsense 2>&-", 2, ""),
        ("$P run >&-", 2, "required"),
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


PROXIES = [
    {"ALL_PROXY": "socks5://user:secret@127.0.0.1:1"},
    {"HTTP_PROXY": "foo://user:secret@127.0.0.1:1"},
    {"HTTP_PROXY": "http://user:secret@[::1"},
]


@posix
@pytest.mark.parametrize("environ", PROXIES)
def test_proxies_that_cannot_be_used(tmp_path: Path, environ: dict[str, str]) -> None:
    done = sh("$P run m hi --addr host.invalid:1", tmp_path, **environ)
    assert done.returncode == 1
    assert "proxy" in done.stderr
    assert "secret" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.glob("state/crash-*"))


@posix
@pytest.mark.parametrize("address", ["https://127.0.0.1:1", "127.0.0.1:1", "a" * 70 + ".invalid"])
def test_certificates_that_are_not_there(tmp_path: Path, address: str) -> None:
    done = sh(f"$P run m hi --addr {address}", tmp_path, SSL_CERT_FILE="/nonexistent")
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@posix
@pytest.mark.parametrize("name", ["NPURUN_TUI_HOME", "NPURUN_MODELS_DIR"])
def test_a_home_of_nobody(tmp_path: Path, name: str) -> None:
    done = sh("$P list", tmp_path, **{name: "~nobody-of-this-name/x"})
    assert done.returncode == 2
    assert "absolute paths" in done.stderr
    assert len(done.stderr.splitlines()) == 1


# --- interrupts and faults ---------------------------------------------------------------------

PRESSED = """
import signal, sys

class Press:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            sys.meta_path.remove(press)
            signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent in the background has it ignored
press = Press()
sys.meta_path.insert(0, press)
from npurun_tui.cli import main
sys.exit(main(sys.argv[2:]))
"""


def python(script: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A child process that runs `script`."""
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, "NPURUN_TUI_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("npurun_tui.errors", ["list"]),
        ("npurun_tui.settings", ["list"]),
        ("platformdirs", ["list"]),
        ("npurun_tui.commandline", ["list"]),
        ("argparse", ["list"]),
        ("npurun_tui.commands.listing", ["list"]),
        ("npurun_tui.launch", []),
        ("npurun_tui.settings", []),
    ],
)
def test_an_interrupt_while_modules_are_read(
    tmp_path: Path, module: str, arguments: list[str]
) -> None:
    done = python(PRESSED, tmp_path, module, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_the_way_in_imports_nothing_before_it_can_take_an_interrupt(tmp_path: Path) -> None:
    script = (
        "import sys; before = set(sys.modules); import npurun_tui.cli; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = python(script, tmp_path)
    assert done.stdout.split() == ["__future__", "npurun_tui", "npurun_tui.cli"]


def test_the_workbench_is_opened_without_the_table_of_commands(tmp_path: Path) -> None:
    script = (
        "import sys; from npurun_tui.cli import main; status = main([]); "
        "print(status, 'argparse' in sys.modules)"
    )
    assert python(script, tmp_path).stdout == "2 False\n"


def test_a_fault_where_there_is_no_home_is_one_sentence(tmp_path: Path) -> None:
    script = """
import os, sys
from npurun_tui import cli
os.environ["NPURUN_TUI_HOME"] = "~nobody-of-this-name/x"
def fail(_): raise ZeroDivisionError
cli._run = fail
sys.exit(cli.main(["list"]))
"""
    done = python(script, tmp_path)
    assert done.returncode == 1
    assert "no crash file could be written" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_report_of_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", nobody)
    assert "ZeroDivisionError" in crash_report(ZeroDivisionError())
