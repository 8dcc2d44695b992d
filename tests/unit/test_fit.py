"""Whether a model runs here: what the machine says of its NPU, and what nobody says of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from npurun_tui.errors import EngineUnavailable
from npurun_tui.hardware import windows
from npurun_tui.hardware.facts import Fact
from npurun_tui.hardware.inventory import Inventory
from npurun_tui.models.builtin import CATALOG
from npurun_tui.models.catalog import CatalogEntry, find
from npurun_tui.models.fit import Fit, MachineFacts, facts_of, fit
from tests.unit.test_doctor import LAPTOP, laptop

GIB = 1 << 30
BOTH = find("qwen3-4b")
"""There is a bundle of it for each of the two Hexagons of laptops."""
SMALL = CATALOG[0]
X2 = Fact("Snapdragon(R) X2 Elite - X2E80100 - Qualcomm(R) Hexagon(TM) NPU")
STRANGE = Fact("Some other NPU")


def facts(found: Inventory, memory: int = 32 * GIB) -> MachineFacts:
    return facts_of(found, memory)


def with_npu(found: Inventory, npu: Fact, *archs: str) -> Inventory:
    """`found` with another NPU, and a runtime that has the libraries for `archs`."""
    assert found.runtime is not None
    runtime = replace(found.runtime, archs=archs)
    hardware = replace(LAPTOP, npu=npu, soc=Fact("a processor"))
    return replace(found, hardware=hardware, runtime=runtime)


def chosen(machine: MachineFacts, entry: CatalogEntry = BOTH) -> tuple[str, Fit]:
    """The Hexagon of the bundle that would be pulled, and what is said of it."""
    return entry.suited(machine.hexagons).hexagon, fit(entry, machine)


def test_each_laptop_gets_the_bundle_for_its_hexagon(tmp_path: Path) -> None:
    found = laptop(tmp_path)
    assert chosen(facts(found)) == (
        "v73",
        Fit(runs=True, words="It runs here, on the NPU (Hexagon v73)."),
    )
    assert chosen(facts(with_npu(found, X2, "v73", "v81"))) == (
        "v81",
        Fit(runs=True, words="It runs here, on the NPU (Hexagon v81)."),
    )
    only_v73 = find("phi-3.5-mini")
    _, fits = chosen(facts(with_npu(found, X2, "v73", "v81")), only_v73)
    assert (fits.runs, fits.sure) == (False, True)
    assert fits.words == "It is compiled for Hexagon v73; this machine's NPU is a v81."


def test_a_runtime_without_the_libraries_of_this_chip_is_no_reason_to_pull_for_another(
    tmp_path: Path,
) -> None:
    machine = facts(with_npu(laptop(tmp_path), X2, "v68", "v73"))
    _, fits = chosen(machine)
    assert (fits.runs, fits.sure) == (False, True)
    assert "no libraries for Hexagon v81, which a Snapdragon X2 has" in fits.words


@pytest.mark.parametrize("npu", [STRANGE, Fact("could not be asked (PowerShell)", found=False)])
def test_where_nobody_says_which_hexagon_is_here_nothing_is_promised(
    tmp_path: Path, npu: Fact
) -> None:
    machine = facts(with_npu(laptop(tmp_path), npu, "v73", "v81"))
    _, fits = chosen(machine)
    assert (fits.runs, fits.sure) == (True, False)
    assert "(v73 or v81) is not known" in fits.words
    one = facts(with_npu(laptop(tmp_path / "one"), npu, "v73"))
    assert chosen(one)[1].sure is npu.found, "an NPU that was seen has the only Hexagon there is"


def test_machines_without_an_npu_say_why(tmp_path: Path) -> None:
    found = laptop(tmp_path)
    none = replace(found, hardware=windows.read('{"processor": "x86"}'))
    _, fits = chosen(facts(none))
    assert (fits.runs, fits.words) == (
        False,
        "It needs a Snapdragon's NPU. None was found here.",
    )
    silent = replace(found, hardware=windows.read("no JSON"), runtime=None)
    assert chosen(facts(silent))[1].words.endswith("Whether there is one here is not known.")
    bare = replace(found, runtime=None, unavailable=EngineUnavailable("There is no Genie."))
    assert chosen(facts(bare))[1].words.endswith("There is no Genie.")
    empty = with_npu(found, LAPTOP.npu)
    assert chosen(facts(empty))[1].words.endswith("has no libraries for an NPU.")
    assert all(not facts(each).hexagons for each in (none, silent, bare, empty))


def test_an_older_runtime_than_the_bundle_was_made_with_promises_nothing(tmp_path: Path) -> None:
    found = laptop(tmp_path)
    assert found.runtime is not None
    old = replace(found, runtime=replace(found.runtime, qairt="2.43.1"))
    _, fits = chosen(facts(old))
    assert (fits.runs, fits.sure) == (True, False)
    assert fits.words.endswith("with QAIRT 2.45.0, newer than the 2.43.1 found.")
    patch = replace(found, runtime=replace(found.runtime, qairt="2.45.9"))
    assert chosen(facts(patch))[1].sure


def test_a_catalog_that_names_no_hexagon(tmp_path: Path) -> None:
    entry = replace(BOTH, hexagon="", variants=())
    fits = fit(entry, facts(laptop(tmp_path)))
    assert (fits.runs, fits.sure) == (True, False)
    assert "Hexagon v73; its catalog does not say" in fits.words


def test_memory_and_the_cpus_engine(tmp_path: Path) -> None:
    found = laptop(tmp_path)
    assert fit(SMALL, facts(found)).words == "It runs here, on the CPU."
    assert not fit(SMALL, facts(replace(found, cpu_engine=Fact("", found=False)))).runs
    assert not fit(BOTH, facts(found, memory=2 * GIB)).runs
