"""Tokens: how one is made, kept and compared, and who may do what with it.

Only a token's sha256 is kept. A token of ours has 256 random bits, for which a plain hash is enough, and which nobody
guesses: so the right one passes at any time, and only wrong ones are made to wait (`throttle`). Else whoever shares an
address with others, behind a proxy for instance, could lock them out. A short word of the user's own can be guessed.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final

from npurun_tui.server.config import ServerConfig
from npurun_tui.server.faults import Forbidden, TooManyTries, Unauthorised
from npurun_tui.server.throttle import Throttle

if TYPE_CHECKING:  # a screen makes tokens before anything of a server is loaded
    from npurun_tui.server.heads import Head
    from npurun_tui.server.routing import Scope

PREFIX: Final = "npt_"
"""Lets a leaked token be recognised for what it is."""


def new_token() -> str:
    """A new token; it is shown once and then only its hash is kept."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_token(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).digest()


def credential_of(head: Head) -> str:
    """The token that a request carries, in whichever header; empty where there is none.

    Raises:
        Unauthorised: it carries two different ones, so that a limit for one could be passed with the other
            (CVE-2026-45339 in Open WebUI).
    """
    found = {value for value in (*head.all(b"x-api-key"), *head.all(b"api-key")) if value}
    for value in head.all(b"authorization"):
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            found.add(token.strip())
    if len(found) > 1:
        raise Unauthorised("The request carries two different tokens.")
    return found.pop() if found else ""


class TokenPolicy:
    """Decides whether a request's token is enough for a route."""

    def __init__(self, config: ServerConfig) -> None:
        self._infer = config.infer_token
        self._admin = config.admin_token or config.infer_token
        self._throttle = Throttle()

    def check(self, head: Head, scope: Scope) -> bool:
        """Whether the request, which may use routes of `scope`, may also do what only admins may.

        Raises:
            Unauthorised, Forbidden, TooManyTries: it may not use them.
        """
        needed = {"open": b"", "infer": self._infer, "admin": self._admin}[scope]
        if not needed:
            return not self._admin or (scope == "infer" and self._shows_admin(head))
        credential = credential_of(head)
        if not credential:
            raise Unauthorised("A token is needed.", mend="Send it as Authorization: Bearer TOKEN.")
        digest = hashlib.sha256(credential.encode("latin-1")).digest()  # the bytes that were sent
        may_infer, may_admin = _same(digest, self._infer), _same(digest, self._admin)
        if may_admin or (may_infer and scope == "infer"):
            return may_admin
        if may_infer:
            raise Forbidden("This token may ask models, and no more.", mend="Use the admin token.")
        if self._throttle.blocks(head.peer):
            raise TooManyTries(
                "Too many wrong tokens came from this address.", mend="Wait a minute."
            )
        self._throttle.failed(head.peer, digest)
        raise Unauthorised("The token is not the right one.")

    def _shows_admin(self, head: Head) -> bool:
        """For routes that ask for no token: any other one that a client sends is no wrong one there."""
        digest = hashlib.sha256(credential_of(head).encode("latin-1")).digest()
        return _same(digest, self._admin)


def _same(digest: bytes, kept: bytes) -> bool:
    return hmac.compare_digest(digest, kept) if kept else False
