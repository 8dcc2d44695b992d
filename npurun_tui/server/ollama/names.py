"""Which model a request means, and what Ollama says where that is none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from npurun_tui.errors import ContextOverflow
from npurun_tui.server.context import ModelCard, ServerContext
from npurun_tui.server.faults import BadRequest, ContextLength, UnknownModel, Unready, Unsupported
from npurun_tui.text import one_line

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+:/-]{0,254}")
"""What Ollama calls a model: `llama3.2:1b`, `hf.co/someone/Model-GGUF:Q4_K_M`. Ours are a part of these."""


def listed(card: ModelCard) -> str:
    """A model's name in a list: with a tag, as Ollama has it and as clients compare it."""
    return f"{card.name}:latest"


async def named(context: ServerContext, *names: str | None) -> tuple[str, ModelCard]:
    """The first of `names` that is there, as the client wrote it, and its card.

    Raises:
        BadRequest: there is none, or it cannot be a name.
        UnknownModel: no such model is here.
    """
    name = next((name for name in names if name), "")
    if not name:
        raise BadRequest("model is required", param="model")
    return name, await find(context, name)


async def meant(context: ServerContext, name: str | None) -> tuple[str, ModelCard]:
    """As `named`; a field that is absent, which Ollama refuses, means the loaded, the server's or the only model, as it
    does in the Rust program."""
    if name is None:
        running = await context.directory.running()
        if running:
            return running[0].card.name, running[0].card
        if context.config.model:
            return await named(context, context.config.model)
        cards = await context.directory.cards()
        if len(cards) == 1:
            return cards[0].name, cards[0]
        if not cards:
            raise Unready("No model is installed.", mend="Pull one first: `npurun-tui pull NAME`.")
    return await named(context, name)


def see_that_it_is_a_name(name: str) -> None:
    """Raises BadRequest, in Ollama's words, where Ollama has no models of such a name."""
    if _NAME.fullmatch(name) is None or ".." in name:
        raise BadRequest("invalid model name", param="model")


async def find(context: ServerContext, name: str) -> ModelCard:
    """The card of `name`. Raises as `named`, in Ollama's words."""
    see_that_it_is_a_name(name)
    with ollamas_words(name):
        return await context.directory.card(name)


@contextmanager
def ollamas_words(name: str) -> Iterator[None]:
    """What clients look for in errors about the model `name`, instead of ours."""
    try:
        yield
    except UnknownModel:
        raise UnknownModel(f"model '{one_line(name, 256)}' not found", param="model") from None
    except (ContextLength, ContextOverflow) as error:
        needed, window = error.needed, error.window
        sizes = f" ({needed:,} tokens, of {window:,})" if window else ""
        text = f"the input length exceeds the context length{sizes}"
        raise ContextLength(text, needed=needed, window=window) from error


def require(card: ModelCard, name: str, capability: str, what: str) -> None:
    """See that a model can do something, called `what`.

    Raises:
        Unsupported: it cannot.
    """
    if capability not in card.capabilities:
        raise lacks(name, what)


def lacks(name: str, what: str) -> Unsupported:
    """The refusal of what the model `name` cannot do."""
    return Unsupported(f'"{one_line(name, 256)}" does not support {what}')
