"""A user's folders with models and chats in them, as the benchmarks need them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from npurun_tui.chat.library import ChatLibrary
from npurun_tui.chat.model import Chat, Message
from npurun_tui.engine.transcript import TurnStats
from npurun_tui.settings import Paths
from tests.support.models import add_cpu_model

STATS = TurnStats(1062, 1024, 38, 128, 210.0, 180.0, 55.2, 2500.0, 1190, 8192)

SHORT_ANSWER = """\
## Answer {number}

Some **bold** words, some `code`, and a line that is long enough to be wrapped at eighty columns or so.

- first
- second
- third

```python
def answer() -> int:
    return {number}
```
"""


def make_home(
    folder: Path, *, models: int = 0, chats: int = 0, messages: int = 0
) -> dict[str, str]:
    """Fill `folder`; returns the environment that makes the program use it.

    `chats` chats of two messages, and one, the last used, of `messages` messages.
    """
    env = {"NPURUN_TUI_HOME": str(folder), "NPURUN_MODELS_DIR": str(folder / "models")}
    paths = Paths.resolve(env)
    for number in range(models):
        add_cpu_model(paths.models, f"sample-model-{number:02d}", size=1000 + number)
    asyncio.run(_write_chats(paths.database, chats, messages))
    return env


async def _write_chats(database: Path, chats: int, messages: int) -> None:
    library = ChatLibrary(database)
    try:
        for number in range(chats):
            await library.save(_chat(f"Sample chat {number}", 2))
        if messages:
            await library.save(_chat("The long chat", messages))
    finally:
        await library.aclose()


def _chat(title: str, messages: int) -> Chat:
    chat = Chat("sample-model-00", title=title)
    for number in range(messages):
        if number % 2:
            text = SHORT_ANSWER.format(number=number)
            chat.messages.append(Message("assistant", text, STATS))
        else:
            chat.messages.append(Message("user", f"Question {number}?"))
    return chat
