"""`version`: what is here and where it was found, also where the Genie library is broken."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from npurun_tui import __version__
from tests.support.native import compiled, genie_of

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a C compiler called cc")


def program(home: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NPURUN_", "QNN_"))}
    return subprocess.run(
        [sys.executable, "-m", "npurun_tui", *arguments],
        env={**kept, "NPURUN_TUI_HOME": str(home), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_versions_in_words(tmp_path: Path) -> None:
    done = program(tmp_path, "version")
    assert (done.returncode, done.stderr) == (0, "")
    lines = dict(line.strip().split("  ", 1) for line in done.stdout.splitlines())
    assert lines["npurun-tui"] == __version__
    assert platform.python_version() in lines["Python"]
    assert lines["CPU engine"].startswith("xllamacpp ")


@posix
def test_the_library_is_asked_in_a_process_of_its_own(tmp_path: Path) -> None:
    library = compiled(tmp_path, genie_of(1, 19, 0))
    done = program(tmp_path, "version", "--json", NPURUN_GENIE_LIB=str(library))
    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert document["genie"]["api"] == "1.19.0"
    assert document["genie"]["source"] == "NPURUN_GENIE_LIB"
    assert document["genie"]["library"] == str(library)
    assert document["python"]["version"] == platform.python_version()
    assert document["npurun_tui"] == __version__


@posix
def test_a_library_that_crashes_is_a_sentence_and_status_0(tmp_path: Path) -> None:
    body = "__attribute__((constructor)) static void die(void) { __builtin_trap(); }"
    library = compiled(tmp_path, body)
    done = program(tmp_path, "version", NPURUN_GENIE_LIB=str(library))
    assert (done.returncode, done.stderr) == (0, "")
    assert "Opening the library ended the process that opened it (SIG" in done.stdout
    document = json.loads(
        program(tmp_path, "version", "--json", NPURUN_GENIE_LIB=str(library)).stdout
    )
    assert document["genie"]["api"] is None
    assert "ended the process" in document["genie"]["error"]


def test_a_library_that_is_not_there(tmp_path: Path) -> None:
    done = program(tmp_path, "version", "--json", NPURUN_GENIE_LIB=str(tmp_path / "none.so"))
    assert done.returncode == 0
    assert json.loads(done.stdout)["genie"] is None


def test_help_names_the_licence(tmp_path: Path) -> None:
    words = " ".join(program(tmp_path, "--help").stdout.split())
    assert "onnxruntime-qnn" in words
    assert "Qualcomm's own licence covers" in words
