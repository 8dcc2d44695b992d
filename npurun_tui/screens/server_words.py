"""What the Server tab's head says: how the server stands, who may ask, who is served, how much was done.

Knows no Textual. Every state has its sign and its word, so that none is told by a colour alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from npurun_tui import units
from npurun_tui.screens.server_entry import clock
from npurun_tui.server.address import is_loopback, url_host
from npurun_tui.server.clients import holder_words
from npurun_tui.server.state import ServerState
from npurun_tui.text import one_line

if TYPE_CHECKING:
    from npurun_tui.engine.engine import EngineStatus
    from npurun_tui.server.config import ServerConfig
    from npurun_tui.server.state import ServerStatus

SIGNS: Final = {
    ServerState.STOPPED: "○",
    ServerState.STARTING: "◐",
    ServerState.RUNNING: "●",
    ServerState.STOPPING: "◐",
    ServerState.FAILED: "✗",
}


@dataclass(frozen=True, slots=True)
class Head:
    """Three lines, each with a left and a right side."""

    state: tuple[str, str]
    access: tuple[str, str]
    work: tuple[str, str]


def head(status: ServerStatus, config: ServerConfig, engine: EngineStatus | None) -> Head:
    """`config` is that of the server that runs, else of the one that would be started."""
    return Head(
        (_state(status, config), _since(status)),
        (access_words(config), reach_words(config)),
        (_line(engine, config), _counters(status)),
    )


def address_of(config: ServerConfig) -> str:
    """Where clients on this machine reach a server that is set up like this."""
    host = config.host
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104 - compared, not bound
    return f"{config.scheme}://{url_host(host)}:{config.port}"


def _state(status: ServerStatus, config: ServerConfig) -> str:
    sign = f"{SIGNS[status.state]} {status.state}"
    match status.state:
        case ServerState.RUNNING:
            return f"{sign} at {one_line(status.url, 80)}"
        case ServerState.STOPPING:
            if status.active:
                return f"{sign}: {units.count(status.active, 'request')} may finish"
            return sign
        case ServerState.STARTING:
            return sign
        case _:
            return f"{sign}; s serves at {one_line(address_of(config), 60)}"


def empty_words(status: ServerStatus) -> str:
    """What stands where requests will be: the next step."""
    if status.state is ServerState.RUNNING:
        return (
            "No requests yet.\n\n"
            "Programs for OpenAI's, Ollama's and Anthropic's APIs can use the models of this\n"
            "machine at the address above. c shows how each is told."
        )
    return (
        "No requests yet.\n\n"
        "Press s to start the server; programs for OpenAI's, Ollama's and Anthropic's\n"
        "APIs can then use the models of this machine. c shows how each is told.\n"
        "e sets it up: address, token, TLS."
    )


def _since(status: ServerStatus) -> str:
    if status.state is not ServerState.RUNNING or not status.started:
        return ""
    return f"since {clock(status.started)}"


def access_words(config: ServerConfig) -> str:
    """Who may ask, as a sentence that cannot be misread."""
    near = is_loopback(config.host)
    if not config.infer_token:
        if config.admin_token:
            who = "this machine" if near else "any machine"
            return f"no token to ask, for every program on {who}; admin token for pull and delete"
        if near:
            return "no token: every program on this machine may ask"
        return "✗ NO TOKEN: whoever reaches this machine may use and delete its models"
    if config.admin_token:
        return "token asked; admin token asked for pull and delete"
    return "token asked, for everything"


def reach_words(config: ServerConfig) -> str:
    """From where it is reached, and whether what is said can be read on the way."""
    near = is_loopback(config.host)
    plain = "no TLS" if near else "no TLS: readable on the way"
    tls = "TLS" if config.tls_cert is not None else plain
    where = "this machine only" if near else f"on {one_line(config.host, 40)}"
    return f"{where}, {tls}"


def _line(engine: EngineStatus | None, config: ServerConfig) -> str:
    holder = engine.holder if engine is not None else None
    if engine is None or holder is None:
        return "queue: empty, permit: free"
    # The model is in the status bar, and in the table.
    who = holder_words(holder).partition(": ")[0]
    return f"queue: {len(engine.waiting)} of {config.max_queue}, permit: {one_line(who, 30)}"


def _counters(status: ServerStatus) -> str:
    if not status.total and not status.active:
        return "nothing asked yet" if status.state is ServerState.RUNNING else ""
    parts = [units.count(status.total, "request")]
    if status.failed:
        parts.append(f"{status.failed:,} failed")
    if status.active:
        parts.append(f"{status.active} now")
    if status.prompt_tokens or status.completion_tokens:
        parts.append(f"{_short(status.prompt_tokens)}→{_short(status.completion_tokens)} tok")
    return ", ".join(parts)


def _short(number: int) -> str:
    return f"{number:,}" if number < 10_000 else f"{number / 1000:,.0f}k"


def bar_words(status: ServerStatus) -> str:
    """The server in the status bar; empty while there is none."""
    match status.state:
        case ServerState.RUNNING:
            return f"serving :{one_line(status.url.rpartition(':')[2], 6)}"
        case ServerState.STARTING | ServerState.STOPPING:
            return f"server {status.state}"
        case ServerState.FAILED:
            return "✗ server failed"
        case _:
            return ""


def stop_question(active: int) -> str:
    """What becomes of requests on their way when the server stops."""
    it = "it" if active == 1 else "they"
    return (
        f"{units.count(active, 'request is', 'requests are')} on {'its' if active == 1 else 'their'} way. Nothing new "
        f"is accepted; {it} may finish for ten seconds, then {it} {'is' if active == 1 else 'are'} aborted."
    )
