"""What F1 says of each field of the server's set-up, by the field's key. Markdown, and knows no Textual.

The panel is as narrow as 30 cells beside the dialog box: each text has one field, and few words.
"""

from __future__ import annotations

from typing import Final

SET_UP: Final = """\
## Server set-up

**Tab** goes to the next field; what stands here follows. **Enter** and **Ctrl+S** save, **Escape** leaves all as it
was. A running server takes changes with a restart, which is offered.
"""

FIELD_HELP: Final = {
    "bind": """\
## Address

Where the server listens, as `HOST:PORT`. `127.0.0.1` is this machine only; `0.0.0.0` is every network, and wants a
token. Port `0` takes a free one.
""",
    "token": """\
## Token

What every client must send as its API key. A new one is shown once, after saving; only its hash is kept. Without one
every program that reaches the server may ask.
""",
    "admin-token": """\
## Admin token

A second token, for who pulls, deletes or unloads models and sees the requests of others. Without it the holders of
the first one may do that.
""",
    "insecure": """\
## Insecure

*yes* lets other machines ask without any token: everybody on those networks may use and delete the models. Not
needed on `127.0.0.1`.
""",
    "max_queue": """\
## Queue

How many requests may wait while one is answered. One more is refused with status 429, and told to try again. `0`
lets none wait.
""",
    "keep_alive": """\
## Keep alive

How long a model that nobody asks stays in memory: `30s`, `5m`, `2h`; `0` unloads it at once, `-1` never.
A request may say otherwise for itself.
""",
    "tls_cert": """\
## TLS cert

The certificate's PEM file; the server then speaks https. Beyond this machine, without it, all can be read on the
way, the token too. Empty is plain http.
""",
    "tls_key": """\
## TLS key

The PEM file with the certificate's private key, which must have no password. Both files are given, or none.
""",
    "allowed_hosts": """\
## Host names

Further names by which clients call this machine, with spaces between. Its own name, `localhost` and its addresses
are known. Others are refused: so no web page can reach it by a name of its own.
""",
    "cors_origins": """\
## Web origins

Web pages that may ask, such as `https://app.example`, with spaces between. Pages of this machine may without it.
`*` is any page, and wants a token.
""",
    "tools": """\
## Tools

What becomes of a request's tools where they do not fit the model's window: *auto* leaves out those that do not fit
and says so, *strict* refuses, *ignore* leaves out all, always.
""",
    "log-prompts": """\
## Log prompts

*yes* keeps what clients send, prompts too, in the request log on this machine's disk, 256 MB at most. *no* keeps
its size and hash only.
""",
}
