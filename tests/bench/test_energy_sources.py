"""The sources of readings: sysfs as it looks on three machines, and this machine as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from npurun_tui.bench.energy.here import Nowhere, describe, sources_here
from npurun_tui.bench.energy.hwmon import HwmonPower
from npurun_tui.bench.energy.load import ProcessorLoad
from npurun_tui.bench.energy.rapl import Rapl
from npurun_tui.bench.energy.source import Counter, SourceAbsent
from npurun_tui.bench.energy.supply import Supply
from npurun_tui.bench.energy.temperature import ProcessorTemperature

FIXTURES = Path(__file__).parent / "fixtures"
POWERCAP = "sys/class/powercap"
SUPPLIES = "sys/class/power_supply"


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that any user may enter, unlike pytest's."""
    if sys.platform == "win32":
        pytest.skip("Windows has no file names with a colon")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def lay(root: Path, name: str) -> Path:
    for path, text in json.loads((FIXTURES / f"{name}.json").read_text("utf-8")).items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return root


# --- RAPL --------------------------------------------------------------------------------------


def test_rapl_counts_packages_and_memory_once(root: Path) -> None:
    rapl = Rapl(lay(root, "linux_intel_laptop"))
    rapl.open()
    assert rapl.read(()) == {"joules": 0}
    for zone, microjoules in (
        ("intel-rapl:0", 262_143_250_000),  # 0.25 J more
        ("intel-rapl:0:2", 5_000_050_000),  # 0.05 J of memory
        ("intel-rapl:0:0", 99_000_000_000),  # cores: inside the package
        ("intel-rapl:1", 99_000_000_000),  # psys: around it
    ):
        (root / POWERCAP / zone / "energy_uj").write_text(f"{microjoules}\n")
    assert rapl.read(())["joules"] == pytest.approx(0.30)
    assert rapl.covers == "the processor package and its memory"


def test_rapl_wraps_around(root: Path) -> None:
    rapl = Rapl(lay(root, "linux_intel_laptop"))
    rapl.open()
    rapl.read(())
    energy = root / POWERCAP / "intel-rapl:0/energy_uj"
    energy.write_text("171150\n")  # 328,850 µJ to the end, and 171,150 after it
    assert rapl.read(())["joules"] == pytest.approx(0.5)
    energy.write_text("1171150\n")
    assert rapl.read(())["joules"] == pytest.approx(1.5)


def test_rapl_that_begins_anew_is_no_wrap(root: Path) -> None:
    """After a suspend it counts from 0: taken for a wrap, that would be 150 kJ that nobody used."""
    rapl = Rapl(lay(root, "linux_intel_laptop"))
    rapl.open()
    energy = root / POWERCAP / "intel-rapl:0/energy_uj"
    energy.write_text("112000000000\n")
    rapl.read(())
    energy.write_text("40\n")
    assert rapl.read(()) == {}
    before = rapl.read(())["joules"]
    energy.write_text("1000040\n")
    assert rapl.read(())["joules"] - before == pytest.approx(1.0)


def test_rapl_that_is_not_there(root: Path) -> None:
    with pytest.raises(SourceAbsent, match="no energy counters in /sys/class/powercap"):
        Rapl(root).open()


def test_rapl_that_only_root_may_read(root: Path) -> None:
    lay(root, "linux_intel_laptop")
    for zone in (root / POWERCAP).glob("intel-rapl:*"):
        (zone / "energy_uj").chmod(0o400)
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)  # nobody, for whom the kernel refuses as it would on such a machine
    else:
        for zone in (root / POWERCAP).glob("intel-rapl:*"):
            (zone / "energy_uj").chmod(0)
    try:
        with pytest.raises(SourceAbsent) as told:
            Rapl(root).open()
    finally:
        if was == 0:
            os.seteuid(was)
    assert "only root may read the energy counters" in str(told.value)
    assert "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj" in str(told.value)


def test_a_counter_that_never_wraps_and_begins_again_is_no_difference() -> None:
    counter = Counter()
    assert [counter.total(raw) for raw in (100, 150, 20, 50)] == [0, 50, None, 80]


def test_a_counter_wraps_by_a_small_step_only() -> None:
    counter = Counter(1000)
    assert [counter.total(raw) for raw in (990, 10, 400, 5, 10)] == [0, 20, 410, None, 415]


# --- hwmon -------------------------------------------------------------------------------------


def test_the_rail_of_the_whole_machine_is_chosen_among_others(root: Path) -> None:
    hwmon = HwmonPower(lay(root, "linux_snapdragon_laptop"))
    hwmon.open()
    assert hwmon.covers == "the whole machine"
    assert hwmon.read(()) == {"watts": 6.62}  # microwatts


def test_both_sockets_are_added_and_their_cores_are_not(root: Path) -> None:
    hwmon = HwmonPower(lay(root, "linux_amd_server"))
    hwmon.open()
    assert hwmon.covers == "the processor package"
    hwmon.read(())
    sensor = root / "sys/class/hwmon/hwmon2"
    (sensor / "energy3_input").write_text("915000000\n")
    (sensor / "energy4_input").write_text("800500000\n")
    (sensor / "energy1_input").write_text("99000000\n")
    assert hwmon.read(()) == {"joules": 3.5}  # microjoules


def test_channels_whose_meaning_is_not_known_are_named_and_not_used(root: Path) -> None:
    chip = root / "sys/class/hwmon/hwmon0"
    chip.mkdir(parents=True)
    (chip / "name").write_text("amdgpu\n")
    (chip / "power1_label").write_text("PPT\n")
    (chip / "power1_input").write_text("21000000\n")
    with pytest.raises(SourceAbsent, match=r"there are: amdgpu PPT"):
        HwmonPower(root).open()
    with pytest.raises(SourceAbsent, match="no sensor of power"):
        HwmonPower(root / "elsewhere").open()


def acpi_meter(root: Path, number: int, milliseconds: int) -> None:
    chip = root / f"sys/class/hwmon/hwmon{number}"
    chip.mkdir(parents=True)
    (chip / "name").write_text("power_meter\n")
    (chip / "power1_average").write_text("120000000\n")
    (chip / "power1_average_interval").write_text(f"{milliseconds}\n")


def test_two_meters_of_a_kind_are_added(root: Path) -> None:
    acpi_meter(root, 0, 1000)
    acpi_meter(root, 1, 1000)
    hwmon = HwmonPower(root)
    hwmon.open()
    assert hwmon.read(()) == {"watts": 240.0}


def test_a_mean_over_minutes_is_not_the_power_of_a_run(root: Path) -> None:
    acpi_meter(root, 0, 300_000)
    with pytest.raises(SourceAbsent, match=r"often enough \(there are: power_meter\)"):
        HwmonPower(root).open()


def test_a_sensor_that_is_off_is_not_chosen(root: Path) -> None:
    lay(root, "linux_snapdragon_laptop")
    (root / "sys/class/hwmon/hwmon1/power7_average").write_text("N/A\n")
    with pytest.raises(SourceAbsent, match="no channel that is known"):
        HwmonPower(root).open()


# --- temperature -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("machine", "degrees"),
    [
        ("linux_intel_laptop", 63.0),  # not the disk's 99.85
        ("linux_snapdragon_laptop", 52.1),  # the NPU's zone; one that says 0 is off
        ("linux_amd_server", 54.375),
    ],
)
def test_the_hottest_of_the_processor(root: Path, machine: str, degrees: float) -> None:
    source = ProcessorTemperature(lay(root, machine))
    source.open()
    assert source.read(()) == {"temperature_c": degrees}


def test_a_temperature_that_ends(root: Path) -> None:
    source = ProcessorTemperature(lay(root, "linux_amd_server"))
    source.open()
    (root / "sys/class/hwmon/hwmon1/temp1_input").unlink()
    assert source.read(()) == {}
    with pytest.raises(SourceAbsent):
        ProcessorTemperature(root / "nowhere").open()
    (root / "sys/class/hwmon/hwmon1/temp1_input").write_text("0\n")  # what one says that is off
    with pytest.raises(SourceAbsent):
        ProcessorTemperature(root).open()


# --- the battery -------------------------------------------------------------------------------


def test_a_battery_that_tells_power(root: Path) -> None:
    battery = Supply(lay(root, "linux_intel_laptop"))
    battery.open()
    assert battery.read(()) == {"on_mains": False, "battery_percent": 83.0, "watts": 8.745}


def test_a_battery_that_tells_a_negative_current(root: Path) -> None:
    battery = Supply(lay(root, "linux_snapdragon_laptop"))
    battery.open()
    read = battery.read(())
    assert read["watts"] == pytest.approx(0.412 * 15.9)  # µA times µV
    assert read["battery_percent"] == 71


def test_with_the_charger_in_a_battery_tells_no_power(root: Path) -> None:
    battery = Supply(lay(root, "linux_intel_laptop"))
    battery.open()
    (root / SUPPLIES / "BAT0/status").write_text("Charging\n")
    assert battery.read(()) == {"on_mains": True, "battery_percent": 83.0}
    # A charger too weak for the machine: the battery gives only what that lacks.
    (root / SUPPLIES / "BAT0/status").write_text("Discharging\n")
    for online in ("1\n", "2\n"):  # 2: of a negotiated voltage
        (root / SUPPLIES / "AC/online").write_text(online)
        assert battery.read(()) == {"on_mains": True, "battery_percent": 83.0}


def test_a_battery_that_is_taken_out(root: Path) -> None:
    battery = Supply(lay(root, "linux_intel_laptop"))
    battery.open()
    for file in (root / SUPPLIES / "BAT0").iterdir():
        file.unlink()
    (root / SUPPLIES / "BAT0").rmdir()
    with pytest.raises(SourceAbsent, match="taken out"):
        battery.read(())
    with pytest.raises(SourceAbsent, match="no battery"):  # only the mouse's is left
        Supply(root).open()


def test_two_batteries_of_which_one_gives(root: Path) -> None:
    lay(root, "linux_intel_laptop")
    second = root / SUPPLIES / "BAT1"
    second.mkdir()
    for name, text in (("type", "Battery"), ("status", "Not charging"), ("power_now", "0")):
        (second / name).write_text(f"{text}\n")
    (second / "capacity").write_text("97\n")
    battery = Supply(root)
    battery.open()
    assert battery.read(()) == {"on_mains": False, "battery_percent": 90.0, "watts": 8.745}


# --- this machine ------------------------------------------------------------------------------


def test_this_machine_is_busy_when_it_is_made_busy() -> None:
    load = ProcessorLoad()
    load.open()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            time.sleep(0.05)
        read = load.read({os.getpid(), busy.pid})
        own = load.read({os.getpid()})
        busy.kill()
    cores = psutil.cpu_count() or 1
    assert 100 / cores * 0.5 < read["cpu_percent"] <= 100
    assert "cpu_percent" not in own  # too soon after the last time to say anything
    resident = psutil.Process().memory_info().rss / 1e6
    assert own["rss_mb"] == pytest.approx(resident, rel=0.2)
    assert read["rss_mb"] > own["rss_mb"] + 1


def test_a_process_that_has_ended_holds_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    load = ProcessorLoad()
    load.open()
    assert "rss_mb" not in load.read({process.pid})


def test_every_source_of_this_machine_reads_or_says_why_not() -> None:
    told = {each.name: each.words for each in describe()}
    assert told["Processor and memory"] == "can be read"
    for source in sources_here():
        words = told[source.name]
        if words.startswith("not measurable here: "):
            assert len(words) > len("not measurable here: ") + 5
            continue
        source.open()
        source.read({os.getpid()})
        source.close()


def test_what_is_looked_for_depends_on_the_system(root: Path) -> None:
    assert [source.name for source in sources_here(platform="linux")] == [
        "Processor and memory",
        "RAPL",
        "hwmon",
        "Battery",
        "Temperature",
        "NPU",
    ]
    windows = [source.name for source in sources_here(platform="win32")]
    assert windows.index("Energy Meter") < windows.index("Battery")
    told = {each.name: each.words for each in describe(sources_here(platform="darwin"))}
    assert (
        told["Power"] == "not measurable here: this system tells power and temperature to root only"
    )
    laptop = {
        each.name: each for each in describe(sources_here(lay(root, "linux_intel_laptop"), "linux"))
    }
    assert laptop["RAPL"].words == "the power of the processor package and its memory"
    assert laptop["Battery"].words == "the power of the whole machine while the charger is away"
    assert laptop["NPU"].words.startswith("not measurable here")
    assert [name for name, each in laptop.items() if each.readable and each.covers] == [
        "RAPL",
        "Battery",
    ]


def test_a_source_that_fails_is_told_and_spoils_no_other() -> None:
    class Failing(Nowhere):
        def open(self) -> None:
            raise ZeroDivisionError

        def close(self) -> None:
            raise ZeroDivisionError

    told = describe([Failing("One", "the processor", ""), ProcessorLoad()])
    assert [(each.words, each.readable) for each in told] == [
        ("not measurable here: ZeroDivisionError", False),
        ("can be read", True),
    ]
