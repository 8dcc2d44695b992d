"""Bundles behind an address: several ranges at once, hashes that are pinned or recorded, redirects, the manifest."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from npurun_tui.engine.genie.graphs import read_graphs
from npurun_tui.errors import DiskFull, HashMismatch, NetworkUnavailable, NpurunError, PullFailed
from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.catalog_sources import fault_of_address
from npurun_tui.models.fields import MAX_ADDRESS
from npurun_tui.models.manifest import Manifest
from npurun_tui.models.pull import Phase, PullProgress, pull
from npurun_tui.models.pull.limiter import RateLimiter, parse_rate
from npurun_tui.models.pull.policy import Policy
from npurun_tui.models.pull.recorded import recorded
from npurun_tui.models.store import ModelStore
from npurun_tui.models.verify import Verdict, verify
from tests.support.index_server import Handler, Index, close_after, status
from tests.support.pulling import BLOCKS
from tests.support.tiny_bundle import (
    FOLDER,
    NAME,
    PLAIN,
    TinyBundle,
    build_tiny_bundle,
    bundle_files,
    zipped,
)
from tests.support.tiny_model import build_tiny_model


@pytest.fixture
def index(archives: Index) -> Index:
    """Here it has the bundle."""
    return archives


def address(index: Index) -> str:
    return f"{index.origin}/files/tiny.zip"


async def pull_all(
    entry: CatalogEntry, store: ModelStore, *, policy: Policy = BLOCKS, accept_changed: bool = False
) -> list[PullProgress]:
    steps = pull(entry, store, policy=policy, accept_changed=accept_changed)
    return [step async for step in steps]


async def fail(entry: CatalogEntry, store: ModelStore, kind: type[NpurunError]) -> NpurunError:
    with pytest.raises(kind) as caught:
        await pull_all(entry, store)
    assert store.scan() == ([], [])
    assert "\n" not in str(caught.value)
    return caught.value


def assert_installed(bundle: TinyBundle, store: ModelStore) -> Manifest:
    """Every file is there byte for byte (but for a config in which a flag was set), and its hash is right."""
    model = store.get(NAME)
    for path, data in bundle.files.items():
        if not path.endswith("genie_config.json"):
            assert (model.folder / "bundle" / path).read_bytes() == data
    assert set(model.manifest.sha256) == {f"bundle/{path}" for path in bundle.files}
    assert {verdict for _, verdict in verify(model)} == {Verdict.SAME}
    assert store.partials() == {}
    return model.manifest


async def test_a_bundle_is_pulled_in_several_ranges_at_once(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    together, most = threading.Semaphore(0), [0, 0]
    lock = threading.Lock()

    def watched(handler: Handler) -> None:
        with lock:
            most[0] += 1
            most[1] = max(most)
        together.acquire(timeout=0.05)
        handler.serve_file()
        with lock:
            most[0] -= 1

    index.always = watched
    await pull_all(bundle.at(address(index)), store)
    manifest = assert_installed(bundle, store)
    assert 2 <= most[1] <= 4
    assert index.sent == len(bundle.archive)  # nothing twice
    ranges = {request.headers["range"] for request in index.downloads}
    assert len(ranges) == -(-len(bundle.archive) // (1 << 15))
    assert manifest.archive_sha256 == hashlib.sha256(bundle.archive).hexdigest()


async def test_the_manifest_says_what_the_bundle_says(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    await pull_all(bundle.at(address(index)), store)
    manifest = assert_installed(bundle, store)
    assert (manifest.context, manifest.vocab, manifest.tiers) == (4096, 32064, (512, 4096))
    assert manifest.files.genie_config == f"bundle/{FOLDER}/genie_config.json"
    assert (manifest.qnn_sdk, manifest.template) == ("2.43.1", bundle.entry.template)
    assert manifest.hash_origin == "recorded"
    (flag,) = manifest.flags
    assert (flag.key, flag.value) == ("enable-graph-switching", True)
    config = json.loads((store.get(NAME).folder / manifest.files.genie_config).read_text())
    assert config["dialog"]["engine"]["backend"]["QnnHtp"]["enable-graph-switching"] is True


@pytest.mark.parametrize(
    ("files", "value", "why"),
    [
        (bundle_files(names=PLAIN), None, "no graph is named"),
        (bundle_files(htp={"enable-graph-switching": False}), False, "author"),
        (bundle_files(names=()), None, "name no graphs"),
    ],
)
async def test_the_flag_is_not_set_from_habit(
    index: Index, store: ModelStore, files: dict[str, bytes], value: bool | None, why: str
) -> None:
    bundle = build_tiny_bundle(files=files)
    index.data = bundle.archive
    await pull_all(bundle.at(address(index)), store)
    (flag,) = assert_installed(bundle, store).flags
    assert flag.value is value
    assert why in flag.why
    model = store.get(NAME)
    config = (model.folder / model.manifest.files.genie_config).read_bytes()
    assert config == files[f"{FOLDER}/genie_config.json"]


async def test_the_first_pull_records_and_later_ones_compare(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    entry = bundle.at(address(index))
    await pull_all(entry, store)
    known = recorded(store.root, entry.source.url if hasattr(entry.source, "url") else "")
    assert known is not None
    assert known.sha256 == hashlib.sha256(bundle.archive).hexdigest()
    store.remove(NAME)

    other = build_tiny_bundle(files={**bundle.files, f"{FOLDER}/tokenizer.json": b'{"another": 1}'})
    index.data = other.archive
    same_size = bytearray(bundle.archive)
    same_size[5000] ^= 1
    for data in (other.archive, bytes(same_size)):
        index.data = data
        error = await fail(entry, store, HashMismatch)
        assert "first pull" in error.message
        assert "--accept-changed" in error.mend
        assert store.partials() == {}
    index.data = other.archive
    await pull_all(entry, store, accept_changed=True)
    assert_installed(other, store)


async def test_a_pinned_hash_is_compared(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    digest = hashlib.sha256(bundle.archive).hexdigest()
    await pull_all(bundle.at(address(index), sha256=digest, size=len(bundle.archive)), store)
    assert assert_installed(bundle, store).hash_origin == "pinned"
    assert recorded(store.root, address(index)) is None
    store.remove(NAME)
    error = await fail(bundle.at(address(index), sha256="0" * 64), store, HashMismatch)
    assert "catalog update" in error.mend
    assert store.partials() == {}


async def test_a_killed_pull_fetches_only_what_is_missing(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    entry = bundle.at(address(index))
    index.always = close_after(9000)
    slow = RateLimiter(300_000)  # on a busy machine it would be done before it was looked at
    async for step in (steps := pull(entry, store, policy=BLOCKS, limiter=slow)):
        if step.phase is Phase.DOWNLOADING and step.done >= 100_000:
            break
    await steps.aclose()
    kept, before = store.partials()[NAME], index.sent
    assert kept >= 100_000
    index.always = None
    await pull_all(entry, store)
    assert_installed(bundle, store)
    assert index.sent - before == len(bundle.archive) - kept


async def test_a_server_without_ranges_sends_it_whole(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    index.ranges = False
    index.faults.append(close_after(100_000))
    await pull_all(bundle.at(address(index)), store)
    assert_installed(bundle, store)
    assert len(index.downloads) == 2


async def test_a_file_that_changes_between_two_ranges_is_begun_anew(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    old = index.data
    index.data = bytes(len(old))

    def change(handler: Handler) -> None:
        if len(index.downloads) == 5:
            index.data, index.etag = old, '"two"'
        handler.serve_file()

    index.always = change
    await pull_all(bundle.at(address(index)), store)
    assert_installed(bundle, store)


async def test_a_server_that_is_busy_is_asked_by_fewer(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    at_once, most, lock = [0], [0], threading.Lock()

    def strict(handler: Handler) -> None:
        with lock:
            at_once[0] += 1
            refuse = at_once[0] > 1
            most[0] = max(most[0], at_once[0])
        try:
            if refuse:
                handler.answer(429, b"")
            else:
                handler.serve_file()
        finally:
            with lock:
                at_once[0] -= 1

    index.always = strict
    await pull_all(bundle.at(address(index)), store, policy=replace(BLOCKS, attempts=30))
    assert_installed(bundle, store)


# --- where it may be fetched from --------------------------------------------------------------


async def test_redirects_stay_with_the_hosts_that_the_catalog_names(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    elsewhere = address(index).replace("127.0.0.1", "localhost")
    index.faults.append(status(302, Location=elsewhere))
    error = await fail(bundle.at(address(index)), store, PullFailed)
    assert "localhost" in error.message
    assert "does not name" in error.message
    index.faults.append(status(302, Location=elsewhere))
    await pull_all(bundle.at(address(index), hosts=("localhost",)), store)
    assert_installed(bundle, store)


async def test_a_redirect_to_a_host_that_is_named_has_to_be_https_too(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    index.faults.append(status(302, Location="http://models.invalid/tiny.zip"))
    error = await fail(bundle.at(address(index), hosts=("models.invalid",)), store, PullFailed)
    assert "not https" in error.message


async def test_a_name_in_another_script_is_compared_and_shown_as_it_is_asked_for(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    """Decoded, `xn--80ak6aa92e` looks like a name that everybody knows."""
    index.faults.append(status(302, Location="https://xn--80ak6aa92e.test/tiny.zip"))
    error = await fail(bundle.at(address(index), hosts=("models.test",)), store, PullFailed)
    assert "xn--80ak6aa92e.test, which the catalog does not name" in error.message
    index.always = status(302, Location="https://xn--80ak6aa92e.test:1/tiny.zip")
    named = bundle.at(address(index), hosts=("xn--80ak6aa92e.test",))
    error = await fail(named, store, NetworkUnavailable)
    assert "xn--80ak6aa92e.test:1 cannot be reached" in error.message


@pytest.mark.parametrize("host", ["evil.test", "models.test.evil.test", "evilmodels.test", "test"])
@pytest.mark.parametrize("named", ["models.test", ".models.test"])
async def test_a_domain_that_is_named_is_no_other_one(
    index: Index, bundle: TinyBundle, store: ModelStore, host: str, named: str
) -> None:
    index.faults.append(status(302, Location=f"https://{host}/tiny.zip"))
    error = await fail(bundle.at(address(index), hosts=(named,)), store, PullFailed)
    assert "does not name" in error.message


@pytest.mark.parametrize("url", ["http://models.example/x.zip", "ftp://127.0.0.1/x.zip", "x.zip"])
async def test_only_https_is_fetched(bundle: TinyBundle, store: ModelStore, url: str) -> None:
    error = await fail(bundle.at(url), store, PullFailed)
    assert "https" in error.message


async def test_an_address_as_long_as_a_catalog_may_have_it(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    longest = f"{address(index)}?signed=".ljust(MAX_ADDRESS, "x")
    assert fault_of_address(longest) == ""
    await pull_all(bundle.at(longest), store)
    assert assert_installed(bundle, store).source == longest


async def test_a_longer_address_is_refused_before_anything_is_fetched(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    longer = f"{address(index)}?signed=".ljust(MAX_ADDRESS + 1, "x")
    assert fault_of_address(longer) != ""
    error = await fail(bundle.at(longer), store, PullFailed)
    assert "longer than 2,000 characters" in error.message
    assert index.requests == []


async def test_redirects_in_a_circle_end(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    index.always = status(302, Location="/files/tiny.zip")
    error = await fail(bundle.at(address(index)), store, PullFailed)
    assert "circle" in error.message


@pytest.mark.parametrize("code", [401, 403, 404])
async def test_a_file_that_is_not_there(
    index: Index, bundle: TinyBundle, store: ModelStore, code: int
) -> None:
    index.always = status(code)
    error = await fail(bundle.at(address(index)), store, PullFailed)
    assert "catalog update" in error.mend
    assert "pip" not in str(error)


# --- room and speed ----------------------------------------------------------------------------


async def test_what_is_too_large_is_refused_before_it_is_fetched(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    size = 1 << 39

    def huge(handler: Handler) -> None:
        handler.answer(206, b"", Content_Range=f"bytes 0-{(1 << 15) - 1}/{size}")

    index.always = huge
    entry = replace(bundle.at(address(index)), download_size=1000)
    error = await fail(entry, store, PullFailed)
    assert "far more than the catalog says" in error.message
    # An estimate that large is refused before anything is asked for; here the server says it first.
    for size in (1 << 33, 1 << 39):
        entry = replace(entry, download_size=size // 2, installed_size=1000)
        with pytest.MonkeyPatch.context() as patch:
            usage = SimpleNamespace(free=size // 2 + (3 << 20))
            patch.setattr("shutil.disk_usage", lambda _, usage=usage: usage)
            error = await fail(entry, store, DiskFull)
        assert "GB" in error.message
    assert index.sent == 0


async def test_the_limit_is_kept(index: Index, bundle: TinyBundle, store: ModelStore) -> None:
    rate = 200_000  # a second and a half for this archive
    began = time.monotonic()
    steps = [
        step
        async for step in pull(
            bundle.at(address(index)), store, policy=BLOCKS, limiter=RateLimiter(rate)
        )
    ]
    assert steps[-1].phase is Phase.DONE
    assert time.monotonic() - began >= 1.0


async def test_what_hashing_and_writing_take_is_no_loss_under_a_limit() -> None:
    now = 0.0
    limiter = RateLimiter(1_000_000, lambda: now)
    await asyncio.wait_for(limiter.take(0), 1)
    now += 0.01  # a chunk was written meanwhile: 10 kB of the limit
    await asyncio.wait_for(limiter.take(10_000), 1)
    now += 60  # and nothing is saved up for a burst
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(limiter.take(200_000), 0.02)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("0", 0), ("500k", 500_000), ("2M", 2_000_000), ("1.5 MB/s", 1_500_000), ("1GiB", 10**9)],
)
def test_rates(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "fast", "-1", "5", "1e9", "2 M M", "9" * 30])
def test_rates_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_rate(text)


async def test_a_gguf_file_behind_an_address(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    tiny = build_tiny_model(tensor_bytes=200_000)
    index.data = tiny.gguf
    entry = replace(
        bundle.at(f"{index.origin}/files/m.gguf"), backend="llama.cpp", template=None, qnn_sdk=""
    )
    await pull_all(entry, store)
    model = store.get(NAME)
    assert (model.folder / model.manifest.files.model).read_bytes() == tiny.gguf
    assert model.manifest.hash_origin == "recorded"
    assert {verdict for _, verdict in verify(model)} == {Verdict.SAME}


async def test_an_archive_without_a_bundle(index: Index, store: ModelStore) -> None:
    bundle = build_tiny_bundle(files={"readme.txt": b"hello"})
    index.data = zipped(bundle.files)
    with pytest.raises(NpurunError, match="no Genie bundle"):
        await pull_all(bundle.at(address(index)), store)
    assert store.scan() == ([], [])
    assert store.partials() == {}


@pytest.mark.parametrize("named", ["gone_2_of_2.bin", "../../secret.bin", "/etc/hostname"])
async def test_a_bundle_whose_config_names_what_is_not_in_it(
    index: Index, store: ModelStore, named: str
) -> None:
    """Not only the first context binary is looked for."""
    files = bundle_files()
    config = json.loads(files[f"{FOLDER}/genie_config.json"])
    config["dialog"]["engine"]["model"]["binary"]["ctx-bins"].append(named)
    bundle = build_tiny_bundle(
        files={**files, f"{FOLDER}/genie_config.json": json.dumps(config).encode()}
    )
    index.data = bundle.archive
    with pytest.raises(NpurunError, match=r"not in the bundle|outside of the bundle"):
        await pull_all(bundle.at(address(index)), store)
    assert store.scan() == ([], [])


# --- unpacking ahead ---------------------------------------------------------------------------


async def test_it_is_unpacked_while_it_arrives(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    """The server holds back one block in the middle until what lies before it is unpacked."""
    unpacked = store.layout.partial(NAME) / "unpacked" / "bundle" / FOLDER / "tokenizer.json"
    seen = threading.Event()

    def held(handler: Handler) -> None:
        if handler.record.headers["range"].startswith(f"bytes={5 << 15}-"):
            for _ in range(300):
                if unpacked.is_file():
                    seen.set()
                    break
                time.sleep(0.01)
        handler.serve_file()

    index.always = held
    await pull_all(bundle.at(address(index)), store, policy=replace(BLOCKS, stall_timeout=10))
    assert seen.is_set()
    assert_installed(bundle, store)


async def test_what_was_unpacked_of_another_file_is_thrown_away(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    """The archive changes after its end was read and half of it was unpacked."""
    other = build_tiny_bundle(files={**bundle.files, f"{FOLDER}/tokenizer.json": b'{"b": [1, 2]}'})
    index.data = other.archive + bytes(len(bundle.archive) - len(other.archive))

    def change(handler: Handler) -> None:
        if len(index.downloads) == 8:
            index.data, index.etag = bundle.archive, '"two"'
        handler.serve_file()

    index.always = change
    await pull_all(bundle.at(address(index)), store)
    assert_installed(bundle, store)


# --- what a review found -----------------------------------------------------------------------


def test_graph_names_are_found_wherever_they_lie(tmp_path: Path) -> None:
    """At both ends, in the middle, and across the border of two slices."""
    names = [b"prompt_ar128_cl512_1_of_1", b"token_ar1_cl1024_1_of_1", b"ar128_cl4096_1_of_1"]
    data = bytearray(40 << 20)
    data[10 : 10 + len(names[0])] = names[0]
    border = (1 << 20) - 8
    data[border : border + len(names[1])] = names[1]
    data[-30 : -30 + len(names[2])] = names[2]
    (tmp_path / "a.bin").write_bytes(data)
    found = read_graphs([tmp_path / "a.bin"])
    assert (found.contexts, found.widths, found.staged) == ((512, 1024, 4096), (1, 128), True)
    middle = bytearray(40 << 20)
    middle[20 << 20 : (20 << 20) + len(names[2])] = names[2]
    (tmp_path / "b.bin").write_bytes(middle)
    assert read_graphs([tmp_path / "b.bin"]).contexts == (4096,)
    (tmp_path / "c.bin").write_bytes(b"")
    assert read_graphs([tmp_path / "c.bin"]).widths == ()


async def test_a_bundle_whose_manifest_nobody_could_read_is_not_installed(
    index: Index, store: ModelStore
) -> None:
    files = bundle_files()
    config = json.loads(files[f"{FOLDER}/genie_config.json"])
    config["dialog"]["context"]["size"] = 1 << 40
    files[f"{FOLDER}/genie_config.json"] = json.dumps(config).encode()
    bundle = build_tiny_bundle(files=files)
    index.data = bundle.archive
    with pytest.raises(NpurunError, match="which no model has"):
        await pull_all(bundle.at(address(index)), store)
    assert store.scan() == ([], [])
    assert store.partials() == {}


@pytest.mark.parametrize("text", ["1e999", '"\\ud800"'])
async def test_numbers_and_texts_that_are_none(index: Index, store: ModelStore, text: str) -> None:
    files = bundle_files()
    config = files[f"{FOLDER}/genie_config.json"].replace(
        b'"size": 4096', b'"size": ' + text.encode()
    )
    bundle = build_tiny_bundle(files={**files, f"{FOLDER}/genie_config.json": config})
    index.data = bundle.archive
    with pytest.raises(NpurunError):
        await pull_all(bundle.at(address(index)), store)
    assert store.scan() == ([], [])


async def test_a_pinned_model_file_is_compared(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    tiny = build_tiny_model(tensor_bytes=200_000)
    index.data = tiny.gguf
    entry = replace(bundle.at(f"{index.origin}/files/m.gguf"), backend="llama.cpp", sha256="0" * 64)
    await fail(entry, store, HashMismatch)


async def test_versions_are_not_mixed_where_the_server_ignores_if_range(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    """Nothing is pinned, so no hash would tell: the validators have to."""
    tiny = build_tiny_model(tensor_bytes=200_000)
    old = bytes(len(tiny.gguf))
    index.data = old

    def careless(handler: Handler) -> None:
        handler.record.headers.pop("if-range", None)
        if len(index.downloads) == 4:
            index.data, index.etag = tiny.gguf, '"two"'
        handler.serve_file()

    index.always = careless
    entry = replace(bundle.at(f"{index.origin}/files/m.gguf"), backend="llama.cpp")
    await pull_all(entry, store)
    model = store.get(NAME)
    assert (model.folder / "model.gguf").read_bytes() == tiny.gguf


async def test_a_damaged_record_is_not_taken_for_an_empty_one(
    index: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    store.root.mkdir(parents=True)
    (store.root / ".recorded.json").write_text('{"x": ')
    with pytest.raises(NpurunError, match="cannot be read"):
        await pull_all(bundle.at(address(index)), store)
    assert index.downloads == []


async def test_a_stream_without_an_end_is_refused(
    index: Index, bundle: TinyBundle, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("npurun_tui.models.pull.download.GROWTH", 1 << 16)
    monkeypatch.setattr("npurun_tui.models.pull.fetching._MOST_MORE", 1 << 18)
    chunk = bytes(1 << 16)

    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for _ in range(10_000):
            handler.send_chunk(chunk)

    index.always = endless
    error = await fail(replace(bundle.at(address(index)), download_size=1000), store, PullFailed)
    assert "far more" in error.message
    assert index.sent < 100 * len(chunk)
