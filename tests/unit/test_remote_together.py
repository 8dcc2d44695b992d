"""Remote catalogs where more than one program works on them, one is killed, or the folders are closed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from npurun_tui.errors import ModelBusy
from npurun_tui.models.builtin import CATALOG
from npurun_tui.models.remote import faults
from npurun_tui.models.remote.known import known_catalog
from npurun_tui.models.remote.sources import add_source, configured_sources, remove_source
from tests.support.catalog_repo import publish
from tests.support.catalog_scene import Scene

nobody = pytest.mark.skipif(sys.platform == "win32", reason="POSIX rights")


@contextmanager
def updating(scene: Scene, until: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another program that has asked for `until` and waits for the answer; killed in the end."""
    scene.site.silent.add(until)
    child = subprocess.Popen(
        [sys.executable, "-m", "npurun_tui", "catalog", "update"],
        env=os.environ | {"NPURUN_TUI_HOME": str(scene.paths.data.parent)},
    )
    try:
        deadline = time.monotonic() + 20
        while until not in scene.site.requests:
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield child
    finally:
        child.kill()
        child.wait()
        scene.site.silent.clear()


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if not path.name.endswith(".root.json")}


def test_a_program_that_is_killed_while_it_updates(scene: Scene) -> None:
    scene.update()
    folder = scene.source.folder(scene.paths)
    publish(scene.repository, ["two"])
    with updating(scene, f"targets/{scene.list_with('two').name}") as child:
        with pytest.raises(ModelBusy, match=f"process {child.pid}"):
            scene.update()
        # What it brings would be kept for whoever is called acme by then, so the name is not given away.
        with pytest.raises(ModelBusy):
            remove_source(scene.paths, "acme")
        assert scene.source.root_file.is_file()
    assert scene.remote() == ("one",)
    for left in ("catalog.new", ".state.json.k1ll", "metadata/tmpk1ll"):
        (folder / left).write_bytes(b"half of a file")
    assert scene.update().changed
    assert scene.remote() == ("two",)
    kept = {"metadata", "root_history", "root.json", "timestamp.json", "snapshot.json"}
    listed = f"catalog-{scene.list_with('two').name.partition('.')[0]}.json"
    assert files(folder) == kept | {"targets.json", "state.json", listed}


def test_programs_that_add_sources_at_once_all_succeed(scene: Scene) -> None:
    root, ready = scene.source.root(), threading.Barrier(8)

    def add(number: int) -> None:
        ready.wait()
        add_source(scene.paths, f"source-{number}", scene.site.url, root)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = {source.name for source in configured_sources(scene.paths)}
    assert names == {"acme", *(f"source-{number}" for number in range(8))}


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    """Nobody but root may look into `folder`, and this process is not root."""
    was = os.geteuid()
    folder.chmod(0)
    if was == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if was == 0:
            os.seteuid(was)
        folder.chmod(0o755)


@nobody
def test_a_stored_catalog_that_may_not_be_read_is_not_used(scene: Scene) -> None:
    scene.update()
    assert scene.remote() == ("one",)
    with closed(scene.paths.data / "catalogs"):
        assert scene.state.state == "damaged"
        assert known_catalog(scene.paths) == CATALOG
    assert scene.remote() == ("one",)


@nobody
def test_a_list_of_sources_that_may_not_be_read_leaves_the_built_in_list(scene: Scene) -> None:
    scene.update()
    with closed(scene.paths.config.parent):
        assert known_catalog(scene.paths) == CATALOG
        with pytest.raises(faults.SourceInvalid, match="Permission denied"):
            configured_sources(scene.paths)
