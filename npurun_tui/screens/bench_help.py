"""What F1 says of the Bench tab's set-up and of its history. Markdown, and knows no Textual.

The panel is as narrow as 30 cells beside the dialog box: each text has one field, and few words.
"""

from __future__ import annotations

from typing import Final

SET_UP: Final = """\
## What to measure

**Tab** goes to the next field; what stands here follows. **Enter** and **Ctrl+S** keep it, **Escape** leaves all as it
was. It is remembered.
"""

FIELD_HELP: Final = {
    "model": """\
## Model

What is measured. It is loaded anew for it, cold and warm, and both times are told.
""",
    "baseline": """\
## Against

The same questions are asked of this one too, in turns, so that a machine that grows warm slows both.

Another model's name, such as the same one for the CPU; or the address of a server that speaks OpenAI's or Ollama's
API: `http://127.0.0.1:11434`.
""",
    "prompts": """\
## Prompts

Names of prompts that come with the program, with spaces between: `joke`, `matmul`, `local`, `number`. Where nothing
else is asked, an empty field is all of them.
""",
    "text": """\
## Own prompt

A prompt of your own, asked beside the others.
""",
    "lengths": """\
## Lengths

A sweep: prompts of exactly so many tokens, such as `32 128 512`. `max` is all that the window has room for.
""",
    "outputs": """\
## Answers

How many tokens an answer may have. Each prompt is asked with each of these limits.
""",
    "contexts": """\
## Windows

Context windows to load the model with, in tokens; `own` is the model's. A bundle for the NPU has a few of them only,
and those are named if another is asked for.
""",
    "repeats": """\
## Repeats

How often all of it is asked. Five or more make the intervals narrow.
""",
    "warmups": """\
## Warm-ups

Runs after each load that are shown, and left out of every figure: the first ones pay for caches.
""",
    "duration_s": """\
## Stress

Asks on until this time has passed, and compares its halves: a machine that throttles is slower in the second. At
least `5m` is of use. Repeats do not count then.
""",
    "turns": """\
## Turns

A conversation of so many turns, once with its KV cache kept and once without: what keeping it saves of the TTFT.
""",
    "energy": """\
## Energy

*yes* rests for ten seconds first, so that the idle machine's power is known, and tells joules per token above it.
Where nothing here can measure power, that is said.
""",
}
