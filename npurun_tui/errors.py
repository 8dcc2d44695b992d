"""The one exception hierarchy: what a user is told, in one sentence with the mend.

Everything that this program foresees going wrong is an `NpurunError`. Its text is for people: the
command line prints it after `npurun-tui:`, the workbench shows it in a notice, the HTTP server puts it in
an error body. What only a developer can use (a traceback, a library's own log) goes to the log file.
"""

from __future__ import annotations


class NpurunError(Exception):
    """A foreseen failure.

    `message` is one clear sentence; `mend` is what to do about it (a sentence, may be empty). `str()`
    gives both. `exit_code` is the process's exit status where a headless command ends with it.
    """

    exit_code = 1

    def __init__(self, message: str, *, mend: str = "") -> None:
        super().__init__(message, mend)
        self.message = message
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.message} {self.mend}".rstrip()


class UsageError(NpurunError):
    """The command line asks for something that cannot be meant (exit status 2)."""

    exit_code = 2


# --- models ------------------------------------------------------------------------------------


class ModelError(NpurunError):
    """Something about a model: its name, its folder, its manifest, its files."""


class ModelNotFound(ModelError):
    """No installed model, or no catalog entry, has this name."""


class ManifestInvalid(ModelError):
    """`npurun.json` is missing a field, or has one that cannot be true."""


class ModelSaysTooLittle(ModelError):
    """No file of a model says something that is needed; `flags` are the options of `convert manifest` that would."""

    def __init__(self, message: str, *, mend: str = "", flags: tuple[str, ...] = ()) -> None:
        super().__init__(message, mend=mend)
        self.flags = flags


class ModelFileDamaged(ModelError):
    """A model file is truncated, of another format, or not what its manifest says."""


class ModelBusy(ModelError):
    """Another process (or task) works on this model's folder."""


class PullFailed(NpurunError):
    """A download ended early. What was fetched is kept where it can be resumed."""


class NetworkUnavailable(PullFailed):
    """No answer from the network: name lookup, connection, TLS or a stall."""


class HashMismatch(PullFailed):
    """The bytes are not the ones that were announced; the mend says whether any are kept."""


class DiskFull(NpurunError):
    """There is not enough free space, or it ran out. Nothing that was complete is lost."""


# --- engine ------------------------------------------------------------------------------------


class EngineError(NpurunError):
    """The engine could not do what was asked."""


class EngineUnavailable(EngineError):
    """No engine on this machine can run this model."""


class EngineLoadFailed(EngineError):
    """The model was not loaded; the text says why in the runtime's own words where it has any."""


class EngineCrashed(EngineError):
    """The engine process died or was ended. Text that had arrived is valid and was kept."""


class ContextOverflow(EngineError):
    """The conversation does not fit the model's context window. Nothing was cut or sent.

    `needed` and `window` are tokens, 0 where they are not known.
    """

    def __init__(self, message: str, *, mend: str = "", needed: int = 0, window: int = 0) -> None:
        super().__init__(message, mend=mend)
        self.needed = needed
        self.window = window


class TemplateInvalid(EngineError):
    """The model's chat template cannot be rendered."""


class QueueFull(EngineError):
    """The waiting line for the permit is full; `waiting` stand in it."""

    def __init__(self, message: str, *, mend: str = "", waiting: int = 0) -> None:
        super().__init__(message, mend=mend)
        self.waiting = waiting


# --- storage -----------------------------------------------------------------------------------


class StorageError(NpurunError):
    """The database could not be read or written."""


class StorageLocked(StorageError):
    """Another process holds the database's write lock for longer than we wait."""


# --- bench -------------------------------------------------------------------------------------


class BenchBusy(NpurunError):
    """A bench goes on already; there is one at a time."""


class BenchFileInvalid(NpurunError):
    """A file of bench results is not what it has to be. Nothing of it was taken."""


class ExportFailed(NpurunError):
    """A file could not be written. What stood there before is unchanged."""
