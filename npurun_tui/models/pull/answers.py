"""What an answer says of the file that it brings: which bytes, of which version, in which encoding. RFC 9110."""

from __future__ import annotations

import email.utils
import re
from typing import Final

import httpx

from npurun_tui.errors import HashMismatch, PullFailed
from npurun_tui.models.pull.failures import shown
from npurun_tui.models.pull.part import Origin

_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,18}", re.ASCII)
_STRONG: Final = re.compile(r'"[!#-~\x80-\xff]*"')
_LONGEST: Final = 500


def range_of(response: httpx.Response) -> tuple[int, int, int] | None:
    """First byte, last byte and the file's size, in bytes; None where the answer does not say all of them."""
    match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", "").strip())
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def length_of(response: httpx.Response) -> int | None:
    """The bytes of the body, where the answer says it."""
    length = response.headers.get("content-length", "")
    return int(length) if _NUMBER.fullmatch(length) else None


def is_empty(response: httpx.Response) -> bool:
    """A 416 that says why: there is not one byte in the file."""
    return bool(response.headers.get("content-range", "").strip() == "bytes */0")


def origin_of(response: httpx.Response, address: str) -> Origin:
    """Which version of the file the answer brings."""
    etag = response.headers.get("etag", "").strip()[:_LONGEST]
    modified = response.headers.get("last-modified", "").strip()[:_LONGEST]
    validator = ""
    if _STRONG.fullmatch(etag):
        validator = etag
    elif not etag and _is_settled(modified, response.headers.get("date", "")):
        validator = modified
    return Origin(address, validator, seen=etag or modified)


def _is_settled(modified: str, date: str) -> bool:
    """The file was last changed a second or more before the answer: it cannot change again and keep the date."""
    try:
        then = email.utils.parsedate_to_datetime(modified)
        now = email.utils.parsedate_to_datetime(date)
        return (now - then).total_seconds() >= 1
    except (TypeError, ValueError, OverflowError):
        return False


def differ(known: str, now: str) -> bool:
    """Two `Origin.seen` are of different versions. One that is missing, or a date beside an ETag, tells nothing."""
    if not known or not now or _is_etag(known) != _is_etag(now):
        return False
    return known.removeprefix("W/") != now.removeprefix("W/")


def _is_etag(seen: str) -> bool:
    return seen.startswith(('"', 'W/"'))


def check_encoding(response: httpx.Response) -> None:
    """Raise PullFailed where the bytes are not the file's own."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise PullFailed(
            f"{shown(response.url)} sends the file compressed though it was asked not to.",
            mend="A proxy may do that; try another network or index.",
        )


def another_file(response: httpx.Response, *, kept: bool = False) -> HashMismatch:
    """The error where its size shows that it is another file; `kept`: something of the right one is here, and stays."""
    what = "What was fetched before is kept." if kept else "It was thrown away."
    return HashMismatch(
        f"{shown(response.url)} has another file than the one that is expected: its size differs.",
        mend=f"{what} Check where it is pulled from.",
    )


def empty_file(response: httpx.Response) -> PullFailed:
    """The error where there is nothing in the file."""
    return PullFailed(f"{shown(response.url)} offers an empty file.")
