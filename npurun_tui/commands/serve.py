"""`serve`: the HTTP server without a screen, until Ctrl+C."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from npurun_tui import units
from npurun_tui.commands.interrupting import INTERRUPTED_STATUS, Interrupts
from npurun_tui.commands.speaking import Speaker
from npurun_tui.errors import UsageError
from npurun_tui.logs import configure_logging
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.control import ServerControl
from npurun_tui.server.log import RequestLog
from npurun_tui.server.outcomes import succeeded
from npurun_tui.server.state import ServerState
from npurun_tui.server.tokens import hash_token, new_token
from npurun_tui.services import Services
from npurun_tui.settings import Paths, Settings
from npurun_tui.storage.requests import RequestRow
from npurun_tui.text import one_line

Say = Callable[[str], None]

SAFE: Final = 16
"""Characters below which a token of the user's own is warned of."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What clients have to show. Empty texts: nothing is asked for."""

    infer: str = ""
    admin: str = ""
    new: bool = False
    """`infer` was made here and nobody knows it yet."""

    @classmethod
    def chosen(cls, infer: str, admin: str, *, new: bool) -> Tokens:
        """Raises UsageError for what no header can carry, and for a new token beside a given one."""
        if new and infer:
            raise UsageError("A token is given already.", mend="Leave out --new-token.")
        for token in (infer, admin):
            if token and not (token.isascii() and token.isprintable() and " " not in token):
                raise UsageError(
                    "A token may hold only letters, digits and signs that HTTP can carry.",
                    mend="--new-token makes one.",
                )
        if infer and infer == admin:
            raise UsageError(
                "The admin token is the token that every client has, so it protects nothing.",
                mend="Give another one, or leave out --admin-token.",
            )
        return cls(new_token() if new else infer, admin, new)

    @property
    def short(self) -> bool:
        """One of them is short enough to be guessed."""
        return any(0 < len(token) < SAFE for token in (self.infer, self.admin))

    @property
    def infer_hash(self) -> bytes:
        """What the server keeps of `infer`."""
        return hash_token(self.infer) if self.infer else b""

    @property
    def admin_hash(self) -> bytes:
        """What the server keeps of `admin`."""
        return hash_token(self.admin) if self.admin else b""


def serve(config: ServerConfig, paths: Paths, settings: Settings, tokens: Tokens) -> int:
    """Serve until interrupted; returns the exit status.

    Raises:
        CannotServe, ModelError: it cannot begin like this.
    """
    configure_logging(paths.log)
    return asyncio.run(_serve(config, paths, settings, tokens))


async def _serve(config: ServerConfig, paths: Paths, settings: Settings, tokens: Tokens) -> int:
    services, speaker = Services(paths, settings), Speaker()
    requests = RequestLog(paths.database, heard=lambda row: _say_request(row, speaker.say))
    control = ServerControl(services, request_log=requests)
    stopping = asyncio.Event()
    ctrl_c = Interrupts(*_ending())
    ctrl_c.gently = stopping.set
    control.subscribe(lambda status: stopping.set() if status.state is ServerState.FAILED else None)
    try:
        with ctrl_c:
            if config.model:
                await asyncio.to_thread(services.spec_of, config.model)  # says what is not here
            await control.start(config)
            _greet(control.status.url, config, tokens, speaker.say)
            if not await asyncio.to_thread(services.installed_names):
                speaker.say("No model is installed yet: `npurun-tui pull NAME` fetches one.")
            await stopping.wait()
            failed = control.status.state is ServerState.FAILED
            speaker.say(control.status.reason if failed else _farewell(control.status.active))
            return 1 if failed else 0
    except asyncio.CancelledError:
        if not ctrl_c.came:
            raise
        return INTERRUPTED_STATUS
    finally:
        try:
            await control.aclose()
        finally:
            await services.aclose()
            await asyncio.to_thread(speaker.finish)


def _greet(url: str, config: ServerConfig, tokens: Tokens, say: Say) -> None:
    say(f"npurun-tui serves at {url}")
    say(f"  OpenAI clients: base URL {url}/v1    Ollama clients: OLLAMA_HOST={url}")
    if tokens.new:
        say(f"  token, shown only now: {tokens.infer}")
    elif tokens.infer:
        say("  a token is asked of every client")
    else:
        say("  no token is asked for")
    if tokens.short:
        say(f"  a token under {SAFE} characters can be guessed: --new-token makes one that cannot")
    if config.model and not config.keep_alive:
        say(
            f"  --keep-alive 0: {config.model} is loaded and unloaded again at once, as after each answer"
        )
    if config.log_prompts:
        say("  prompts are kept in the request log")
    say("Ctrl+C stops it.")


def _farewell(active: int) -> str:
    if not active:
        return "Stopping."
    return f"Stopping: {units.count(active, 'request')} may finish; Ctrl+C again ends them now."


def _say_request(row: RequestRow, say: Say) -> None:
    """One line for each answered request; called in the request log's thread."""
    if row.path in ("/healthz", "/health", "/metrics"):
        return  # asked every few seconds by those who watch
    when = datetime.fromtimestamp(row.began).astimezone().strftime("%H:%M:%S")
    say(f"{when} {row.status} {row.method} {one_line(row.path, 60)}{_figures(row)}")


def _figures(row: RequestRow) -> str:
    parts = [one_line(row.model, 40)] if row.model else []
    if row.completion_tokens is not None:
        cached = f" ({row.cached_tokens} cached)" if row.cached_tokens else ""
        parts.append(f"{row.prompt_tokens}{cached} in, {row.completion_tokens} out")
    if row.ttft_ms is not None:
        parts.append(f"TTFT {units.duration(row.ttft_ms / 1000)}")
    if row.decode_tps:
        parts.append(units.rate(row.decode_tps))
    if row.total_ms is not None:
        parts.append(units.duration(row.total_ms / 1000))
    if not succeeded(row.status, row.outcome):
        parts.append(one_line(row.outcome, 100))
    return f"  {' · '.join(parts)}" if parts else ""


def _ending() -> list[signal.Signals]:
    """What asks a server to end beside Ctrl+C: `kill`, and on Windows Ctrl+Break."""
    return [getattr(signal, name) for name in ("SIGTERM", "SIGBREAK") if hasattr(signal, name)]
