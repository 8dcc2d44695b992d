"""A catalog's folder as a static host serves it: TUF's metadata, signed, and the list itself.

root.json                     the newest root of trust, for who adds the catalog by its address
metadata/N.root.json          every root of trust, each signed by the keys of the one before it too
metadata/N.targets.json       what the list's bytes are
metadata/N.snapshot.json      which targets belong together
metadata/timestamp.json       which snapshot is the newest
targets/HASH.catalog.json     the list
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from npurun_tui.files import write_atomic
from scripts.catalog_tool.keys import ONLINE, ToolError, root_signers, signer

TARGET: Final = "catalog.json"
T = TypeVar("T", Root, Timestamp, Snapshot, Targets)


@dataclass(frozen=True, slots=True)
class Days:
    """For how many days each role's file is good."""

    root: float = 730
    targets: float = 365
    snapshot: float = 90
    timestamp: float = 30


@dataclass(frozen=True, slots=True)
class Repository:
    """One catalog's folder, and the folder with its keys. Every method raises ToolError and OSError."""

    folder: Path
    keys: Path
    passphrase: str = ""
    days: Days = Days()

    @property
    def metadata(self) -> Path:
        """The folder of TUF's files."""
        return self.folder / "metadata"

    def init(self, threshold: int) -> None:
        """Write the first root of trust, of all root keys in `keys`; `threshold` of them have to sign the next one."""
        self.check_new()
        signers = root_signers(self.keys, self.passphrase)
        root = Root(version=1, expires=self._expiry("root"), consistent_snapshot=True)
        self._appoint(root, signers, threshold)
        self._write_root(root, signers)

    def check_new(self) -> None:
        """Refuse a folder that has a catalog already."""
        if self._versions("root"):
            raise ToolError(f"{self.folder} has a catalog already.", mend="Name another folder.")

    def rotate(self, old: Path, old_passphrase: str, threshold: int) -> None:
        """Hand over from the keys in `old` to the ones in `keys`, all of them, and sign the same list again."""
        previous = self.latest(Root)
        data = self.catalog()
        leaving = root_signers(old, old_passphrase)
        root = previous.signed
        for role in root.roles:
            for keyid in list(root.roles[role].keyids):
                root.revoke_key(keyid, role)
        signers = root_signers(self.keys, self.passphrase)
        self._appoint(root, signers, threshold)
        root.version += 1
        root.expires = self._expiry("root")
        self._write_root(root, [*leaving, *signers], before=self.latest(Root).signed)
        self.build(data)

    def build(self, data: bytes) -> int:
        """Publish `data` as the list; returns its version."""
        targets = self._next(Targets)
        targets.expires = self._expiry("targets")
        file = TargetFile.from_data(TARGET, data, ["sha256"])
        targets.targets = {TARGET: file}
        write_atomic(
            self.folder / "targets" / f"{file.hashes['sha256']}.{TARGET}", data, private=False
        )
        self._sign_and_write(targets, f"{targets.version}.targets.json")
        self.refresh()
        return targets.version

    def refresh(self) -> None:
        """Sign a new snapshot and timestamp of what is there, with new dates."""
        targets = self.latest(Targets).signed.version
        snapshot = self._next(Snapshot)
        snapshot.expires = self._expiry("snapshot")
        snapshot.meta = {"targets.json": self._meta(targets, f"{targets}.targets.json")}
        name = f"{snapshot.version}.snapshot.json"
        self._sign_and_write(snapshot, name)
        file = self.metadata / "timestamp.json"
        timestamp = Timestamp(version=1)
        if file.exists():
            timestamp = _read(file, Timestamp).signed
            timestamp.version += 1
        timestamp.expires = self._expiry("timestamp")
        timestamp.snapshot_meta = self._meta(snapshot.version, name)
        self._sign_and_write(timestamp, "timestamp.json")

    def latest(self, kind: type[T]) -> Metadata[T]:
        """The newest root, snapshot or targets."""
        versions = self._versions(kind.type)
        if not versions:
            raise ToolError(
                f"{self.folder} has no {kind.type}.json yet.", mend="Run `init`, then `build`."
            )
        return _read(self.metadata / f"{max(versions)}.{kind.type}.json", kind)

    def _next(self, kind: type[T]) -> T:
        if not self._versions(kind.type):
            return kind(version=1)
        signed = self.latest(kind).signed
        signed.version += 1
        return signed

    def catalog(self) -> bytes:
        """The list that is published."""
        info = self.latest(Targets).signed.targets[TARGET]
        return (self.folder / "targets" / f"{info.hashes['sha256']}.{TARGET}").read_bytes()

    def _appoint(self, root: Root, signers: Sequence[CryptoSigner], threshold: int) -> None:
        if not 1 <= threshold <= len(signers):
            raise ToolError(
                f"{threshold} of {len(signers)} root keys cannot be asked for.",
                mend="Choose another --threshold.",
            )
        root.roles["root"] = Role([], threshold)
        for each in signers:
            root.add_key(each.public_key, "root")
        for role in ONLINE:
            root.add_key(signer(self.keys, role, self.passphrase).public_key, role)

    def _write_root(
        self, root: Root, signers: Sequence[CryptoSigner], before: Root | None = None
    ) -> None:
        signed = Metadata(root)
        for each in signers:
            signed.sign(each, append=True)
        for judge in filter(None, (before, root)):
            try:
                judge.verify_delegate("root", signed.signed_bytes, signed.signatures)
            except RepositoryError as error:
                raise ToolError(
                    f"Too few root keys are here to sign version {root.version} of the root.",
                    mend="Bring the missing keys into the folder.",
                ) from error
        data = signed.to_bytes(JSONSerializer())
        write_atomic(self.metadata / f"{root.version}.root.json", data, private=False)
        write_atomic(self.folder / "root.json", data, private=False)

    def _sign_and_write(self, signed: T, name: str) -> None:
        role = signed.type
        key = signer(self.keys, role, self.passphrase)
        if key.public_key.keyid not in self.latest(Root).signed.roles[role].keyids:
            raise ToolError(
                f"The key {role} is not the one that the root names.", mend="Name its --keys."
            )
        metadata = Metadata(signed)
        metadata.sign(key)
        write_atomic(self.metadata / name, metadata.to_bytes(JSONSerializer()), private=False)

    def _meta(self, version: int, name: str) -> MetaFile:
        return MetaFile.from_data(version, (self.metadata / name).read_bytes(), ["sha256"])

    def _versions(self, role: str) -> list[int]:
        names = (path.name.partition(".")[0] for path in self.metadata.glob(f"*.{role}.json"))
        return [int(name) for name in names if name.isascii() and name.isdigit()]

    def _expiry(self, role: str) -> datetime:
        days: float = getattr(self.days, role)
        return (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)


def _read(file: Path, kind: type[T]) -> Metadata[T]:
    try:
        metadata: Metadata[T] = Metadata.from_file(str(file))
    except RepositoryError as error:
        raise ToolError(f"{file} cannot be read: {error}.", mend="Restore it.") from error
    if not isinstance(metadata.signed, kind):
        raise ToolError(f"{file} is not what its name says.", mend="Restore it.")
    return metadata
