"""Which file a session becomes, and what is said when it cannot."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from npurun_tui.bench.exports import EXPORTS, export
from npurun_tui.bench.exports.csv_import import read_csv
from npurun_tui.errors import DiskFull, ExportFailed, UsageError
from tests.bench import export_sessions as made


@pytest.mark.parametrize("suffix", sorted(EXPORTS))
@pytest.mark.parametrize("name", ["against", "hostile", "nothing"])
def test_the_suffix_chooses(suffix: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / f"bench{suffix.upper()}"
    path.write_text("old")
    export(made.EVERY[name](), path)
    text = path.read_bytes().decode("utf-8")
    assert list(tmp_path.iterdir()) == [path]
    match suffix:
        case ".json":
            assert "summary" in json.loads(text)
        case ".csv":
            assert len(read_csv(path)) == len(made.EVERY[name]().runs)
        case ".svg":
            assert ET.fromstring(text.encode()).tag.endswith("svg")  # noqa: S314
        case ".html":
            assert text.startswith("<!DOCTYPE html>")
        case ".md":
            assert text.startswith("### Bench of ")


@pytest.mark.parametrize("name", ["bench", "bench.txt", "bench.json.bak", ".svg"])
def test_another_suffix_is_told_which_there_are(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.json, \.csv, \.md, \.svg or \.html"):
        export(made.plain(1), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        export(made.plain(1), tmp_path / "typo" / "bench.md")
    assert not (tmp_path / "typo").exists()


def test_a_folder_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "bench.md").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        export(made.plain(1), tmp_path / "bench.md")


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, DiskFull), (errno.EIO, ExportFailed)])
def test_what_was_there_stays_when_it_cannot_be_written(
    number: int, kind: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk shows at fsync; no test can fill the one it runs on."""
    path = tmp_path / "bench.svg"
    path.write_text("old")

    def fails(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(kind) as caught:
        export(made.plain(1), path)
    assert str(path) in str(caught.value)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes, links and pipes")
def test_it_is_written_as_any_output(tmp_path: Path) -> None:
    usual, path, link = tmp_path / "usual", tmp_path / "bench.md", tmp_path / "link.md"
    usual.touch()
    link.symlink_to(path)
    export(made.plain(1), link)
    assert path.stat().st_mode == usual.stat().st_mode
    assert link.is_symlink()
    pipe = tmp_path / "pipe.md"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        export(made.plain(1), pipe)
        assert os.read(reader, 1 << 16) == path.read_bytes()
    finally:
        os.close(reader)


def test_naming_the_exports_loads_none_of_them() -> None:
    """The Bench tab lists them; what makes them is imported when one is made."""
    import subprocess

    code = (
        "import sys, npurun_tui.bench.exports\nprint([m for m in sys.modules if 'exports.' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
