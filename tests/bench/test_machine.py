"""What a session says of the machine is what the machine says of itself."""

from __future__ import annotations

import os
import sys
from typing import Any

import psutil
import pytest

from npurun_tui import __version__
from npurun_tui.bench.machine import machine_facts, power
from npurun_tui.hardware.probe import probe


def test_the_facts_are_this_machine_s() -> None:
    facts, hardware = machine_facts(), probe()
    assert facts.program == __version__
    assert facts.cores == os.cpu_count()
    assert facts.memory_mb == pytest.approx(psutil.virtual_memory().total / 1e6, abs=1)
    assert facts.system == hardware.system.value
    assert facts.soc == (hardware.soc.value or "")
    assert facts.npu == (hardware.npu.value or "")


def test_the_machine_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = machine_facts()
    monkeypatch.setattr("npurun_tui.hardware.probe.probe", lambda: pytest.fail("asked again"))
    assert machine_facts() == first


class Battery:
    def __init__(self, plugged: bool | None) -> None:
        self.power_plugged = plugged


@pytest.mark.parametrize(
    ("battery", "words"),
    [(None, ""), (Battery(None), ""), (Battery(True), "mains"), (Battery(False), "battery")],
)
def test_the_power_is_what_the_battery_says(
    monkeypatch: pytest.MonkeyPatch, battery: Battery | None, words: str
) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    assert power() == words
    assert machine_facts().power == words


def test_a_battery_that_cannot_be_read_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        raise OSError(5, "gone")

    monkeypatch.setattr(psutil, "sensors_battery", fail, raising=False)
    assert power() == ""


@pytest.mark.skipif(sys.platform != "linux", reason="a recorded Linux way")
def test_a_system_without_batteries_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(psutil, "sensors_battery", raising=False)
    assert power() == ""
