"""The catalog: every entry says what a person wants to know before pulling it."""

from __future__ import annotations

import re

import pytest

from npurun_tui.engine.spec import BACKEND_LABELS
from npurun_tui.errors import ModelError, ModelNotFound
from npurun_tui.models.catalog import CATALOG, CatalogEntry, find
from npurun_tui.models.names import fault_of_relative_path, normalise
from npurun_tui.text import one_line


@pytest.mark.parametrize("entry", CATALOG, ids=lambda entry: entry.name)
def test_an_entry_is_complete(entry: CatalogEntry) -> None:
    assert normalise(entry.name) == entry.name
    assert entry.backend in BACKEND_LABELS
    for text in (entry.title, entry.arch, entry.parameters, entry.quant, entry.licence, entry.note):
        assert text
        assert one_line(text) == text
    assert entry.context > 0
    assert entry.installed_size > 0
    assert entry.download_size == entry.source.size > 0
    assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
    assert re.fullmatch(r"[0-9a-f]{64}", entry.source.sha256)
    assert not fault_of_relative_path(entry.source.member)


def test_names_are_unique() -> None:
    assert len({entry.name for entry in CATALOG}) == len(CATALOG)


def test_finding() -> None:
    assert find("smollm2-135m-instruct:latest") is find("smollm2-135m-instruct")
    with pytest.raises(ModelNotFound, match=r"It has: .*smollm2-135m-instruct"):
        find("gpt-7")
    with pytest.raises(ModelError, match="not a model name"):
        find("../x")
