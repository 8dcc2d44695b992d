"""The command `bench`.

`bench NAME` is short for `bench run NAME`, which is also how a model called `history` is measured.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from npurun_tui.chat.fields import number, whole
from npurun_tui.commandline_bench_kept import add_kept
from npurun_tui.commandline_values import checked

if TYPE_CHECKING:
    from npurun_tui.settings import Paths, Settings

Parsers = argparse._SubParsersAction  # noqa: SLF001 - argparse has no other name for it

ACTIONS: Final = ("run", "history", "compare", "export", "rm")
SWEEP: Final = "sweep"
MOST: Final = 32
"""Values of one flag: each is a load or a long run."""

_ABOUT: Final = (
    "Measures a model: time to the first token, prefill and decode rate, by this program's clock and by the engine's "
    "own. Each run begins with a reset dialog, the first after a load is marked and left out. Rows go to stdout as "
    "runs end; everything else goes to stderr. Ctrl+C ends with what there is."
)
_OTHERS: Final = (
    "Kept benches (--save): `bench history` lists them, `bench compare [OLD] [NEW]` says what has changed, "
    "`bench export ID FILE` writes one as JSON, CSV, Markdown, SVG or HTML, `bench rm ID` forgets it; each has --help. "
    "A model with such a name: `bench run NAME`. Status: 0 done, 1 it ended early, 130 interrupted."
)


def with_action(words: Sequence[str]) -> list[str]:
    """`words` with `run` before them where they begin with no action."""
    return list(words) if words and words[0] in ACTIONS else ["run", *words]


def add_bench(commands: Parsers[Any], parser_class: type[argparse.ArgumentParser]) -> None:
    """Add `bench`; the parser class must take `before`, which is given the words that follow the command."""
    bench = commands.add_parser(
        "bench", help="measure a model, compare it, keep what was found", before=with_action
    )
    actions = bench.add_subparsers(
        title="actions", metavar="ACTION", required=True, parser_class=parser_class
    )
    _add_run(actions, bench.prog)
    add_kept(actions)


def _add_run(actions: Parsers[Any], prog: str) -> None:
    run = actions.add_parser("run", prog=prog, description=_ABOUT, epilog=_OTHERS)
    run.add_argument("name", metavar="NAME|URL", help="an installed model, or an endpoint")
    run.add_argument(
        "--auth-token",
        default=os.environ.get("NPURUN_AUTH_TOKEN", ""),
        metavar="TOKEN",
        help="that endpoint's token (default: $NPURUN_AUTH_TOKEN)",
    )
    _add_what(run)
    _add_how(run)
    _add_other_side(run)
    _add_results(run)
    run.set_defaults(command=_bench)


def _add_what(run: argparse.ArgumentParser) -> None:
    what = run.add_argument_group("what is asked")
    what.add_argument(
        "--prompt",
        action="append",
        type=checked(_text),
        default=[],
        metavar="TEXT",
        help="a prompt, the name of a built-in one, or `builtin` for all four, as without it (may be repeated)",
    )
    what.add_argument(
        "--lengths",
        type=checked(_lengths),
        default=(),
        metavar="N,…",
        help="prompts of exactly so many tokens; `max` fills the window, `sweep` is 32,128,512,… up to that",
    )
    limits = what.add_mutually_exclusive_group()
    limits.add_argument(
        "--outputs",
        type=checked(_wholes(1)),
        default=None,
        metavar="N,…",
        help="limits of the answers in tokens; each prompt is asked with each",
    )
    limits.add_argument(
        "--max-tokens", type=checked(whole(1)), metavar="N", help="one such limit (default 128)"
    )
    what.add_argument(
        "--ctx",
        type=checked(_wholes(1, "own")),
        default=(0,),
        metavar="N,…",
        help="load the model with windows of so many tokens, one after the other; `own` is its own",
    )
    what.add_argument(
        "--turns",
        type=checked(whole(1)),
        default=0,
        metavar="N",
        help="a conversation of N turns, with the KV cache kept from turn to turn and without",
    )


def _add_how(run: argparse.ArgumentParser) -> None:
    how = run.add_argument_group("how often")
    for flag, least, default, text in (
        ("--repeats", 1, 3, "ask all of it N times (default 3)"),
        ("--warmups", 0, 1, "N runs after each load that do not count (default 1)"),
    ):
        how.add_argument(flag, type=checked(whole(least)), default=default, metavar="N", help=text)
    how.add_argument(
        "--duration",
        type=checked(number(1, 86400)),
        default=0.0,
        metavar="S",
        help="stress: ask for S seconds instead, and say whether it became slower (300 or more shows throttling)",
    )


def _add_other_side(run: argparse.ArgumentParser) -> None:
    other = run.add_argument_group("compared with")
    other.add_argument(
        "--baseline",
        default="",
        metavar="NAME|URL",
        help="ask another installed model, or an endpoint that speaks OpenAI's or Ollama's API, the same in turn",
    )
    other.add_argument(
        "--baseline-token",
        default=os.environ.get("NPURUN_BASELINE_TOKEN", ""),
        metavar="TOKEN",
        help="the endpoint's token (default: $NPURUN_BASELINE_TOKEN)",
    )
    other.add_argument(
        "--no-energy", action="store_true", help="measure no energy, and spare the ten idle seconds"
    )


def _add_results(run: argparse.ArgumentParser) -> None:
    results = run.add_argument_group("what becomes of it")
    results.add_argument(
        "--json", action="store_true", help="one JSON document at the end, nothing before it"
    )
    results.add_argument(
        "--csv", default="", metavar="FILE", help="append the runs, as the Rust program does"
    )
    results.add_argument(
        "--markdown", default="", metavar="FILE|-", help="write it as Markdown; - is stdout"
    )
    results.add_argument(
        "--report", default="", metavar="FILE", help="a page with plots (.html), or one plot (.svg)"
    )
    results.add_argument("--save", action="store_true", help="keep it in the history")
    results.add_argument(
        "--name", default="", dest="title", metavar="TEXT", help="what it is called there"
    )


# --- commands ----------------------------------------------------------------------------------


def _bench(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.bench.plan import MAX_TOKENS, Plan
    from npurun_tui.commands.bench import BenchRequest, bench

    outputs = options.outputs or (options.max_tokens or MAX_TOKENS,)
    sweep = options.lengths == SWEEP
    plan = Plan(
        prompts=_prompts(options.prompt),
        lengths=() if sweep else options.lengths,
        outputs=outputs,
        contexts=options.ctx,
        repeats=options.repeats,
        warmups=options.warmups,
        duration_s=options.duration,
        turns=options.turns,
        energy=not options.no_energy,
    )
    request = BenchRequest(
        options.name,
        plan,
        sweep=sweep,
        token=options.auth_token,
        baseline=options.baseline,
        baseline_token=options.baseline_token,
        json=options.json,
        csv=options.csv,
        markdown=options.markdown,
        report=options.report,
        save=options.save,
        title=options.title,
    )
    return bench(request, paths, settings)


# --- values ------------------------------------------------------------------------------------


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _prompts(given: Sequence[str]) -> tuple[str, ...]:
    """With the built-in ones where they are meant."""
    from npurun_tui.bench.prompts import BUILT_IN

    found: list[str] = []
    for prompt in given:
        found += BUILT_IN if prompt == "builtin" else [prompt]
    return tuple(found)


def _wholes(least: int, zero: str = "") -> Callable[[str], tuple[int, ...]]:
    """Whole numbers with commas between them, in the order given; `zero` is a word for 0."""
    parse = whole(least)

    def several(text: str) -> tuple[int, ...]:
        parts = [part.strip() for part in text.split(",")]
        if len(parts) > MOST:
            raise ValueError(f"must be at most {MOST} numbers")
        return tuple(0 if zero and part == zero else parse(part) for part in parts)

    return several


def _lengths(text: str) -> tuple[int, ...] | str:
    return SWEEP if text == SWEEP else _wholes(0, "max")(text)
