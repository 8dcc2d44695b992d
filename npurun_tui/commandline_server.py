"""The commands of the HTTP server: `serve` and `ps`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from npurun_tui.chat.fields import number, whole
from npurun_tui.commandline_values import add_server_flags, checked

if TYPE_CHECKING:
    from npurun_tui.settings import Paths, Settings

P = TypeVar("P", bound=argparse.ArgumentParser)

_ABOUT: Final = (
    "Serves OpenAI's, Anthropic's and Ollama's APIs until Ctrl+C. One request is answered at a time; the others wait "
    "in a line. Models are loaded when they are asked for and unloaded when nobody has for a while."
)
_TOKENS: Final = (
    "A token on a command line can be read by other users of the machine: NPURUN_AUTH_TOKEN and NPURUN_ADMIN_TOKEN "
    "cannot. Beyond this machine a server is not opened without one."
)


def add_server_commands(commands: argparse._SubParsersAction[P]) -> None:
    """Add the two to `commands`."""
    _add_serve(commands)
    _add_ps(commands)


def _add_serve(commands: argparse._SubParsersAction[P]) -> None:
    serve = commands.add_parser(
        "serve",
        help="an HTTP server for OpenAI and Ollama clients",
        description=_ABOUT,
        epilog=_TOKENS,
    )
    serve.add_argument(
        "--model", default="", metavar="NAME", help="load it before the first request"
    )
    serve.add_argument(
        "--bind",
        default="",
        metavar="HOST:PORT",
        help="default 127.0.0.1:11435; port 0 takes a free one",
    )
    serve.add_argument(
        "--no-warmup", action="store_true", help="no first token before the first request"
    )
    serve.add_argument(
        "--log-prompts", action="store_true", help="keep the requests' bodies in the request log"
    )
    _add_access(serve)
    _add_line(serve)
    serve.set_defaults(command=_serve)


def _add_access(serve: argparse.ArgumentParser) -> None:
    access = serve.add_argument_group("who may")
    access.add_argument(
        "--auth-token",
        default=os.environ.get("NPURUN_AUTH_TOKEN", ""),
        metavar="TOKEN",
        help="asked of every client (default: $NPURUN_AUTH_TOKEN)",
    )
    access.add_argument(
        "--admin-token",
        default=os.environ.get("NPURUN_ADMIN_TOKEN", ""),
        metavar="TOKEN",
        help="asked for pulling and deleting models (default: $NPURUN_ADMIN_TOKEN)",
    )
    access.add_argument(
        "--new-token", action="store_true", help="make a token, and print it once to stderr"
    )
    access.add_argument(
        "--i-know-insecure",
        action="store_true",
        help="open the server beyond this machine without a token",
    )
    access.add_argument(
        "--allowed-host",
        action="append",
        type=checked(_host),
        default=[],
        metavar="NAME",
        help="a further name that clients call this machine by (may be repeated)",
    )
    access.add_argument(
        "--cors-origin",
        action="append",
        type=checked(_origin),
        default=[],
        metavar="ORIGIN",
        help="a web page's origin that may ask (may be repeated; * needs a token)",
    )
    access.add_argument("--tls-cert", metavar="FILE", help="serve https with this certificate")
    access.add_argument("--tls-key", metavar="FILE", help="its key, if it is not in the same file")


def _add_line(serve: argparse.ArgumentParser) -> None:
    line = serve.add_argument_group("who waits")
    line.add_argument(
        "--max-queue",
        type=checked(whole(0)),
        default=None,
        metavar="N",
        help="requests that may wait (default 8); 0 answers 429 while one runs",
    )
    line.add_argument(
        "--queue-timeout",
        type=checked(number(1, 86400)),
        default=300.0,
        metavar="S",
        help="seconds that one waits before it is answered 429 (default 300)",
    )
    line.add_argument(
        "--keep-alive",
        type=checked(_keep_alive),
        default=300.0,
        metavar="TIME",
        help="how long an unused model stays loaded: 5m (default), 0, -1 for ever",
    )
    line.add_argument(
        "--tools",
        choices=("auto", "strict", "ignore"),
        default="auto",
        help="tools that do not fit the window: drop them (auto), refuse (strict); ignore drops all",
    )


def _add_ps(commands: argparse._SubParsersAction[P]) -> None:
    ps = commands.add_parser(
        "ps", help="what a running server has loaded; status 1 where none runs"
    )
    add_server_flags(ps, "the server (default: $NPURUN_SERVE_ADDR, else this machine's)", "its")
    ps.add_argument("--json", action="store_true", help="JSON on stdout")
    ps.set_defaults(command=_ps)


def _serve(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.serve import Tokens, serve
    from npurun_tui.server.address import DEFAULT_ADDRESS, parse_bind
    from npurun_tui.server.config import ServerConfig

    host, port = parse_bind(options.bind or DEFAULT_ADDRESS)
    tokens = Tokens.chosen(options.auth_token, options.admin_token, new=options.new_token)
    config = ServerConfig(
        host=host,
        port=port,
        model=options.model,
        infer_token=tokens.infer_hash,
        admin_token=tokens.admin_hash,
        insecure=options.i_know_insecure,
        allowed_hosts=tuple(options.allowed_host),
        cors_origins=tuple(options.cors_origin),
        tls_cert=_path(options.tls_cert),
        tls_key=_path(options.tls_key),
        max_queue=settings.max_queue if options.max_queue is None else options.max_queue,
        queue_timeout=options.queue_timeout,
        keep_alive=options.keep_alive,
        tools=options.tools,
        warmup=not options.no_warmup,
        log_prompts=options.log_prompts,
    )
    return serve(config, paths, settings, tokens)


def _ps(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.ps import ps

    del paths, settings
    return ps(options.addr, options.auth_token, as_json=options.json)


def _keep_alive(text: str) -> float:
    from npurun_tui.server.keepalive import parse_keep_alive

    return parse_keep_alive(text)


def _host(text: str) -> str:
    from npurun_tui.server.address import host_or_name

    return host_or_name(text)


def _origin(text: str) -> str:
    from npurun_tui.server.address import web_origin

    return web_origin(text)


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser().absolute() if text else None
