"""`convert` on the command line: models that lie on this machine, or that are compiled in Qualcomm's cloud."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from npurun_tui.settings import Paths, Settings

P = TypeVar("P", bound=argparse.ArgumentParser)


def add_convert(commands: argparse._SubParsersAction[P], parser_class: type[P]) -> None:
    """Add `convert` and its actions to `commands`."""
    convert = commands.add_parser(
        "convert", help="a local Genie bundle or GGUF file becomes a model"
    )
    actions = convert.add_subparsers(
        title="actions", metavar="ACTION", required=True, parser_class=parser_class
    )
    _add_manifest(actions)
    _add_inspect(actions)
    _add_export(actions)
    for action in actions.choices.values():
        action.add_argument("--json", action="store_true", help="JSON on stdout")


def _add_manifest(actions: argparse._SubParsersAction[P]) -> None:
    manifest = actions.add_parser(
        "manifest",
        help="install a bundle's folder or a .gguf file",
        description="Architecture, quantisation, chat template and QAIRT release are read from the model's "
        "own files; architecture and quantisation have to be given where none of them says them.",
    )
    manifest.add_argument("path", type=Path, metavar="PATH", help="the folder or file")
    manifest.add_argument(
        "--name", default="", help="what it is called (default: the folder's or file's name)"
    )
    manifest.add_argument(
        "--arch", default="", metavar="NAME", help="phi3, llama, qwen2, qwen3, ..."
    )
    _add_values(manifest)
    how = manifest.add_mutually_exclusive_group()
    for flag, text in (
        ("copy", "copy the files (default)"),
        ("link", "hard links to the large files; one volume only"),
        ("move", "remove the source when the model is there"),
        ("in-place", "leave a folder below the models' folder where it lies"),
    ):
        how.add_argument(f"--{flag}", dest="how", action="store_const", const=flag, help=text)
    manifest.add_argument("--force", action="store_true", help="replace a model of that name")
    manifest.set_defaults(command=_manifest, how="copy")


def _add_inspect(actions: argparse._SubParsersAction[P]) -> None:
    inspect = actions.add_parser(
        "inspect",
        help="a manifest and its files, or what a manifest would hold and where that was read",
        epilog="Status 1 where a file is not what the manifest says.",
    )
    inspect.add_argument(
        "target", metavar="TARGET", help="a model's name, a folder, or a .gguf file"
    )
    inspect.add_argument("--no-verify", action="store_true", help="do not hash the files")
    inspect.set_defaults(command=_inspect)


def _add_export(actions: argparse._SubParsersAction[P]) -> None:
    export = actions.add_parser(
        "export",
        help="have Qualcomm's AI Hub compile a model, and install it",
        description="Runs the export of the Python package qai_hub_models: 30 to 90 minutes, mostly in "
        "Qualcomm's cloud, with an account there.",
        epilog="`convert export list` shows the models.",
    )
    export.add_argument("slug", metavar="SLUG", help="a model; `list` or `?` shows them")
    export.add_argument("-o", "--out", type=Path, metavar="DIR", help="the folder for the bundle")
    export.add_argument(
        "--python",
        default="",
        metavar="PYTHON",
        help="an x86-64 Python 3.10 to 3.13 that has qai_hub_models (default: one on PATH)",
    )
    export.add_argument(
        "--device",
        default="",
        metavar="NAME",
        help="AI Hub's name of the machine to compile for (default: Snapdragon X Elite CRD)",
    )
    _add_values(export)
    export.add_argument(
        "--skip-compile", action="store_true", help="install what an earlier export left in DIR"
    )
    export.set_defaults(command=_export)


def _add_values(action: argparse.ArgumentParser) -> None:
    action.add_argument("--quant", default="", metavar="LABEL", help="w4a16, w8a16, ...")
    action.add_argument(
        "--qnn-sdk", default="", metavar="VERSION", help="the QAIRT release it was compiled with"
    )


def _manifest(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.convert import manifest

    del settings
    return manifest(
        paths,
        options.path,
        how=options.how,
        name=options.name,
        arch=options.arch,
        quant=options.quant,
        qnn_sdk=options.qnn_sdk,
        force=options.force,
        json=options.json,
    )


def _inspect(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.convert_inspect import inspect

    del settings
    return inspect(paths, options.target, check=not options.no_verify, json=options.json)


def _export(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.convert_export import Request, export
    from npurun_tui.commands.convert_recipes import DEVICE, write_recipes

    del settings
    if options.slug in {"list", "?"}:
        return write_recipes(json=options.json)
    request = Request(
        options.slug,
        options.out,
        options.python,
        options.quant,
        options.qnn_sdk,
        options.skip_compile,
        options.device or DEVICE,
    )
    return export(paths, request, json=options.json)
