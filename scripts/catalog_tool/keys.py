"""The private keys of a catalog: one PEM file each, in a folder that is never published and never in the project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner

from npurun_tui.errors import NpurunError

REPOSITORY: Final = Path(__file__).resolve().parent.parent.parent
ONLINE: Final = ("targets", "snapshot", "timestamp")
"""The roles that have one key each, named after them."""

_LOCKED: Final = b"BEGIN ENCRYPTED PRIVATE KEY"


class ToolError(NpurunError):
    """The maintainer's command cannot be carried out."""


def root_names(count: int) -> list[str]:
    """`root-1`, `root-2`, …"""
    return [f"root-{number}" for number in range(1, count + 1)]


def check_place(folder: Path, published: Path, names: list[str]) -> None:
    """See whether keys called `names` can be made in `folder`, before anybody is asked for a passphrase.

    Raises:
        ToolError: `folder` lies in the project or in what is published, or has such a key already.
    """
    for public in (REPOSITORY, published.resolve()):
        if folder.resolve().is_relative_to(public):
            raise ToolError(
                f"The keys may not lie in {public}.", mend="Name a folder that nobody else sees."
            )
    present = [name for name in names if (folder / f"{name}.pem").exists()]
    if present:
        raise ToolError(f"{folder} has a key {present[0]} already.", mend="Name an empty folder.")


def make_keys(folder: Path, published: Path, names: list[str], passphrase: str) -> None:
    """Make an Ed25519 key for each of `names` in `folder`, encrypted where there is a passphrase.

    Raises:
        ToolError: as `check_place`.
        OSError: it cannot be written.
    """
    check_place(folder, published, names)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    how: KeySerializationEncryption = NoEncryption()
    if passphrase:
        how = BestAvailableEncryption(_bytes(passphrase))
    for name in names:
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)
        # O_EXCL and the mode together: at no moment can somebody else read it, or have made it.
        descriptor = os.open(folder / f"{name}.pem", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)


def signer(folder: Path, name: str, passphrase: str) -> CryptoSigner:
    """The key `name` in `folder`.

    Raises:
        ToolError: it is not there, or the passphrase does not open it.
    """
    try:
        pem = (folder / f"{name}.pem").read_bytes()
    except OSError as error:
        raise ToolError(f"The key {name} is not in {folder}.", mend="Name --keys.") from error
    try:
        key = load_pem_private_key(pem, _bytes(passphrase) if passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ToolError(
            f"The key {name} cannot be opened: {error}", mend="Give the right passphrase."
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ToolError(f"The key {name} is no Ed25519 key.", mend="Make one with `init`.")
    return CryptoSigner(key)


def locked(folder: Path) -> bool:
    """Whether a key in `folder` has a passphrase. Raises OSError."""
    return any(_LOCKED in pem.read_bytes() for pem in folder.glob("*.pem"))


def _bytes(passphrase: str) -> bytes:
    """As the environment had it, also where that was no UTF-8."""
    return passphrase.encode(errors="surrogateescape")


def root_signers(folder: Path, passphrase: str) -> list[CryptoSigner]:
    """Every root key that lies in `folder`, as `signer`; perhaps none."""
    names = sorted(path.stem for path in folder.glob("root-*.pem"))
    return [signer(folder, name, passphrase) for name in names]
