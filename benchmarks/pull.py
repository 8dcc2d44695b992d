"""A pull of a large stored zip from a local nginx, against curl, sha256sum and unzip, all in one run.

    uv run python -m benchmarks.pull [--size-mb 2000] [--runs 3] [--connections 4]

Needs nginx, curl, sha256sum and unzip on PATH, and room for the archive three times. In each round the three tools run
one after the other, then the pull does the same work: download, sha256 of the archive and of every file, CRC,
unpacking, installing, all of it synced to the disk. After each the page cache is written back, so that nobody pays for
another.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import report
from tests.support.tiny_bundle import FOLDER, bundle_files

TOOLS = ("nginx", "curl", "sha256sum", "unzip")
MOST_MEMORY = 80e6
LONGEST = 1.15

CONFIG = """\
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{ access_log off; sendfile on; server {{ listen 127.0.0.1:{port}; root {folder}/served; }} }}
"""


def make_archive(path: Path, megabytes: int) -> None:
    """A stored zip of a bundle: three small files and shards of random bytes."""
    files = bundle_files(weights=1000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        for shard in range(4):
            with archive.open(f"{FOLDER}/shard_{shard}.bin", "w", force_zip64=True) as member:
                for _ in range(megabytes // 4):
                    member.write(os.urandom(1_000_000))


@contextmanager
def nginx(folder: Path) -> Iterator[str]:
    """nginx serving `folder`/served; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=port))
    server = subprocess.Popen(["nginx", "-e", str(folder / "error.log"), "-c", str(config)])
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def timed(*command: str) -> float:
    """Seconds that `command` takes, its output thrown away."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


class Round:
    """The times of one round, in seconds, and the pull's memory, in bytes."""

    def __init__(self, address: str, folder: Path, connections: int) -> None:
        work = folder / "work"
        work.mkdir()
        archive = str(work / "a.zip")
        os.sync()
        self.curl = timed("curl", "-s", "-o", archive, address)
        self.sha = timed("sha256sum", archive)
        self.unzip = timed("unzip", "-q", "-d", str(work / "out"), archive)
        shutil.rmtree(work)
        os.sync()
        store = folder / "store"
        command = [sys.executable, "-m", "benchmarks.pull_child"]
        done = subprocess.run(
            [*command, address, str(store), str(connections)], check=True, capture_output=True
        )
        told = json.loads(done.stdout)
        self.pull: float = told["seconds"]
        self.cpu: float = told["cpu"]
        self.phases: dict[str, float] = told["phases"]
        self.memory: float = told["peak"] - told["idle"]
        shutil.rmtree(store)

    @property
    def row(self) -> float:
        """The three tools one after the other."""
        return self.curl + self.sha + self.unzip

    @property
    def longest(self) -> float:
        """The slowest of the three alone."""
        return max(self.curl, self.sha, self.unzip)


def main() -> int:
    """Print the table; 1 where a limit is missed, 3 where a tool is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size-mb", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--connections", type=int, default=4)
    options = parser.parse_args()
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        print(f"Not measured: {', '.join(missing)} is not installed.")
        return 3
    print(report.machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "served").mkdir()
        folder.chmod(0o755)  # nginx's workers are another user
        make_archive(folder / "served" / "a.zip", options.size_mb)
        with nginx(folder) as origin:
            address = f"{origin}/a.zip"
            timed("curl", "-s", "-o", os.devnull, address)  # warm-up: the archive is in memory
            rounds = [Round(address, folder, options.connections) for _ in range(options.runs)]
    return show(rounds)


def show(rounds: list[Round]) -> int:
    """The table and the verdicts."""
    for title in ("curl", "sha256sum", "unzip", "in a row", "pull"):
        attribute = {"sha256sum": "sha", "in a row": "row"}.get(title, title)
        values = [getattr(each, attribute) for each in rounds]
        print(f"{title:<12} {report.spread(values, 's', 2)}")
    for phase in rounds[0].phases:
        values = [each.phases.get(phase, 0.0) for each in rounds]
        print(f"  {phase:<10} {report.spread(values, 's', 2)}")
    # What cores allow: the pull hashes everything twice, and nginx wants one, too.
    print(f"  CPU time   {report.spread([each.cpu for each in rounds], 's', 2)}")
    memory = statistics.median(each.memory for each in rounds)
    row = statistics.median(each.pull / each.row for each in rounds)
    longest = statistics.median(each.pull / each.longest for each in rounds)
    kept = report.all_kept(
        [
            ("pull / the three in a row", row, 1.0),
            ("pull / the longest of the three", longest, LONGEST),
            ("peak memory above idle, MB", memory / 1e6, MOST_MEMORY / 1e6),
        ]
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
