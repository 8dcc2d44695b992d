"""The catalog: every entry says what a person wants to know before pulling it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from npurun_tui.engine.spec import BACKEND_LABELS
from npurun_tui.errors import ModelError, ModelNotFound
from npurun_tui.models.builtin import CATALOG
from npurun_tui.models.catalog import CatalogEntry, PipIndexSource, UrlSource, find
from npurun_tui.models.names import fault_of_relative_path, normalise
from npurun_tui.models.pull.fetching import check_address
from npurun_tui.text import one_line

BUNDLES = [entry for entry in CATALOG if entry.backend == "genie"]


@pytest.mark.parametrize("entry", CATALOG, ids=lambda entry: entry.name)
def test_an_entry_is_complete(entry: CatalogEntry) -> None:
    assert normalise(entry.name) == entry.name
    assert entry.backend in BACKEND_LABELS
    for text in (entry.title, entry.arch, entry.parameters, entry.quant, entry.licence, entry.note):
        assert text
        assert one_line(text) == text
    assert entry.context > 0
    assert entry.installed_size > 0
    assert entry.download_size > 0
    if isinstance(entry.source, PipIndexSource):
        assert entry.download_size == entry.source.size
        assert entry.pinned
        assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
        assert re.fullmatch(r"[0-9a-f]{64}", entry.source.sha256)
        assert not fault_of_relative_path(entry.source.member)


@pytest.mark.parametrize("entry", BUNDLES, ids=lambda entry: entry.name)
def test_a_bundle_names_its_address_and_what_it_needs(entry: CatalogEntry) -> None:
    sources = [(entry.hexagon, entry.qnn_sdk, entry.source)]
    sources += [(each.hexagon, each.qnn_sdk, each.source) for each in entry.variants]
    for hexagon, sdk, source in sources:
        assert isinstance(source, UrlSource)
        assert source.packed
        check_address(source.url)
        assert re.fullmatch(r"v\d\d", hexagon)
        assert re.fullmatch(r"\d+\.\d+\.\d+", sdk)
    assert entry.template is not None
    assert "{user}" in entry.template.template
    assert not entry.pinned  # Qualcomm publishes no hashes: the screens must not say that there are


KNOWN = {
    ("phi-3.5-mini", "v73"): ("phi_3_5_mini_instruct", "v0.52.0", "2.43.1", 2.08),
    ("llama-v3-1-8b-instruct", "v73"): ("llama_v3_1_8b_instruct", "v0.52.0", "2.43.1", 4.5),
    ("qwen-2-5-7b", "v73"): ("qwen2_5_7b_instruct", "v0.52.0", "2.43.1", 4.3),
    ("qwen3-4b-instruct-2507", "v73"): ("qwen3_4b_instruct_2507", "v0.52.0", "2.45.0", 2.53),
    ("qwen3-4b-instruct-2507", "v81"): ("qwen3_4b_instruct_2507", "v0.56.0", "2.45.0", 3.1),
    ("qwen3-4b", "v73"): ("qwen3_4b", "v0.52.0", "2.45.0", 2.53),
    ("qwen3-4b", "v81"): ("qwen3_4b", "v0.50.2", "2.42.0", 3.1),
    ("qwen-2-5-vl-7b-instruct", "v73"): ("qwen2_5_vl_7b_instruct", "v0.52.0", "2.45.0", 4.9),
}
"""Of each bundle: its id at Qualcomm, its release, its QAIRT, and its size in GB."""
PLACE = "https://qaihub-public-assets.s3.us-west-2.amazonaws.com/qai-hub-models/models"
CHIPS = {"v73": "x_elite", "v81": "x2_elite"}


def test_the_bundles_are_those_that_are_known() -> None:
    found = {}
    for entry in BUNDLES:
        for hexagon in entry.hexagons:
            one = entry.suited([hexagon])
            found[entry.name, hexagon] = (str(one.source), one.qnn_sdk, one.download_size)
            assert (one.quant, one.context) == ("w4a16", 4096)
    assert found == {
        (name, hexagon): (
            f"{PLACE}/{model}/releases/{release}/{model}-genie-w4a16-qualcomm_snapdragon_"
            f"{CHIPS[hexagon]}.zip",
            qairt,
            round(size * 1e9),
        )
        for (name, hexagon), (model, release, qairt, size) in KNOWN.items()
    }


def test_the_variant_is_chosen_by_the_hexagon() -> None:
    entry = find("qwen3-4b")
    assert entry.suited(["v73"]) is entry
    assert entry.suited([]) is entry
    newer = entry.suited(["v81"])
    assert (newer.hexagon, newer.name) == ("v81", entry.name)
    assert str(newer.source).endswith("x2_elite.zip")
    assert find("phi-3.5-mini").suited(["v81"]).hexagon == "v73"


def test_names_are_unique() -> None:
    assert len({entry.name for entry in CATALOG}) == len(CATALOG)


def test_finding() -> None:
    assert find("smollm2-135m-instruct:latest") is find("smollm2-135m-instruct")
    with pytest.raises(ModelNotFound, match=r"It has: .*smollm2-135m-instruct"):
        find("gpt-7")
    with pytest.raises(ModelError, match="in the catalog"):
        find("../x")


def test_a_name_that_is_nearly_right() -> None:
    for wrong in ("smolm2-135m-instruct", "SmolLM2", "smollm2:135m", "smollm2-135m-instruct:q4"):
        with pytest.raises(ModelNotFound, match=r"Did you mean smollm2-135m-instruct\?"):
            find(wrong)
    with pytest.raises(ModelNotFound, match="mean qwen3-4b-instruct-2507 or qwen3-4b"):
        find("qwen3")


@pytest.mark.parametrize(
    "wrong", ["https://x.test/m.gguf", "hf.co/a/B-GGUF", "C:\\m.gguf", "m.gguf"]
)
def test_an_address_or_a_file_is_told_what_can_be_done_with_it(wrong: str) -> None:
    with pytest.raises(ModelNotFound, match="convert manifest FILE"):
        find(wrong)


def test_a_long_catalog_is_not_a_sentence() -> None:
    entries = [replace(CATALOG[0], name=f"model-{i}") for i in range(50)]
    with pytest.raises(ModelNotFound, match="`npurun-tui list` shows what it has"):
        find("gpt", entries)
