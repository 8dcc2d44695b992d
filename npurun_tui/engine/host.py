"""The engine process: `python -m npurun_tui.engine.host LOGFILE`.

It owns one dialog and serves one parent. The main thread runs the requests in order; a reader thread takes lines from
the pipe so that an abort reaches a running query at once. When the pipe ends the parent is gone, and so is this
process: no orphan survives the workbench.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import queue
import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from npurun_tui.engine import message_json, wire
from npurun_tui.engine.dialog import (
    Action,
    Dialog,
    Ending,
    GenieError,
    QueryProfile,
    Sampler,
    SentenceCode,
    Status,
)
from npurun_tui.engine.prompting import Prompter, prompter_for
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.engine.template_facts import template_facts
from npurun_tui.errors import EngineError, NpurunError

log = logging.getLogger("npurun_tui.engine.host")


class Host:
    """Serves requests from `source` on the thread that calls `serve`."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink
        self._requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._dialog: Dialog | None = None
        self._prompter: Prompter | None = None
        self._running = threading.Lock()
        self._query: int | None = None
        self._aborted: set[int] = set()

    def serve(self) -> None:
        """Run until the pipe ends; that ends the process from the reader thread."""
        threading.Thread(target=self._read, name="pipe", daemon=True).start()
        self._send({"hello": os.getpid()})
        while True:
            self._answer(self._requests.get())

    # -- the reader thread -----------------------------------------------------------------

    def _read(self) -> None:
        for line in self._source:
            message = wire.decode(line)
            if message["op"] == "signal":
                self._signal(message["query"], Action(message["action"]))
            else:
                self._requests.put(message)
        # No clean-up: the dialog may be deep in native code, and the operating system frees all of it.
        os._exit(0)

    def _signal(self, query: int, action: Action) -> None:
        with self._running:
            self._aborted.add(query)
            if self._query == query and self._dialog is not None:
                self._dialog.signal(action)

    # -- the main thread -------------------------------------------------------------------

    def _send(self, message: dict[str, Any]) -> None:
        self._sink.write(wire.encode(message))
        self._sink.flush()

    def _answer(self, request: dict[str, Any]) -> None:
        number, operation = request.pop("id"), request.pop("op")
        try:
            value = getattr(self, f"_op_{operation}")(number, **request)
        except NpurunError as error:
            self._send({"id": number, "error": wire.encode_error(error)})
        except MemoryError:
            failure = EngineError(
                "The engine process ran out of memory.", mend="Choose a smaller model or context."
            )
            self._send({"id": number, "error": wire.encode_error(failure)})
        else:
            self._send({"id": number, "ok": value})

    @property
    def _open(self) -> Dialog:
        if self._dialog is None:
            raise GenieError(Status.ERROR_INVALID_HANDLE, "GenieDialog", "no model is loaded")
        return self._dialog

    def _op_load(self, number: int, spec: dict[str, Any]) -> dict[str, Any]:
        del number
        from npurun_tui.engine.loading import open_dialog

        model = ModelSpec.from_json(spec)
        self._dialog = open_dialog(model)
        self._prompter = prompter_for(self._dialog, model)
        place, size = self._dialog.place, self._dialog.context_size
        log.info("loaded %s on %s, context %d", model.name, place, size)
        facts = template_facts(getattr(self._dialog, "chat_template", ""))
        return {
            "context_size": size,
            "place": place,
            "rewinds_restored": self._dialog.rewinds_restored,
            "constrains": self._dialog.constrains,
            "embeds": self._dialog.embeds,
            "facts": asdict(facts),
        }

    def _op_render(
        self, number: int, messages: list[dict[str, Any]], extras: dict[str, Any]
    ) -> str:
        del number
        if self._prompter is None:
            raise GenieError(Status.ERROR_INVALID_HANDLE, "GenieDialog", "no model is loaded")
        talk = [message_json.decode_message(message) for message in messages]
        return self._prompter.render(talk, message_json.decode_extras(extras))

    def _op_configure(
        self,
        number: int,
        sampler: dict[str, Any],
        stop: list[str],
        max_tokens: int | None,
        constraint: dict[str, Any] | None,
    ) -> None:
        del number
        self._open.set_sampler(Sampler(**sampler))
        self._open.set_stop_sequences(stop)
        self._open.set_max_tokens(max_tokens)
        self._open.set_constraint(message_json.decode_constraint(constraint))

    def _op_query(self, number: int, text: str, code: int) -> dict[str, Any]:
        dialog, generated = self._open, 0

        def check() -> None:
            # An abort that came between "this query is current" and the dialog's own start did nothing there.
            if number in self._aborted:
                dialog.signal(Action.ABORT)

        def on_text(piece: str, kind: SentenceCode) -> None:
            nonlocal generated
            if kind in (SentenceCode.BEGIN, SentenceCode.CONTINUE):
                generated += 1
                check()
            self._send({"id": number, "t": [piece, int(kind)]})

        def on_progress(done: int, total: int) -> None:
            check()
            self._send({"id": number, "p": [done, total]})

        with self._running:
            if number in self._aborted:
                # The dialog never heard of this query: its figures are those of another.
                return _outcome(Status.WARNING_ABORTED, 0, dialog.context_occupancy)
            self._query = number
        try:
            status = dialog.query(text, SentenceCode(code), on_text, on_progress)
        finally:
            with self._running:
                self._query = None
                self._aborted.clear()
        return _outcome(
            status,
            generated,
            dialog.context_occupancy,
            dialog.profile(),
            dialog.ending,
            dialog.stop_sequence,
        )

    def _op_opening(self, number: int, text: str) -> dict[str, Any]:
        del number
        start = self._open.opening(text)
        return {"how": start.how, "why": start.why, "trusts_empty": self._open.trusts_empty}

    def _op_rebuild(self, number: int) -> None:
        del number
        self._open.rebuild()

    def _op_reset(self, number: int) -> None:
        del number
        self._open.reset()

    def _op_occupancy(self, number: int) -> int:
        del number
        return self._open.context_occupancy

    def _op_tokenize(self, number: int, text: str) -> list[int]:
        del number
        return self._open.tokenize(text)

    def _op_count(self, number: int, text: str) -> int:
        del number
        return len(self._open.tokenize(text))

    def _op_embed(self, number: int, texts: list[str], truncate: bool) -> dict[str, Any]:
        del number
        vectors, tokens = self._open.embed(texts, truncate=truncate)
        return {"vectors": vectors, "tokens": tokens}

    def _op_detokenize(self, number: int, tokens: list[int]) -> str:
        del number
        return self._open.detokenize(tokens)

    def _op_save(self, number: int, folder: str) -> None:
        del number
        self._open.save(Path(folder))

    def _op_restore(self, number: int, folder: str, random: bool) -> None:
        del number
        self._open.restore(Path(folder), random=random)


def _outcome(
    status: Status,
    generated: int,
    occupancy: int,
    profile: QueryProfile | None = None,
    ending: Ending | None = None,
    stop_sequence: str = "",
) -> dict[str, Any]:
    return {
        "status": status.value,
        "generated": generated,
        "occupancy": occupancy,
        "profile": asdict(profile) if profile else None,
        "ending": ending,
        "stop_sequence": stop_sequence,
    }


def take_pipe(log_file: Path) -> tuple[BinaryIO, BinaryIO]:
    """Move the pipe from fds 0 and 1 to private descriptors; native code then prints into `log_file`.

    llama.cpp and Genie write to stdout and stderr as they like; one such line on the pipe would break it.
    """
    source, sink = os.dup(0), os.dup(1)
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(source, os.O_BINARY)
        msvcrt.setmode(sink, os.O_BINARY)
    nothing = os.open(os.devnull, os.O_RDONLY)
    # Readable too: what Genie writes to stderr is read back from it (`engine/genie/stderr.py`).
    printed = os.open(log_file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(nothing, 0)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    os.close(nothing)
    os.close(printed)
    return os.fdopen(source, "rb"), os.fdopen(sink, "wb")


def main() -> None:
    """Serve the parent on this process's stdin and stdout."""
    # Ctrl+C in the terminal goes to the whole process group; what it means is the parent's to decide.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, sink = take_pipe(Path(sys.argv[1]))
    faulthandler.enable()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        Host(source, sink).serve()
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main()
