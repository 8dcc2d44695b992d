"""The CPU dialog's own matters, on the real model: its port, loading and what goes wrong there, aborts in a prefill."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from npurun_tui.engine.cpu.dialog import CpuDialog
from npurun_tui.engine.cpu.server import BATCH, LlamaServer
from npurun_tui.engine.dialog import Action, GenieError, Sampler, SentenceCode, Status
from npurun_tui.engine.loading import open_dialog
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.errors import EngineLoadFailed, EngineUnavailable, ModelFileDamaged
from tests.unit.test_gguf import PAIRS, build

LONG = "word " * 900


def spec(model_file: Path, context: int = 1024) -> ModelSpec:
    return ModelSpec("test", "llama.cpp", model_file.parent, model_file, context=context)


@pytest.fixture(scope="module")
def opened(model_file: Path) -> Iterator[CpuDialog]:
    dialog = CpuDialog(spec(model_file))
    yield dialog
    dialog.close()


@pytest.fixture
def dialog(opened: CpuDialog) -> CpuDialog:
    opened.reset()
    opened.set_sampler(Sampler(temperature=0))
    opened.set_max_tokens(3)
    return opened


def server_of(dialog: CpuDialog) -> LlamaServer:
    assert dialog._loaded is not None
    return dialog._loaded


# --- what only this engine has -------------------------------------------------------------------


@pytest.mark.model
def test_which_stop_sequence_ended_it(dialog: CpuDialog) -> None:
    dialog.set_max_tokens(12)
    dialog.set_stop_sequences(["no such text", " 8", " 7, 8"])
    dialog.query("1, 2, 3, 4, 5, 6,")
    assert dialog.stop_sequence == " 7, 8"
    dialog.set_stop_sequences([])
    dialog.query("1, 2, 3, 4, 5, 6,", SentenceCode.REWIND)
    assert dialog.stop_sequence == ""


@pytest.mark.model
@pytest.mark.parametrize(
    "penalty", [Sampler(0, presence_penalty=2.0), Sampler(0, frequency_penalty=2.0)]
)
def test_what_was_said_is_said_less(dialog: CpuDialog, penalty: Sampler) -> None:
    def said() -> str:
        texts: list[str] = []
        dialog.reset()
        dialog.query("dog cat dog cat dog cat dog", on_text=lambda text, _: texts.append(text))
        return "".join(texts)

    dialog.set_max_tokens(12)
    plain = said()
    dialog.set_sampler(penalty)
    assert said() != plain


@pytest.mark.model
def test_the_most_probable_alone_where_min_p_is_1(dialog: CpuDialog) -> None:
    def said(sampler: Sampler) -> str:
        texts: list[str] = []
        dialog.set_sampler(sampler)
        dialog.reset()
        dialog.query("Once upon a", on_text=lambda text, _: texts.append(text))
        return "".join(texts)

    greedy = said(Sampler(temperature=0))
    assert said(Sampler(1.5, top_k=0, top_p=1.0, min_p=1.0, seed=4)) == greedy


# --- the port ----------------------------------------------------------------------------------


@pytest.mark.model
@pytest.mark.parametrize("key", ["", "Bearer ", "Bearer " + "0" * 64])
@pytest.mark.parametrize("path", ["/completion", "/tokenize", "/slots/0?action=erase"])
def test_without_the_key_the_port_answers_401(dialog: CpuDialog, path: str, key: str) -> None:
    server = server_of(dialog)
    assert server.host == "127.0.0.1"
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    headers = {"Authorization": key} if key else {}
    connection.request("POST", path, json.dumps({"prompt": "x", "content": "x"}), headers)
    assert connection.getresponse().status == 401
    connection.close()


@pytest.mark.model
def test_closing_frees_the_port(model_file: Path) -> None:
    dialog = CpuDialog(spec(model_file, 256))
    server = server_of(dialog)
    dialog.close()
    with pytest.raises(ConnectionRefusedError):
        server.connect().connect()


@pytest.mark.model
def test_a_model_may_be_closed_as_soon_as_it_is_loaded(model_file: Path) -> None:
    """The library alone would now and then wait for ever."""
    code = (
        "import sys; from pathlib import Path;"
        "from npurun_tui.engine.cpu.server import LlamaServer;"
        "[LlamaServer(Path(sys.argv[1]), context=256, threads=1).close() for _ in range(6)]"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(model_file)], check=True, timeout=60, capture_output=True
    )


@pytest.mark.model
def test_a_server_that_dies_in_an_answer_is_a_failed_query(model_file: Path) -> None:
    dialog = CpuDialog(spec(model_file, 256))
    server = server_of(dialog)
    calls: list[tuple[str, SentenceCode]] = []

    def kill(text: str, code: SentenceCode) -> None:
        calls.append((text, code))
        if len(calls) == 2:
            server._server = None

    with pytest.raises(GenieError) as caught:
        dialog.query("Once upon a time", on_text=kill)
    assert caught.value.status == Status.ERROR_GENERAL
    assert calls[-1] == ("", SentenceCode.ABORT)
    assert [code for _, code in calls].count(SentenceCode.ABORT) == 1
    with pytest.raises(GenieError):
        dialog.query("again")
    dialog.close()


@pytest.mark.model
@pytest.mark.parametrize("code", [SentenceCode.COMPLETE, SentenceCode.BEGIN])
def test_progress_is_told_for_each_batch(dialog: CpuDialog, code: SentenceCode) -> None:
    progress: list[tuple[int, int]] = []
    prompt = "word " * (3 * BATCH)
    dialog.query(prompt, code, None, lambda *told: progress.append(told))
    total = len(dialog.tokenize(prompt))
    assert progress[-1] == (total, total)
    assert len(progress) >= total // BATCH >= 3


# --- aborting ----------------------------------------------------------------------------------


def abort_in_prefill(dialog: CpuDialog, code: SentenceCode) -> int:
    """Abort a long prompt at the first sign of progress; how many of its tokens were to be prefilled."""
    begun = threading.Event()
    progress: list[tuple[int, int]] = []
    at_signal = 0

    def signal() -> None:
        nonlocal at_signal
        assert begun.wait(60)
        dialog.signal(Action.ABORT)
        at_signal = len(progress)

    def on_progress(done: int, total: int) -> None:
        progress.append((done, total))
        begun.set()

    thread = threading.Thread(target=signal)
    thread.start()
    calls: list[tuple[str, SentenceCode]] = []
    status = dialog.query(LONG, code, lambda text, code: calls.append((text, code)), on_progress)
    thread.join()
    assert status == Status.WARNING_ABORTED
    assert calls == ([("", SentenceCode.END)] if code == SentenceCode.COMPLETE else [])
    done, total = progress[-1]
    assert done < total
    assert len(progress) <= at_signal + 1  # what had been read already, and nothing is waited for
    return total


@pytest.mark.model
@pytest.mark.parametrize("code", [SentenceCode.COMPLETE, SentenceCode.BEGIN])
def test_an_aborted_prefill_is_given_up(dialog: CpuDialog, code: SentenceCode) -> None:
    """llama.cpp keeps what it did of a prompt: what the same prompt still needs says how far it went."""
    whole = abort_in_prefill(dialog, code)
    assert dialog.context_occupancy == 0
    done = whole - abort_in_prefill(dialog, code)
    assert done < whole - BATCH  # two batches of seven, unless this process was kept waiting
    assert dialog.query("Hello") == Status.SUCCESS


@pytest.mark.model
def test_an_aborted_prefill_leaves_the_conversation_as_it_was(dialog: CpuDialog) -> None:
    expected: list[str] = []
    dialog.query("The sea is", on_text=lambda text, _: expected.append(text))
    dialog.query(" and", SentenceCode.END, lambda text, _: expected.append(text))
    dialog.reset()
    heard: list[str] = []
    dialog.query("The sea is", on_text=lambda text, _: heard.append(text))
    held = dialog.context_occupancy
    abort_in_prefill(dialog, SentenceCode.COMPLETE)
    assert dialog.context_occupancy == held
    dialog.query(" and", SentenceCode.END, lambda text, _: heard.append(text))
    assert heard == expected


@pytest.mark.model
def test_pausing_is_refused(dialog: CpuDialog) -> None:
    with pytest.raises(GenieError) as caught:
        dialog.signal(Action.PAUSE)
    assert caught.value.status == Status.ERROR_INVALID_ARGUMENT


# --- reuse of tokens that are not the tokenizer's own ---------------------------------------------


def reused(dialog: CpuDialog) -> int:
    profile = dialog.profile()
    assert profile is not None
    return profile.cached_tokens


@pytest.mark.model
def test_a_text_written_in_two_parts_is_reused_whole(dialog: CpuDialog) -> None:
    text = "<|im_start|>user\nAn extraordinary strawberry"
    for cut in (len(text) - 4, len(text) - 12):
        dialog.reset()
        dialog.query(text[:cut], SentenceCode.BEGIN)
        dialog.query(text[cut:], SentenceCode.CONTINUE)
        held = dialog.context_occupancy
        assert held > len(
            dialog.tokenize(text)
        )  # the seam is not where the tokenizer would put one
        dialog.query(f"{text}<|im_end|>\n<|im_start|>assistant\n", SentenceCode.REWIND)
        assert reused(dialog) == held


@pytest.mark.model
@pytest.mark.parametrize("seed", range(3))
def test_a_wildly_sampled_answer_is_reused_whole(dialog: CpuDialog, seed: int) -> None:
    prompt = "<|im_start|>user\nTell me a story 🦊<|im_end|>\n<|im_start|>assistant\n"
    dialog.set_sampler(Sampler(temperature=1.8, top_k=0, top_p=1.0, seed=seed))
    dialog.set_max_tokens(30)
    heard: list[str] = []
    dialog.query(prompt, on_text=lambda text, _: heard.append(text))
    held = dialog.context_occupancy
    dialog.set_max_tokens(1)
    dialog.query(f"{prompt}{''.join(heard)}<|im_end|>\n", SentenceCode.REWIND)
    assert reused(dialog) == held


# --- loading -----------------------------------------------------------------------------------


@pytest.mark.model
def test_the_template_and_its_tokens_come_from_the_file(dialog: CpuDialog) -> None:
    assert "<|im_start|>" in dialog.chat_template
    assert (dialog.bos_text, dialog.eos_text) == ("<|im_start|>", "<|im_end|>")
    assert dialog.context_size == 1024


@pytest.mark.model
def test_without_a_wish_the_window_is_the_trained_one(model_file: Path) -> None:
    dialog = open_dialog(spec(model_file, 0))
    try:
        assert dialog.context_size == 8192
        dialog.set_max_tokens(1)
        assert dialog.query("Hello") == Status.SUCCESS
    finally:
        dialog.close()


@pytest.mark.model
def test_a_broken_chat_template_does_not_keep_a_model_from_loading(
    model_file: Path, tmp_path: Path
) -> None:
    content = model_file.read_bytes()
    start = content.index(b"{% for message in messages %}")
    damaged = tmp_path / "model.gguf"
    with damaged.open("wb") as file:
        file.write(content)
        file.seek(start)
        file.write(b"{% for message %}{{{{ endfor ")
    dialog = open_dialog(spec(damaged, 256))
    try:
        dialog.set_max_tokens(1)
        assert dialog.query("Hello") == Status.SUCCESS
    finally:
        dialog.close()


@pytest.mark.model
def test_a_truncated_model_is_told_precisely(model_file: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "model.gguf"
    shutil.copyfile(model_file, damaged)
    os.truncate(damaged, 50_000_000)
    with pytest.raises(ModelFileDamaged, match="50,000,000 of the 98,362,432 bytes"):
        open_dialog(spec(damaged))


def test_a_model_that_llama_cpp_refuses(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(build(PAIRS | {"general.architecture": "unheard-of"}))
    with pytest.raises(EngineLoadFailed, match=r"could not load model\.gguf") as caught:
        open_dialog(spec(file))
    assert caught.value.mend


def test_a_missing_model_file(tmp_path: Path) -> None:
    with pytest.raises(EngineLoadFailed, match="cannot be read"):
        open_dialog(spec(tmp_path / "none.gguf"))


def test_a_spec_without_a_model_file(tmp_path: Path) -> None:
    with pytest.raises(EngineLoadFailed, match="names no GGUF file"):
        open_dialog(ModelSpec("test", "llama.cpp", tmp_path))


def test_a_bundle_is_never_opened_on_the_cpu(tmp_path: Path) -> None:
    with pytest.raises(EngineLoadFailed, match=r"names no genie_config\.json"):
        open_dialog(ModelSpec("test", "genie", tmp_path))


def test_without_xllamacpp_the_platform_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    file = tmp_path / "model.gguf"
    file.write_bytes(build(PAIRS))
    with pytest.raises(EngineUnavailable, match="not installed on this machine") as caught:
        open_dialog(spec(file))
    assert "pip install xllamacpp" in caught.value.mend


def test_importing_the_engine_does_not_load_llama_cpp() -> None:
    code = (
        "import sys, npurun_tui.engine.loading, npurun_tui.engine.cpu.dialog;"
        "print(sorted({'xllamacpp', 'psutil', 'httpx', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
