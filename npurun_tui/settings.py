"""Where things are, and what the user has chosen: folders, `config.toml`, environment.

Order of precedence: environment variable, then `config.toml`, then the default. A broken `config.toml`
never stops the program: the defaults apply and `Settings.warnings` says what was wrong.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import platformdirs

from npurun_tui.files import write_atomic

APP = "npurun-tui"


@dataclass(frozen=True, slots=True)
class Paths:
    """Every folder and file that the program owns. Nothing is created by asking for it."""

    models: Path
    """One folder per model, shared with the Rust program `npurun`."""
    data: Path
    """The SQLite database."""
    state: Path
    """Log files, crash files, and the small choices remembered between runs."""
    config: Path
    """`config.toml`."""

    @property
    def database(self) -> Path:
        return self.data / "npurun-tui.db"

    @property
    def log(self) -> Path:
        """The program's own log."""
        return self.state / "npurun-tui.log"

    @property
    def engine_log(self) -> Path:
        """What the native libraries print, and the engine process's own log."""
        return self.state / "engine.log"

    @property
    def conversations(self) -> Path:
        """Saved caches of conversations, in a folder for each process that runs."""
        return self.state / "conversations"

    @property
    def beacon(self) -> Path:
        """Where a server of this program can be found, while one runs."""
        return self.state / "server.json"

    @property
    def remembered(self) -> Path:
        return self.state / "remembered.json"

    @classmethod
    def resolve(cls, environ: Mapping[str, str] = os.environ) -> Paths:
        """The folders for this user.

        `NPURUN_MODELS_DIR` names the models' folder as it does for the Rust program, whose default on
        Windows (`%LOCALAPPDATA%\\npurun\\models`) is ours too. `NPURUN_TUI_HOME` puts everything else
        into one folder (portable installs, tests).
        """
        if home := environ.get("NPURUN_TUI_HOME"):
            base = Path(home).expanduser()
            data, state, config, models = base / "data", base / "state", base, base / "models"
        else:
            data = Path(platformdirs.user_data_dir(APP, appauthor=False))
            state = Path(platformdirs.user_state_dir(APP, appauthor=False))
            config = Path(platformdirs.user_config_dir(APP, appauthor=False))
            models = Path(platformdirs.user_data_dir("npurun", appauthor=False)) / "models"
        if chosen := environ.get("NPURUN_MODELS_DIR"):
            models = Path(chosen).expanduser()
        return cls(models, data, state, config / "config.toml")


_MOST = {
    "context": 1_048_576,
    "cpu_threads": 1024,
    "max_queue": 10_000,
    "load_timeout": 1_000_000,
    "answer_timeout": 1_000_000,
    "cache_limit_mb": 10_000_000,
}
"""Above these a slip of the finger would take all memory, abort the native library, or overflow a clock."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The user's choices. Each field can stand in `config.toml` under its own name."""

    theme: str = ""
    """A Textual theme's name; empty: the one last chosen in the workbench."""
    max_queue: int = 8
    """How many callers may wait for the permit; 0 refuses at once when it is held."""
    cpu_threads: int = 0
    """Threads for the CPU engine; 0 chooses (`NPURUN_CPU_THREADS` overrides)."""
    context: int = 0
    """Upper limit of the CPU engine's context window in tokens; 0 chooses."""
    load_timeout: float = 300.0
    """Seconds without a sign of life while a model loads before the engine process is ended."""
    answer_timeout: float = 120.0
    """Seconds without a token or prefill progress before the engine process is ended."""
    cache_limit_mb: int = 2048
    """Megabytes on the disk for the caches of conversations that another one interrupted; 0 keeps none."""
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def load(cls, path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read `path` (a missing file is no fault) and the environment."""
        values, warnings = _read_config(path)
        if threads := environ.get("NPURUN_CPU_THREADS"):
            short = threads.isascii() and threads.isdigit() and len(threads) <= 4
            if short and int(threads) <= _MOST["cpu_threads"]:
                values["cpu_threads"] = int(threads)
            else:
                most = _MOST["cpu_threads"]
                warnings.append(
                    f"NPURUN_CPU_THREADS is not a number from 0 to {most:,}: {threads[:40]!r}."
                )
        return cls(**values, warnings=tuple(warnings))


def _read_config(path: Path) -> tuple[dict[str, Any], list[str]]:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}, []
    except (OSError, UnicodeDecodeError) as error:
        return {}, [_unreadable(path, error)]
    import tomllib  # 3 ms at every start, for a file that few have

    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        return {}, [_unreadable(path, error)]
    known = {f.name: f for f in fields(Settings) if f.name != "warnings"}
    values: dict[str, Any] = {}
    warnings: list[str] = []
    for key, value in document.items():
        if key not in known:
            warnings.append(f"{path}: unknown setting {key[:40]!r}.")
        elif (fault := _fault(known[key].default, value)) is not None:
            warnings.append(f"{path}: {key} must be {fault}; the default applies.")
        elif (most := _MOST.get(key)) is not None and value > most:
            warnings.append(f"{path}: {key} can be {most:,} at most; the default applies.")
        else:
            values[key] = value
    return values, warnings


def _unreadable(path: Path, error: Exception) -> str:
    return f"{path} could not be read ({error}); the defaults apply."


def _fault(default: object, value: object) -> str | None:
    """What `value` would have to be to stand where `default` stands; None where it is right."""
    if isinstance(default, str):
        return None if isinstance(value, str) else "a text"
    number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    if isinstance(default, int):
        return None if number and isinstance(value, int) else "a whole number, 0 or more"
    return None if number and value else "a number of seconds above 0"


class Remembered:
    """Small choices kept between runs (theme, last model): a JSON object, written atomically.

    It is a convenience: an unreadable file counts as empty, and a failed write is reported to the
    caller as an `OSError` to be logged, never shown.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values = self._read()
        self._writing = threading.Lock()

    def _read(self) -> dict[str, str]:
        try:
            document = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(document, dict):
            return {}
        return {key: value for key, value in document.items() if isinstance(value, str)}

    def get(self, key: str) -> str:
        """The remembered value, empty where there is none."""
        return self._values.get(key, "")

    def set(self, key: str, value: str) -> None:
        """Remember `value` now (a few hundred bytes and two fsyncs: not for a hot path). From any thread."""
        with self._writing:  # else an older state may replace a newer one in the file
            if self._values.get(key) == value:
                return
            self._values[key] = value
            write_atomic(self._path, json.dumps(self._values, indent=1).encode())
