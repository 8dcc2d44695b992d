"""How clients are told of this server: texts ready to be copied, with its address and a model filled in.

They name a token by the variable it is in and never hold one. What each client wants to be told is from its own
documentation: base URLs with `/v1` for OpenAI's dialect, without any path for Ollama's.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Final, Literal

from npurun_tui.server.replay import TOKEN

Language = Literal["shell", "python", "yaml", "json"]

NO_TOKEN: Final = "none"  # noqa: S105 - for clients that insist on some key
_HELLO: Final = "Why is the sky blue?"
_KEY: Final = "token"


@dataclass(frozen=True, slots=True)
class Snippet:
    """One client's text. `where` says what to do with it; `note` is what else one has to know."""

    key: str
    title: str
    language: Language
    where: str
    text: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """What is filled in."""

    url: str
    model: str
    token: bool = False

    @property
    def base(self) -> str:
        """OpenAI's base URL."""
        return f"{self.url}/v1"

    @property
    def key(self) -> str:
        """The API key as a Python expression."""
        return f'os.environ["{TOKEN}"]' if self.token else json.dumps(NO_TOKEN)

    @property
    def shell_key(self) -> str:
        """The API key in a shell."""
        return f'"${TOKEN}"' if self.token else NO_TOKEN


def snippets(server: Server) -> tuple[Snippet, ...]:
    """Every client's text."""
    return (
        _curl(server),
        _open_webui(server),
        _openai(server),
        _ollama_program(server),
        _ollama_python(server),
        _continue(server),
        _copilot(server),
        _langchain(server),
    )


def _quoted(text: str) -> str:
    """A Python, JSON and YAML string."""
    return json.dumps(text)


def _lines(*lines: str) -> str:
    return "\n".join(lines)


def _curl(server: Server) -> Snippet:
    body = json.dumps(
        {"model": server.model, "messages": [{"role": "user", "content": _HELLO}], "stream": True}
    )
    token = [f'  -H "Authorization: Bearer ${TOKEN}" \\'] if server.token else []
    text = _lines(
        f"curl -sSN {shlex.quote(server.base + '/chat/completions')} \\",
        *token,
        "  -H 'Content-Type: application/json' \\",
        f"  --data-raw {shlex.quote(body)}",
    )
    return Snippet("curl", "curl", "shell", "In a shell.", text)


def _open_webui(server: Server) -> Snippet:
    text = _lines(
        f"OPENAI_API_BASE_URL={shlex.quote(server.base)} \\",
        f"OPENAI_API_KEY={server.shell_key} \\",
        f"OLLAMA_BASE_URL={shlex.quote(server.url)} \\",
        "open-webui serve",
    )
    note = (
        "These count at its first start; later set them in Admin Settings, Connections. From Docker's bridge the "
        "address is http://host.docker.internal with the same port, and the server must listen beyond 127.0.0.1."
    )
    if server.token:
        note += " Its Ollama connection takes the token there as well, under the gear."
    return Snippet("open-webui", "Open WebUI", "shell", "In a shell, as it is started.", text, note)


def _openai(server: Server) -> Snippet:
    text = _lines(
        *(["import os", ""] if server.token else []),
        "from openai import OpenAI",
        "",
        f"client = OpenAI(base_url={_quoted(server.base)}, api_key={server.key})",
        "answer = client.chat.completions.create(",
        f"    model={_quoted(server.model)},",
        f'    messages=[{{"role": "user", "content": {_quoted(_HELLO)}}}],',
        ")",
        "print(answer.choices[0].message.content)",
    )
    return Snippet("openai", "openai (Python)", "python", "pip install openai", text)


def _ollama_program(server: Server) -> Snippet:
    text = f"OLLAMA_HOST={shlex.quote(server.url)} ollama run {shlex.quote(server.model)}"
    note = "In PowerShell: $env:OLLAMA_HOST comes first, on a line of its own."
    if server.token:
        note = "The ollama program sends no token: it needs a server that asks for none."
    return Snippet("ollama", "ollama (program)", "shell", "In a shell.", text, note)


def _ollama_python(server: Server) -> Snippet:
    headers = f', headers={{"Authorization": f"Bearer {{{_KEY}}}"}}' if server.token else ""
    text = _lines(
        *(["import os", ""] if server.token else []),
        "from ollama import Client",
        "",
        *([f'{_KEY} = os.environ["{TOKEN}"]'] if server.token else []),
        f"client = Client(host={_quoted(server.url)}{headers})",
        "answer = client.chat(",
        f"    model={_quoted(server.model)},",
        f'    messages=[{{"role": "user", "content": {_quoted(_HELLO)}}}],',
        ")",
        "print(answer.message.content)",
    )
    return Snippet("ollama-python", "ollama (Python)", "python", "pip install ollama", text)


def _continue(server: Server) -> Snippet:
    key = "${{ secrets." + TOKEN + " }}" if server.token else NO_TOKEN
    text = _lines(
        "name: npurun-tui",
        "version: 0.0.1",
        "schema: v1",
        "models:",
        f"  - name: {_quoted(server.model)}",
        "    provider: openai",
        f"    model: {_quoted(server.model)}",
        f"    apiBase: {_quoted(server.base)}",
        f"    apiKey: {_quoted(key)}",
        "    roles: [chat, edit, apply]",
    )
    note = f"Put {TOKEN}=… into ~/.continue/.env." if server.token else ""
    return Snippet("continue", "Continue", "yaml", "In ~/.continue/config.yaml.", text, note)


def _copilot(server: Server) -> Snippet:
    entry = {"name": "npurun-tui", "vendor": "ollama", "url": server.url}
    note = "Its models with tools then stand in the list of models of the chat."
    if server.token:
        note = "Its Ollama provider sends no token: it needs a server that asks for none."
    return Snippet(
        "copilot",
        "VS Code Copilot",
        "json",
        "“Chat: Manage Language Models”, Add, Ollama, and this address; or in chatLanguageModels.json:",
        json.dumps([entry], indent=2),
        note,
    )


def _langchain(server: Server) -> Snippet:
    text = _lines(
        *(["import os", ""] if server.token else []),
        "from langchain_openai import ChatOpenAI",
        "",
        "model = ChatOpenAI(",
        f"    base_url={_quoted(server.base)},",
        f"    api_key={server.key},",
        f"    model={_quoted(server.model)},",
        ")",
        f"print(model.invoke({_quoted(_HELLO)}).content)",
    )
    note = "ChatOllama of langchain-ollama works as well; its base_url is the address without /v1."
    return Snippet("langchain", "LangChain", "python", "pip install langchain-openai", text, note)
