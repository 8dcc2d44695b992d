"""The small choices kept between runs: whatever stands in their file, the program starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from npurun_tui.settings import Remembered


@pytest.mark.parametrize("content", ["[" * 100_000, '{"theme": ' * 100_000])
def test_a_deeply_nested_memory_counts_as_empty(tmp_path: Path, content: str) -> None:
    path = tmp_path / "remembered.json"
    path.write_text(content)
    remembered = Remembered(path)
    assert remembered.get("theme") == ""
    remembered.set("theme", "nord")
    assert Remembered(path).get("theme") == "nord"
