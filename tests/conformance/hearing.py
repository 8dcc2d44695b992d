"""What the tests of this folder say to a dialog, and how they listen to it."""

from __future__ import annotations

from npurun_tui.engine.dialog import Dialog, SentenceCode, Status


def turn(text: str) -> str:
    """A user's turn in the test model's format, open for the answer."""
    return f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"


def after(prompt: str, answer: str, text: str) -> str:
    """`prompt`, its whole `answer`, and the next user's turn."""
    return f"{prompt}{answer}<|im_end|>\n{turn(text)}"


CAPITAL = turn("What is the capital of France?")
FOX = turn("Tell me a long story about a fox.")


class Ear:
    """A callback that notes what it is told; the checks are those of every query."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, SentenceCode]] = []
        self.progress: list[tuple[int, int]] = []

    def __call__(self, text: str, code: SentenceCode) -> None:
        self.calls.append((text, code))

    def on_progress(self, done: int, total: int) -> None:
        self.progress.append((done, total))

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.calls)

    @property
    def tokens(self) -> int:
        """Callbacks that stand for a token."""
        return len(self.calls) - 1

    def check(self) -> None:
        """Exactly BEGIN, CONTINUE*, and one terminal call without text."""
        codes = [code for _, code in self.calls]
        assert self.calls[-1] == ("", SentenceCode.END)
        assert (
            codes[:-1]
            == [SentenceCode.BEGIN, *[SentenceCode.CONTINUE] * len(codes)][: len(codes) - 1]
        )


def ask(
    dialog: Dialog,
    text: str,
    code: SentenceCode = SentenceCode.COMPLETE,
    *,
    status: Status = Status.SUCCESS,
) -> Ear:
    """Query, check the order of callbacks and the status."""
    ear = Ear()
    assert dialog.query(text, code, ear, ear.on_progress) == status
    ear.check()
    return ear
