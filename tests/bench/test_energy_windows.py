"""The sources of Windows, as far as they can run elsewhere: everything between the system's library and the reading.

`StandIn` speaks PDH's C interface, so the calls, the structures and the buffers are the real ones; what it answers
comes from the fixtures.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.bench.energy.discharge import Discharge, discharge
from npurun_tui.bench.energy.npu import MEMORY, RENEWED, USE, NpuLoad
from npurun_tui.bench.energy.pdh import Counters, PdhFailed
from npurun_tui.bench.energy.rails import ENERGY, EnergyMeter, choose
from npurun_tui.bench.energy.source import SourceAbsent
from npurun_tui.bench.energy.zones import ZONES, ThermalZones

FIXTURES = Path(__file__).parent / "fixtures"
METERS = json.loads((FIXTURES / "windows_energy_meter.json").read_text("utf-8"))
GPU = json.loads((FIXTURES / "windows_gpu_counters.json").read_text("utf-8"))
BATTERY = (FIXTURES / "windows_battery.jsonl").read_bytes().splitlines()

_VOID, _U32 = ctypes.c_void_p, ctypes.c_uint32
_U32P = ctypes.POINTER(_U32)
MORE_DATA, NO_OBJECT, NO_DATA = 0x800007D2, 0xC0000BB8, 0x800007D5


class Item(ctypes.Structure):
    """As Pdh.h has it, written down a second time."""

    _fields_ = (
        ("szName", ctypes.c_void_p),
        ("CStatus", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
        ("doubleValue", ctypes.c_double),
    )


class StandIn:
    """pdh.dll with the counters of `tables`: path to instances and values. A path that is not in it does not exist."""

    def __init__(self, tables: dict[str, dict[str, float]]) -> None:
        self.tables = tables
        self.open_queries = 0
        self.opened = 0
        self.formats: set[int] = set()
        self.bad: set[str] = set()
        self.collect_status = 0
        self.array_status = 0
        self.grows = 0
        self.looks = 0
        self.seen_from = 1
        self._paths: list[str] = []
        function = ctypes.CFUNCTYPE
        self.PdhOpenQueryW = function(_U32, _VOID, ctypes.c_size_t, _VOID)(self._open)
        self.PdhAddEnglishCounterW = function(
            _U32, _VOID, ctypes.c_wchar_p, ctypes.c_size_t, _VOID
        )(self._add)
        self.PdhCollectQueryData = function(_U32, _VOID)(self._collect)
        self.PdhGetFormattedCounterArrayW = function(_U32, _VOID, _U32, _VOID, _VOID, _VOID)(
            self._array
        )
        self.PdhCloseQuery = function(_U32, _VOID)(self._close)

    def counters(self, paths: list[str]) -> Counters:
        return Counters(paths, self)

    def _open(self, _source: Any, _data: int, query: int) -> int:
        self.open_queries += 1
        self.opened += 1
        ctypes.cast(query, ctypes.POINTER(_VOID))[0] = 77
        return 0

    def _close(self, query: int) -> int:
        assert query == 77
        self.open_queries -= 1
        return 0

    def _add(self, query: int, path: str, _data: int, counter: int) -> int:
        assert query == 77
        if path not in self.tables:
            return NO_OBJECT
        self._paths.append(path)
        ctypes.cast(counter, ctypes.POINTER(_VOID))[0] = len(self._paths)
        return 0

    def _collect(self, _query: int) -> int:
        self.looks += 1
        return self.collect_status

    def _array(self, counter: int, form: int, size: int, count: int, buffer: int | None) -> int:
        self.formats.add(form)
        table = self.tables[self._paths[counter - 1]]
        if self.array_status:
            return self.array_status
        if not table or self.looks < self.seen_from:
            return NO_DATA
        if buffer is not None and self.grows:
            self.grows -= 1
            table[f"grown {self.grows}"] = 1.0
            ctypes.cast(size, _U32P)[0] = 1  # not to be relied on, says the documentation
            return MORE_DATA
        names = [ctypes.create_unicode_buffer(name) for name in table]
        head = ctypes.sizeof(Item) * len(table)
        needed = head + sum(ctypes.sizeof(name) for name in names)
        have = ctypes.cast(size, _U32P)
        enough = buffer is not None and have[0] >= needed
        have[0] = needed
        ctypes.cast(count, _U32P)[0] = len(table)
        if not enough or buffer is None:
            return MORE_DATA
        at = buffer + head
        for index, ((name, value), text) in enumerate(zip(table.items(), names, strict=True)):
            ctypes.memmove(at, text, ctypes.sizeof(text))
            item = Item.from_address(buffer + index * ctypes.sizeof(Item))
            item.szName, item.doubleValue = at, value
            item.CStatus = 0xC0000BBA if name in self.bad else index % 2
            at += ctypes.sizeof(text)
        return 0


# --- the library -------------------------------------------------------------------------------


def test_instances_come_through_the_c_interface() -> None:
    pdh = StandIn({ENERGY: METERS["x1"]})
    counters = pdh.counters([ENERGY])
    counters.collect()
    assert dict(counters.values(ENERGY)) == METERS["x1"]
    assert pdh.formats == {0x9200}  # double, unscaled, uncapped
    pdh.bad.add("GPU")
    assert "GPU" not in dict(counters.values(ENERGY))
    counters.close()
    counters.close()
    assert pdh.open_queries == 0


def test_a_list_that_grows_meanwhile_is_asked_for_anew() -> None:
    pdh = StandIn({ENERGY: dict(METERS["x1"])})
    counters = pdh.counters([ENERGY])
    counters.collect()
    pdh.grows = 2
    found = dict(counters.values(ENERGY))
    assert found == {**METERS["x1"], "grown 0": 1.0, "grown 1": 1.0}
    pdh.grows = 99
    with pytest.raises(PdhFailed, match="never stood still"):
        counters.values(ENERGY)
    counters.close()


@pytest.mark.parametrize("status", [0x800007D6, 0x800007D7, 0x800007D8, 0xC0000BC6])
def test_two_looks_of_which_no_rate_can_be_made_are_no_failure(status: int) -> None:
    pdh = StandIn({ENERGY: METERS["x1"]})
    counters = pdh.counters([ENERGY])
    counters.collect()
    pdh.array_status = status
    assert counters.values(ENERGY) == []
    pdh.array_status = 0xC0000BBC  # the handle is not valid
    with pytest.raises(PdhFailed, match="0xc0000bbc"):
        counters.values(ENERGY)
    counters.close()


def test_a_counter_that_does_not_exist() -> None:
    pdh = StandIn({})
    with pytest.raises(SourceAbsent, match=r"Windows has no counter \\Energy Meter"):
        pdh.counters([ENERGY])
    assert pdh.open_queries == 0


def test_failures_name_the_call_and_its_status() -> None:
    pdh = StandIn({ENERGY: METERS["x1"]})
    counters = pdh.counters([ENERGY])
    pdh.collect_status = 0xC0000BC4
    with pytest.raises(PdhFailed, match="PdhCollectQueryData: 0xc0000bc4"):
        counters.collect()
    pdh.collect_status = NO_DATA  # nothing yet is no failure
    counters.collect()
    counters.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has the library")
def test_without_the_library() -> None:
    with pytest.raises(SourceAbsent, match=r"pdh\.dll"):
        Counters([ENERGY])


# --- the energy meters -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("machine", "rails", "covers"),
    [
        ("x1", ["SYS"], "the whole machine"),
        ("x2", ["system"], "the whole machine"),
        (
            "intel",
            ["RAPL_Package0_PKG", "RAPL_Package0_DRAM"],
            "the processor package and its memory",
        ),
    ],
)
def test_which_rails_are_counted(machine: str, rails: list[str], covers: str) -> None:
    assert choose(METERS[machine]) == (rails, covers)


def test_without_the_system_the_soc_and_its_memory_are_counted() -> None:
    rails = {name: value for name, value in METERS["x2"].items() if name != "system"}
    assert choose(rails) == (["soc", "memory"], "the SoC and its memory")


def test_rails_that_do_not_contain_the_npu_are_refused() -> None:
    meter = EnergyMeter(StandIn({ENERGY: METERS["clusters"]}).counters)
    with pytest.raises(SourceAbsent, match="there are: CPU_CLUSTER_0, CPU_CLUSTER_1"):
        meter.open()
    with pytest.raises(SourceAbsent, match="no energy meters"):
        EnergyMeter(StandIn({ENERGY: {}}).counters).open()


def test_picowatt_hours_become_joules() -> None:
    pdh = StandIn({ENERGY: dict(METERS["x1"])})
    meter = EnergyMeter(pdh.counters)
    meter.open()
    assert meter.read(()) == {"joules": 0}
    pdh.tables[ENERGY]["SYS"] += 1e12 / 360  # 10 J
    assert meter.read(())["joules"] == pytest.approx(10)
    pdh.tables[ENERGY]["SYS"] = 0  # the firmware began again: no difference can be told
    assert meter.read(()) == {}
    meter.close()
    assert pdh.open_queries == 0
    assert meter.read(()) == {}


def test_meters_that_only_the_second_look_shows() -> None:
    pdh = StandIn({ENERGY: dict(METERS["x1"])})
    pdh.seen_from = 2
    meter = EnergyMeter(pdh.counters)
    meter.open()
    assert meter.covers == "the whole machine"
    del pdh.tables[ENERGY]["SYS"]
    with pytest.raises(PdhFailed, match="no value of SYS"):
        meter.read(())
    meter.close()


# --- the NPU -----------------------------------------------------------------------------------


def tables() -> dict[str, dict[str, float]]:
    return {
        USE: dict(GPU["use"]),
        MEMORY[0]: dict(GPU["dedicated"]),
        MEMORY[1]: dict(GPU["shared"]),
    }


def test_use_and_memory_of_the_npu_by_our_processes() -> None:
    npu = NpuLoad(StandIn(tables()).counters)
    npu.open()
    read = npu.read({9184})
    assert read["npu_percent"] == 27
    assert read["npu_memory_mb"] == pytest.approx(5801.048576)  # its own and the shared
    assert npu.read({1}) == {"npu_percent": 0, "npu_memory_mb": 0}
    npu.close()


def test_a_machine_without_an_npu_has_no_readings() -> None:
    without = tables()
    without[USE] = {name: use for name, use in without[USE].items() if "0x0000D1B2" not in name}
    npu = NpuLoad(StandIn(without).counters)
    npu.open()
    assert npu.read({9184}) == {}
    npu.close()


def test_instances_are_looked_up_anew_and_no_reading_is_lost() -> None:
    pdh = StandIn(tables())
    now = [0.0]
    npu = NpuLoad(pdh.counters, lambda: now[0])
    npu.open()
    for step in range(1, 100):
        now[0] = step / 2
        assert npu.read({9184})["npu_percent"] == 27
        assert pdh.open_queries in (1, 2)
    assert pdh.opened == 1 + int(99 / 2 // RENEWED)
    npu.close()
    assert pdh.open_queries == 0


def test_when_the_instances_cannot_be_looked_up_anew_the_old_ones_still_tell() -> None:
    pdh = StandIn(tables())
    now = [0.0]
    npu = NpuLoad(pdh.counters, lambda: now[0])
    npu.open()
    without = pdh.tables.pop(USE)
    now[0] = RENEWED
    pdh.tables["elsewhere"] = without
    pdh._paths[0] = "elsewhere"
    assert npu.read({9184})["npu_percent"] == 27
    assert pdh.open_queries == 1
    npu.close()


def test_a_query_that_cannot_be_asked_is_closed() -> None:
    pdh = StandIn(tables())
    pdh.collect_status = 0xC0000BC4
    with pytest.raises(PdhFailed, match="PdhCollectQueryData"):
        NpuLoad(pdh.counters).open()
    assert pdh.open_queries == 0


# --- temperature -------------------------------------------------------------------------------


def test_tenths_of_a_kelvin() -> None:
    zones = {r"\_SB.TZ0": 3231.5, r"\_SB.TZ1": 2732.0, r"\_SB.TZ98": 0.0, "_Total": 3999.0}
    source = ThermalZones(StandIn({ZONES: zones}).counters)
    source.open()
    assert source.read(())["temperature_c"] == pytest.approx(50.0)
    source.close()
    with pytest.raises(SourceAbsent, match="no thermal zone"):
        ThermalZones(StandIn({ZONES: {"_Total": 0.0}}).counters).open()


# --- the battery -------------------------------------------------------------------------------


def test_what_the_battery_says() -> None:
    assert discharge(BATTERY[0]) == {"on_mains": False, "watts": 10.99}  # milliwatts
    assert discharge(BATTERY[1]) == {"on_mains": True}
    assert discharge(BATTERY[2]) == {"on_mains": False}  # it cannot tell its rate
    assert discharge(BATTERY[3]) == {"on_mains": False, "watts": 6.1}
    with pytest.raises(SourceAbsent, match="no battery"):
        discharge(BATTERY[4])


@pytest.mark.parametrize("line", [b"", b"null", b"{}", b"x", b'"' + b"[" * 10])
def test_nonsense_is_an_error(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        discharge(line)


def printing(lines: list[bytes], then: str) -> tuple[str, ...]:
    body = f"import sys, time\nfor line in {lines!r}: print(line.decode(), flush=True)\n{then}"
    return (sys.executable, "-c", body)


def until(condition: Callable[[], bool]) -> None:
    import threading

    waiter = threading.Event()
    for _ in range(1000):
        if condition():
            return
        waiter.wait(0.01)
    raise AssertionError("it never came")


def test_the_last_line_counts_and_an_old_one_says_nothing() -> None:
    now = [100.0]
    battery = Discharge(printing(BATTERY[:1], "time.sleep(60)"), lambda: now[0])
    battery.open()
    until(lambda: battery.read(()) == {"on_mains": False, "watts": 10.99})
    now[0] += 6
    assert battery.read(()) == {}
    battery.close()
    battery.close()


def test_a_powershell_that_ends_is_an_error() -> None:
    now = [100.0]
    battery = Discharge(printing(BATTERY[:1], ""), lambda: now[0])
    battery.open()
    until(lambda: battery._ended)
    assert battery.read(()) == {"on_mains": False, "watts": 10.99}
    now[0] += 6
    with pytest.raises(OSError, match="PowerShell has ended"):
        battery.read(())
    battery.close()


def test_the_script_ends_with_its_parent() -> None:
    script = base64.b64decode(Discharge()._command[-1]).decode("utf-16-le")
    assert f"while (Get-Process -Id {os.getpid()}) {{" in script
    assert "-Namespace root/wmi -ClassName BatteryStatus" in script
    assert script.count("{") == script.count("}") == 1


def test_a_powershell_that_is_not_there() -> None:
    with pytest.raises(SourceAbsent, match="could not be started"):
        Discharge(("/nowhere/powershell",)).open()
