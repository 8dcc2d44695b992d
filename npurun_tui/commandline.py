"""The command line: every command is a few lines over the parts below it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from npurun_tui import __version__
from npurun_tui.chat.fields import number, whole
from npurun_tui.commandline_bench import add_bench
from npurun_tui.commandline_catalog import add_catalog
from npurun_tui.commandline_convert import add_convert
from npurun_tui.commandline_models import add_model_commands
from npurun_tui.commandline_server import add_server_commands
from npurun_tui.commandline_values import add_server_flags, checked
from npurun_tui.errors import UsageError
from npurun_tui.files import from_home
from npurun_tui.settings import Paths, Settings
from npurun_tui.text import one_line

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

T = TypeVar("T")
Command = Callable[[argparse.Namespace, Paths, Settings], int]


def parse(arguments: Sequence[str]) -> Callable[[Paths, Settings], int]:
    """What `arguments` ask for, ready to be called; it returns the exit status.

    Raises:
        SystemExit: after `--help` and `--version`, with status 0.
        UsageError: that cannot be meant.
    """
    options, unknown = build_parser().parse_known_args(arguments)
    if unknown:
        raise UsageError(
            f"Unrecognized arguments: {one_line(' '.join(unknown), 200)}.",
            mend=f"See `{options.parser} --help`.",
        )
    command: Command = options.command
    if options.attach_address and command is not _workbench:
        raise UsageError(
            "--addr before a command opens the workbench on a server, and takes no command.",
            mend="Give it after the command.",
        )
    return lambda paths, settings: command(options, paths, settings)


# --- commands ----------------------------------------------------------------------------------


def _workbench(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.launch import open_workbench

    return open_workbench(
        paths, settings, options.model, options.attach_address, options.attach_token
    )


def _run(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.chat.model import ChatSettings
    from npurun_tui.commands.run import RunRequest, read_prompt, run_local

    chosen = ChatSettings(
        system=options.system,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        seed=options.seed,
        max_tokens=options.max_tokens,
        stop=tuple(options.stop),
    )
    request = RunRequest(read_prompt(options.prompt, sys.stdin), chosen, options.json)
    if options.addr:
        from npurun_tui.commands.run_remote import run_remote

        return run_remote(request, options.name, options.addr, options.auth_token)
    from npurun_tui.engine.engine import Engine
    from npurun_tui.models.store import ModelStore

    installed = ModelStore(paths.models).get(options.name)
    spec = installed.manifest.spec(
        installed.folder, context=settings.context, threads=settings.cpu_threads
    )
    return run_local(
        request,
        spec,
        lambda: Engine(
            log=paths.engine_log,
            load_timeout=settings.load_timeout,
            answer_timeout=settings.answer_timeout,
        ),
    )


def _version(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.version import version

    del paths, settings
    return version(json=options.json)


def _doctor(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.doctor import doctor

    return doctor(
        paths, settings, json=options.json, strict=options.strict, prove=options.prove or ""
    )


def _genie_abi_build(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.genie_abi import build

    del paths, settings
    return build(from_home(options.out).absolute(), options.api)


# --- the parser --------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """Says a usage error as every other error is said: one sentence, then where help is."""

    def __init__(
        self, *, before: Callable[[Sequence[str]], list[str]] | None = None, **settings: Any
    ) -> None:
        """`before` is given a command's words, and returns those that are parsed."""
        super().__init__(**settings)
        self._before = before
        self.set_defaults(parser=self.prog)  # a command's goes over that of the program

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does it, after `before`."""
        return super().parse_known_args(self._before(args) if self._before else args, namespace)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", mend=f"See `{self.prog} --help`.")

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        """Write without swallowing what a full disk says, as argparse would."""
        (file or sys.stderr).write(message)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = _Parser(
        prog="npurun-tui",
        description="A terminal workbench for local language models. Without a command it opens the workbench.",
        epilog="Models run on the NPU where there is one; on the CPU it says CPU. The NPU's libraries come with "
        "the package onnxruntime-qnn (on ARM64 only), which Qualcomm's own licence covers.",
    )
    parser.add_argument("--version", action="version", version=f"npurun-tui {__version__}")
    parser.add_argument(
        "--model", metavar="NAME", help="open the workbench with this model chosen in Chat"
    )
    parser.add_argument(
        "--addr",
        default="",
        dest="attach_address",
        metavar="HOST:PORT|URL",
        help="open the workbench on a server of this program that already runs, here or elsewhere",
    )
    parser.add_argument(
        "--auth-token",
        default=os.environ.get("NPURUN_AUTH_TOKEN", ""),
        dest="attach_token",
        metavar="TOKEN",
        help="that server's token; its admin token, to pull and delete models there "
        "(default: $NPURUN_AUTH_TOKEN)",
    )
    parser.set_defaults(command=_workbench)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    add_model_commands(commands)
    add_catalog(commands, _Parser)
    add_convert(commands, _Parser)
    _add_run(commands)
    add_bench(commands, _Parser)
    add_server_commands(commands)
    _add_machine_commands(commands)
    return parser


def _add_run(commands: argparse._SubParsersAction[_Parser]) -> None:
    run = commands.add_parser(
        "run",
        help="one prompt, one answer, streamed to stdout",
        description="The answer goes to stdout as it comes; everything else goes to stderr.",
    )
    run.add_argument("name", help="an installed model")
    run.add_argument("prompt", nargs="+", help="the prompt's words; `-` reads stdin")
    run.add_argument("--system", default="", metavar="TEXT", help="the system prompt")
    for flag, parse, default, metavar, text in (
        ("--max-tokens", whole(1), None, "N", "at most N tokens of answer"),
        ("--temperature", number(0, 5), 0.8, "T", "0 is greedy (default 0.8)"),
        ("--top-p", number(0.01, 1), 0.95, "P", "nucleus; 1 is off (default 0.95)"),
        ("--top-k", whole(0), 40, "K", "1 is greedy, 0 is off (default 40)"),
        ("--seed", whole(0), None, "N", "the same seed gives the same answer"),
    ):
        run.add_argument(flag, type=checked(parse), default=default, metavar=metavar, help=text)
    run.add_argument(
        "--stop",
        type=checked(_some_text),
        action="append",
        default=[],
        metavar="TEXT",
        help="end before TEXT (may be repeated)",
    )
    run.add_argument(
        "--json", action="store_true", help="one JSON object at the end, nothing before it"
    )
    add_server_flags(
        run, "ask a running server instead (default: $NPURUN_SERVE_ADDR)", "that server's"
    )
    run.set_defaults(command=_run)


def _add_machine_commands(commands: argparse._SubParsersAction[_Parser]) -> None:
    version = commands.add_parser(
        "version", help="versions: program, Genie, QAIRT, driver, CPU engine"
    )
    version.set_defaults(command=_version)

    doctor = commands.add_parser(
        "doctor",
        help="what is missing for the NPU, and the command that mends it",
        description="Looks at the machine, the NPU, its runtime and the models.",
        epilog="Status 0; with --strict 1 unless the NPU can be used and nothing is at fault.",
    )
    doctor.add_argument(
        "--strict", action="store_true", help="status 1 where there is no usable NPU"
    )
    doctor.add_argument(
        "--prove", metavar="MODEL", help="let MODEL answer, and say whether it runs on the NPU"
    )
    doctor.set_defaults(command=_doctor)
    for command in (version, doctor):
        command.add_argument("--json", action="store_true", help="JSON on stdout")

    abi = commands.add_parser("genie-abi", help="a library with Genie's C interface, on the CPU")
    actions = abi.add_subparsers(
        title="actions", metavar="ACTION", required=True, parser_class=_Parser
    )
    build = actions.add_parser(
        "build",
        help="make the library (needs a C compiler)",
        description="Compiles a shared library with Genie's C interface that runs models on the CPU, and "
        "prints its path. It needs a C compiler, Python's headers and setuptools. NPURUN_GENIE_LIB=PATH "
        "has this program use it.",
    )
    build.add_argument("--out", required=True, metavar="DIR", help="the folder for it")
    build.add_argument(
        "--api",
        default="1.21",
        metavar="VERSION",
        help="the API that it reports: 1.18, 1.19, 1.20, 1.20-2.50 or 1.21 (default)",
    )
    build.set_defaults(command=_genie_abi_build)


def _some_text(text: str) -> str:
    if not text:
        raise ValueError("must not be empty")
    return text
