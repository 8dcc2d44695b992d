"""Dialogs: Genie's functions over a dialog of this program, with the rules that only the C interface has."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from npurun_tui.engine.dialog import Action, Dialog, GenieError, SentenceCode, Status
from npurun_tui.errors import NpurunError
from npurun_tui.genie_abi.failure import AbiError, general, invalid_argument
from npurun_tui.genie_abi.library import Library, parse
from npurun_tui.genie_abi.logs import Log
from npurun_tui.genie_abi.opening import open_model
from npurun_tui.genie_abi.profiles import Component, Profile, now_us, query_figures
from npurun_tui.genie_abi.samplers import DialogSampler
from npurun_tui.genie_abi.schema import check_root

DEFAULT_POLICY: Final = 10
_UNLIMITED: Final = (1 << 32) - 1
_STOP_CODES: Final = (SentenceCode.BEGIN, SentenceCode.CONTINUE)


@dataclass(eq=False, slots=True)
class DialogConfig:
    """A validated `dialog` object and what is bound to it."""

    document: dict[str, Any]
    profiles: list[Profile] = field(default_factory=list)
    log: Log | None = None


@dataclass(eq=False, slots=True)
class Tokenizer:
    """A borrowed handle's other end."""

    dialog: Dialog


@dataclass(eq=False, slots=True)
class NativeDialog:
    """What a dialog handle stands for."""

    dialog: Dialog
    sampler: DialogSampler
    tokenizer: Tokenizer
    components: list[Component]
    profiles: list[Profile]
    seed: int
    """Of the running random stream; a new one counts from the next reset."""
    querying: bool = False
    policy: int = DEFAULT_POLICY
    generated: int = 0

    def apply(self) -> None:
        """Give the dialog the sampler's settings, without seeding anew."""
        self.dialog.set_sampler(self.sampler.settings(self.seed))

    def seed_anew(self) -> None:
        """Begin the random stream that the settings ask for."""
        wanted = self.sampler.seed
        self.seed = secrets.randbits(31) if wanted is None else wanted
        self.apply()


# --- configs -------------------------------------------------------------------------------------


def config_from_json(library: Library, pointer: Any, out: Any) -> int:
    """`GenieDialogConfig_createFromJson`: structure only, no file is opened."""
    library.need(pointer, out)
    document = parse(library.text(pointer))
    library.give(out, DialogConfig(check_root("dialog", document, library.release)))
    return 0


def bind_profiler(library: Library, config: Any, profile: Any) -> int:
    """`GenieDialogConfig_bindProfiler`."""
    found = library.get(config, DialogConfig)
    found.profiles.append(library.get(profile, Profile))
    found.profiles[-1].users.add(id(found))
    return 0


def bind_logger(library: Library, config: Any, log: Any) -> int:
    """`GenieDialogConfig_bindLogger`."""
    library.get(config, DialogConfig).log = library.get(log, Log)
    return 0


def free_config(library: Library, handle: Any) -> int:
    """`GenieDialogConfig_free`."""
    config = library.free(handle, DialogConfig)
    for profile in config.profiles:
        profile.users.discard(id(config))
    return 0


# --- life ----------------------------------------------------------------------------------------


def create(library: Library, handle: Any, out: Any) -> int:
    """`GenieDialog_create`: whatever goes wrong is -1 with words on stderr."""
    library.need(out)
    config = library.get(handle, DialogConfig)
    began = now_us()
    document = config.document
    try:
        dialog = open_model(document)
    except NpurunError as error:
        raise general(str(error)) from error
    sampler = DialogSampler(dict(document.get("sampler", {})))
    native = NativeDialog(
        dialog,
        sampler,
        Tokenizer(dialog),
        [profile.component("dialog") for profile in config.profiles],
        list(config.profiles),
        0,
    )
    sampler.on_change = native.apply
    native.seed_anew()
    dialog.set_stop_sequences(document.get("stop-sequence", []))
    dialog.set_max_tokens(limit(document.get("max-num-tokens", _UNLIMITED)))
    for profile in native.profiles:
        profile.users.add(id(native))
    took = {"value": now_us() - began, "unit": "us"}
    for component in native.components:
        component.record("GenieDialog_create", began, init_time=took)
    library.give(out, native)
    return 0


def free(library: Library, handle: Any) -> int:
    """`GenieDialog_free`; what was borrowed from it dies with it."""
    native = library.get(handle, NativeDialog)
    if native.querying:
        raise general("A query is running.")
    library.free(handle, NativeDialog)
    began = now_us()
    library.handles.forget(native.sampler)
    library.handles.forget(native.tokenizer)
    native.dialog.close()
    for component in native.components:
        component.record("GenieDialog_free", began)
    for profile in native.profiles:
        profile.users.discard(id(native))
    return 0


def borrow(library: Library, handle: Any, out: Any, which: str) -> int:
    """`GenieDialog_getSampler` and `_getTokenizer`."""
    native = library.get(handle, NativeDialog)
    library.need(out)
    library.give(out, getattr(native, which))
    return 0


# --- queries -------------------------------------------------------------------------------------


def query(library: Library, handle: Any, pointer: Any, code: int, callback: Any, user: Any) -> int:
    """`GenieDialog_query`: blocks, and calls back on this thread."""
    native = library.get(handle, NativeDialog)
    kind = _code(code)
    library.need(pointer, callback)
    text = library.text(pointer, "query")

    def say(data: bytes, said: int) -> None:
        callback(library.ffi.new("char[]", data), said, user)

    return _ask(native, text, kind, say)


def batch_query(
    library: Library,
    handle: Any,
    pointers: Any,
    size: int,
    code: int,
    callback: Any,
    users: Any,
) -> int:
    """`GenieDialog_batchQuery`: one after the other, each with a user pointer of its own; it cannot rewind."""
    native = library.get(handle, NativeDialog)
    kind = _code(code)
    library.need(pointers, callback)
    if kind == SentenceCode.REWIND or not size:
        raise invalid_argument("A batch cannot be rewound, and is not empty.")
    status = 0
    for index in range(size):
        text = library.text(pointers[index], "query")
        user = users[index] if users != library.ffi.NULL else library.ffi.NULL

        def say(data: bytes, said: int, user: Any = user) -> None:
            callback(library.ffi.new("char[]", data), said, user)

        status = _ask(native, text, kind, say) or status
    return status


def _code(code: int) -> SentenceCode:
    try:
        kind = SentenceCode(code)
    except ValueError as error:
        raise invalid_argument(f"{code} is no sentence code.") from error
    if kind in (SentenceCode.ABORT, SentenceCode.RESUME):
        raise invalid_argument(f"{kind.name} is not for a query.")
    return kind


def _ask(
    native: NativeDialog, text: str, code: SentenceCode, say: Callable[[bytes, int], None]
) -> int:
    if native.querying:
        raise general("Another query is running.")
    ended = False
    native.generated = 0
    began = now_us()

    def on_text(piece: str, kind: SentenceCode) -> None:
        nonlocal ended
        ended = kind not in _STOP_CODES
        native.generated += not ended
        # C strings end at NUL; surrogates are the lone bytes of a script that cuts characters.
        say(piece.replace("\x00", "").encode("utf-8", "surrogateescape"), int(kind))

    native.querying = True
    try:
        status = native.dialog.query(text, code, on_text)
    except GenieError as error:
        if error.status != Status.ERROR_INVALID_ARGUMENT and code not in _STOP_CODES and not ended:
            say(b"", int(SentenceCode.ABORT))
        raise AbiError(error.status, error.detail or str(error)) from error
    finally:
        native.querying = False
    profile = native.dialog.profile()
    if profile is not None and status != Status.WARNING_CONTEXT_EXCEEDED:
        for component in native.components:
            component.record("GenieDialog_query", began, **query_figures(profile))
    return int(status)


def signal(library: Library, handle: Any, action: int) -> int:
    """`GenieDialog_signal`: from any thread; idle it does nothing."""
    native = library.get(handle, NativeDialog)
    if action != Action.ABORT:
        raise invalid_argument("A basic dialog can only be aborted.")
    if native.querying:
        native.dialog.signal(Action.ABORT)
    return 0


def reset(library: Library, handle: Any) -> int:
    """`GenieDialog_reset`: empty cache, random stream from the settings' seed, default policy."""
    native = library.get(handle, NativeDialog)
    native.seed_anew()
    native.dialog.reset()
    native.policy = DEFAULT_POLICY
    return 0


def limit(count: int) -> int | None:
    """Max tokens as the contract has them."""
    return None if count >= _UNLIMITED else count
