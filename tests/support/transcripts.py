"""An app that is only a transcript and a prompt, and a conversation to show in it."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.message import Message

from npurun_tui.stylesheets import stylesheets
from npurun_tui.widgets.prompt import Prompt
from npurun_tui.widgets.transcript.message import Entry
from npurun_tui.widgets.transcript.view import Transcript

NUMBERS = "128 tokens · 1,024 reused / 38 prefilled · TTFT 0.21 s · 55.2 tok/s"

ANSWER = """\
# Sorting

Use **`sorted()`** or *list.sort()*, see [the docs](https://docs.python.org/3/howto/sorting.html); a paragraph
like this one is wrapped at the width of the terminal. [not markup] [/]

1. Install it:
   ```bash
   pip install foo  # a comment
   ```
2. Then
   - a nested item
   - and `code`

> A quote
> of two lines

```python
def greet(name: str) -> str:
\t\"\"\"Greet.\"\"\"
    return f"Hello {name}"
```

| Name | Count |
|:-----|------:|
| alpha | 1 |
| 日本語 | 22,000 |

---
The end. 🎉
"""

CONVERSATION = (
    Entry("user", "How do I sort a list?\nShow [red]me[/red] code."),
    Entry("assistant", ANSWER, label="smollm2-135m-instruct", footer=NUMBERS),
    Entry("user", "And a long one?"),
    Entry(
        "assistant",
        "Once upon a time",
        label="smollm2-135m-instruct",
        footer=NUMBERS,
        outcome="stopped",
    ),
)


def short_answers(count: int) -> list[Entry]:
    """A chat of `count` messages, each answer with a heading, a paragraph, a list and code."""
    answer = "## Answer\n\nA short paragraph of text.\n\n- one\n- two\n\n```python\nx = 1\n```\n"
    return [
        Entry("user", f"question {number}") if number % 2 == 0 else Entry("assistant", answer)
        for number in range(count)
    ]


class TranscriptApp(App[None]):
    """Keeps every message that transcript and prompt post."""

    CSS_PATH = [str(path) for path in stylesheets()]  # noqa: RUF012 - Textual reads it as it is

    def __init__(self) -> None:
        super().__init__()
        self.animation_level = "none"
        self.posted: list[Message] = []

    def compose(self) -> ComposeResult:
        """The transcript over the prompt."""
        yield Transcript()
        yield Prompt(placeholder="Ask something")

    @property
    def transcript(self) -> Transcript:
        """The transcript."""
        return self.query_one(Transcript)

    @property
    def prompt(self) -> Prompt:
        """The prompt."""
        return self.query_one(Prompt)

    def keep(self, message: Message) -> None:
        """Remember a message for the test."""
        self.posted.append(message)

    on_transcript_copy_requested = keep
    on_transcript_nothing_to_copy = keep
    on_transcript_current_changed = keep
    on_prompt_submitted = keep
    on_prompt_nothing_to_send = keep

    def seen(self) -> list[str]:
        """The rows of the transcript as they are painted."""
        transcript = self.transcript
        strips = transcript.render_lines(transcript.size.region)
        return [strip.text.rstrip() for strip in strips]
