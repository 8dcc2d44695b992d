"""A model's chat template cut into the plain pieces that `npurun.json` holds.

The model's own template is a program (Jinja). It is rendered with texts that nobody writes, and what stands around
them is the pieces; then the pieces must say the same as the program does of other conversations, or they are dropped.
The program is a stranger's and can loop for ever, so this module runs itself in a child process with a time limit:

    python -m npurun_tui.models.describe_template < request.json > pieces.json
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

from npurun_tui.engine.spec import SimpleTemplate
from npurun_tui.engine.templates import JinjaTemplate, ManifestTemplate
from npurun_tui.engine.tool_prompt import Message
from npurun_tui.errors import TemplateInvalid
from npurun_tui.models.describe_files import is_text

TIME_LIMIT: Final = 10.0
"""Seconds for the child, its start included; a slow machine's antivirus is allowed for."""

LONGEST: Final = 65_536
"""Characters that a piece may have in a manifest."""

_SYSTEM, _USER, _ANSWER, _NEXT = (f"qz{name}zq" for name in ("SYSTEM", "FIRST", "ANSWER", "SECOND"))
_HOLES: Final = ("{system}", "{user}", "{assistant}")

Render = Callable[[Sequence[Message]], str]


def cut_safely(source: str, bos: str, eos: str) -> tuple[SimpleTemplate | None, str]:
    """`(pieces, "")` of the Jinja template `source`, else `(None, why not)`. Blocks for up to `TIME_LIMIT` seconds."""
    request = json.dumps({"source": source, "bos": bos, "eos": eos})
    try:
        done = subprocess.run(
            # -P: the folder that the user stands in may be the stranger's, and must not be imported from
            [sys.executable, "-P", "-m", __spec__.name if __spec__ else __name__],
            input=request.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TIME_LIMIT,
            check=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0) if os.name == "nt" else 0,
        )
        answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return None, f"rendering it took longer than {TIME_LIMIT:.0f} seconds"
    except (OSError, subprocess.SubprocessError, ValueError):
        return None, "rendering it failed"
    pieces = answer["pieces"]
    return (SimpleTemplate(**pieces) if pieces else None), str(answer["why"])


def cut(source: str, bos: str = "", eos: str = "") -> SimpleTemplate | None:
    """The pieces of the Jinja template `source`; None where plain pieces cannot say what it says.

    Raises:
        TemplateInvalid: it is no template, or refuses a plain conversation.
    """
    if "strftime_now" in source:  # the date of today would be in the pieces for ever
        return None
    jinja = JinjaTemplate(source, bos=bos, eos=eos, defuse=str)
    pieces = _pieces(source, bos, eos, jinja.render)
    return pieces if pieces is not None and _agree(pieces, jinja.render) else None


def from_affixes(values: dict[str, str], system_prompt: str) -> SimpleTemplate | None:
    """The template that `system_prefix`, `system_suffix`, `user_prefix` ... `assistant_suffix` in `values` make, behind
    `global_prefix` (the BOS token, where the model has one).

    None where the user's or the assistant's turn has no marks, or a mark has a hole's name in it.
    """
    if not (values["user_prefix"] and values["assistant_prefix"] + values["user_suffix"]):
        return None
    if any(hole in text for text in values.values() for hole in _HOLES):
        return None
    if any(len(text) > LONGEST // 8 for text in (*values.values(), system_prompt)):
        return None
    user = f"{values['user_prefix']}{{user}}{values['user_suffix']}{values['assistant_prefix']}"
    system = values["system_prefix"] + values["system_suffix"]
    head = f"{values['system_prefix']}{{system}}{values['system_suffix']}" if system else ""
    return SimpleTemplate(
        template=values["global_prefix"] + head + user,
        system_prompt=system_prompt,
        assistant_turn=f"{{assistant}}{values['assistant_suffix']}",
        next_user_turn=user,
    )


def from_tokens(special: Sequence[str]) -> tuple[SimpleTemplate | None, str]:
    """`(the template whose control tokens are all among `special`, its name)`; `(None, "")` where none fits."""
    have = set(special)
    for name, needed, template in _FAMILIES:
        if have >= needed:
            return template, name
    return None, ""


def _pieces(source: str, bos: str, eos: str, render: Render) -> SimpleTemplate | None:
    opening = render(_talk(_SYSTEM, _USER))
    whole = render(_talk(_SYSTEM, _USER, _ANSWER, _NEXT))
    if not whole.startswith(opening + _ANSWER):
        return None
    between, found, end = whole[len(opening + _ANSWER) :].partition(_NEXT)
    marks = [opening.count(text) for text in (_SYSTEM, _USER)]
    if not found or marks != [1, 1] or opening.index(_SYSTEM) > opening.index(_USER):
        return None
    if any(hole in whole for hole in _HOLES):
        return None
    first = opening.replace(_SYSTEM, "{system}").replace(_USER, "{user}")
    closing = _closing(source, bos, eos, opening, between, render)
    return SimpleTemplate(
        template=first,
        system_prompt=_default_system(opening, render),
        assistant_turn=f"{{assistant}}{closing}",
        next_user_turn=f"{between[len(closing) :]}{{user}}{end}",
    )


def _closing(source: str, bos: str, eos: str, opening: str, between: str, render: Render) -> str:
    """The part of `between` that ends an answer; the rest opens the next turn. Where it cannot be told, nothing is its
    part: the pieces in a row are right all the same."""
    closed = JinjaTemplate(
        "{% set add_generation_prompt = false %}" + source, bos=bos, eos=eos, defuse=str
    )
    try:
        text = closed.render(_talk(_SYSTEM, _USER, _ANSWER))
    except TemplateInvalid:
        text = ""
    if text.startswith(opening + _ANSWER):
        rest = text[len(opening + _ANSWER) :]
        for candidate in (rest, rest.removesuffix(eos)):
            if candidate and between.startswith(candidate):
                return candidate
    try:  # a template that marks the last answer otherwise (Qwen3's thoughts): see how a first turn opens
        alone = render([{"role": "user", "content": _USER}]).partition(_USER)[0].removeprefix(bos)
    except TemplateInvalid:
        return ""
    return between.removesuffix(alone) if alone and between.endswith(alone) else ""


def _default_system(opening: str, render: Render) -> str:
    """The system prompt that the template puts in where a conversation has none; "" where it puts in none."""
    try:
        text = render([{"role": "user", "content": _USER}])
    except TemplateInvalid:
        return ""
    before, _, after = opening.partition(_SYSTEM)
    if len(text) > len(before + after) and text.startswith(before) and text.endswith(after):
        return text[len(before) : len(text) - len(after)][:LONGEST]
    return ""


def _agree(pieces: SimpleTemplate, render: Render) -> bool:
    """Whether `pieces` say the same as the template of conversations that they were not made of."""
    texts = ("Be brief.", "Who are you?", "A *model*,\nno more.", "Why?", "Nobody knows.", "So?")
    if any(len(text) > LONGEST or not is_text(text) for text in asdict(pieces).values()):
        return False
    simple = ManifestTemplate(pieces, str)
    talks = [_talk(*texts[:count]) for count in (2, 4, 6)]
    return all(simple.render(talk) == render(talk) for talk in talks)


def _talk(system: str, *turns: str) -> list[Message]:
    talk: list[Message] = [{"role": "system", "content": system}]
    for index, text in enumerate(turns):
        talk.append({"role": "assistant" if index % 2 else "user", "content": text})
    return talk


def _family(head: str, user: str, closing: str) -> SimpleTemplate:
    return SimpleTemplate(
        template=head + user, assistant_turn=f"{{assistant}}{closing}", next_user_turn=user
    )


_FAMILIES: Final = (
    (
        "ChatML",
        {"<|im_start|>", "<|im_end|>"},
        _family(
            "<|im_start|>system\n{system}<|im_end|>\n",
            "<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n",
            "<|im_end|>\n",
        ),
    ),
    (
        "Llama 3",
        {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"},
        _family(
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{system}<|eot_id|>",
            "<|start_header_id|>user<|end_header_id|>\n\n{user}<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
            "<|eot_id|>",
        ),
    ),
    (
        "Phi-3",
        {"<|user|>", "<|assistant|>", "<|end|>"},
        _family(
            "<|system|>\n{system}<|end|>\n",
            "<|user|>\n{user}<|end|>\n<|assistant|>\n",
            "<|end|>\n",
        ),
    ),
)


def _main() -> None:
    request: dict[str, Any] = json.load(sys.stdin.buffer)
    why = "plain pieces cannot say what it says"
    pieces = None
    try:
        pieces = cut(request["source"], request["bos"], request["eos"])
    except TemplateInvalid as error:
        why = error.message
    answer = {"pieces": asdict(pieces) if pieces else None, "why": "" if pieces else why}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    _main()
