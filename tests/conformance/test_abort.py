"""Stopping a running query from its callback or from another thread (items 39 to 41)."""

from __future__ import annotations

import threading

import pytest

from npurun_tui.engine.dialog import Action, Dialog, Ending, GenieError, SentenceCode, Status
from tests.conformance.hearing import CAPITAL, FOX, Ear, ask


class Stopper(Ear):
    """Wakes another thread after some tokens, which then signals."""

    def __init__(self, dialog: Dialog, tokens: int) -> None:
        super().__init__()
        self._tokens = tokens
        self._reached = threading.Event()
        self.at_signal = 0
        self._thread = threading.Thread(target=self._signal, args=(dialog,))
        self._thread.start()

    def __call__(self, text: str, code: SentenceCode) -> None:
        super().__call__(text, code)
        if len(self.calls) == self._tokens:
            self._reached.set()

    def _signal(self, dialog: Dialog) -> None:
        assert self._reached.wait(60)
        dialog.signal(Action.ABORT)
        self.at_signal = len(self.calls)

    def join(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


def test_another_thread_stops_within_one_token(dialog: Dialog) -> None:
    ear = Stopper(dialog, 4)
    assert dialog.query(FOX, on_text=ear) == Status.WARNING_ABORTED
    ear.join()
    ear.check()
    assert ear.tokens <= ear.at_signal + 1
    assert ear.tokens < 100
    assert dialog.context_occupancy == len(dialog.tokenize(FOX)) + ear.tokens - 1


def test_after_an_abort_the_next_query_answers(dialog: Dialog) -> None:
    ear = Stopper(dialog, 2)
    assert dialog.query(FOX, on_text=ear) == Status.WARNING_ABORTED
    ear.join()
    assert "Paris" in ask(dialog, CAPITAL, SentenceCode.REWIND).text


def test_the_callback_itself_may_abort(dialog: Dialog) -> None:
    ear = Ear()

    def stop(text: str, code: SentenceCode) -> None:
        ear(text, code)
        if len(ear.calls) == 3:
            dialog.signal(Action.ABORT)

    assert dialog.query(FOX, on_text=stop) == Status.WARNING_ABORTED
    ear.check()
    assert 3 <= ear.tokens <= 4


def test_an_aborted_answer_is_profiled_and_can_be_gone_on_with(dialog: Dialog) -> None:
    ear = Stopper(dialog, 3)
    dialog.query(FOX, on_text=ear)
    ear.join()
    profile = dialog.profile()
    assert profile is not None
    assert profile.generated_tokens == ear.tokens
    assert profile.prompt_tokens == len(dialog.tokenize(FOX))
    held = dialog.context_occupancy
    dialog.set_max_tokens(2)
    ask(dialog, FOX + ear.text, SentenceCode.REWIND)
    after = dialog.profile()
    assert after is not None
    assert after.cached_tokens == held


@pytest.mark.parametrize("code", [SentenceCode.COMPLETE, SentenceCode.BEGIN])
def test_a_prefill_can_be_aborted(dialog: Dialog, code: SentenceCode) -> None:
    ear = Ear()

    def stop(done: int, total: int) -> None:
        ear.on_progress(done, total)
        dialog.signal(Action.ABORT)

    status = dialog.query("dog " * (dialog.context_size - 20), code, ear, stop)
    if not ear.progress:
        pytest.skip("this engine tells no progress, so the moment cannot be found")
    assert status == Status.WARNING_ABORTED
    assert dialog.ending in (Ending.ABORT, None)
    if code == SentenceCode.BEGIN:
        assert ear.calls == []
    else:
        ear.check()
        assert ear.tokens <= 1
    profile = dialog.profile()
    if profile is not None:
        assert profile.prompt_tokens <= ear.progress[-1][1]
        assert profile.generated_tokens == max(ear.tokens, 0)
    dialog.reset()
    assert "Paris" in ask(dialog, CAPITAL).text


def test_an_abort_in_a_prefill_does_not_claim_what_was_cached_before(dialog: Dialog) -> None:
    ask(dialog, CAPITAL)
    held = dialog.context_occupancy
    heard: list[int] = []

    def stop(done: int, _total: int) -> None:
        heard.append(done)
        dialog.signal(Action.ABORT)

    more = CAPITAL + " dog" * (dialog.context_size - held - 8)
    status = dialog.query(more, SentenceCode.REWIND, None, stop)
    profile = dialog.profile()
    if heard and profile is not None:
        assert status == Status.WARNING_ABORTED
        assert profile.prompt_tokens == heard[-1]
        assert 0 < profile.cached_tokens <= held


def test_pausing_never_aborts(dialog: Dialog) -> None:
    dialog.set_max_tokens(6)
    ear = Ear()
    refused: list[Status] = []

    def pause(text: str, code: SentenceCode) -> None:
        ear(text, code)
        if len(ear.calls) == 2:
            try:
                dialog.signal(Action.PAUSE)
            except GenieError as error:
                refused.append(error.status)

    status = dialog.query(FOX, on_text=pause)
    if refused:
        assert refused == [Status.ERROR_INVALID_ARGUMENT]
        assert (status, ear.tokens) == (Status.SUCCESS, 6)
    else:
        assert status == Status.WARNING_PAUSED


def test_an_idle_signal_does_nothing(dialog: Dialog) -> None:
    dialog.signal(Action.ABORT)
    assert "Paris" in ask(dialog, CAPITAL).text
    dialog.signal(Action.ABORT)
    dialog.signal(Action.ABORT)
    assert "Paris" in ask(dialog, CAPITAL, SentenceCode.REWIND).text


def test_an_exception_leaves_no_signal_behind(dialog: Dialog) -> None:
    def fail(text: str, code: SentenceCode) -> None:
        raise KeyError(text)

    for _ in range(2):
        try:
            dialog.query(FOX, SentenceCode.COMPLETE, fail)
        except KeyError:
            dialog.signal(Action.ABORT)
        else:
            raise AssertionError("the callback's exception was lost")
    dialog.reset()
    assert "Paris" in ask(dialog, CAPITAL).text
