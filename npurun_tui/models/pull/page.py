"""Finding the file on a package index: the project's page is fetched by us, so that it can be cancelled, and read by
the `pypi-simple` library, HTML and JSON alike."""

from __future__ import annotations

import json
import re
import warnings
from typing import Final

from npurun_tui.errors import HashMismatch, PullFailed
from npurun_tui.models.catalog import PipIndexSource
from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.client import Client, check_link
from npurun_tui.models.pull.failures import shown
from npurun_tui.models.pull.index import Index, IndexConfig
from npurun_tui.models.pull.policy import Pace, Patience, Policy, Trouble
from npurun_tui.models.pull.progress import Meter
from npurun_tui.text import one_line

MAX_PAGE: Final = 32 << 20
"""Bytes; the largest project pages there are have a few million."""


class Finder:
    """Looks one file up on the configured indexes, in their order."""

    def __init__(self, client: Client, worker: Worker, policy: Policy, meter: Meter) -> None:
        self._client = client
        self._worker = worker
        self._policy = policy
        self._meter = meter

    async def find(self, config: IndexConfig, source: PipIndexSource) -> str:
        """The address of `source`'s file.

        An index that cannot be used is passed over where a later one has the file.

        Raises:
            PullFailed (NetworkUnavailable, HashMismatch): no index has it; the first index that failed says why.
        """
        if not config.indexes:
            raise PullFailed(
                "pip is configured with no package index that is reached over http or https.",
                mend="Check `pip config list`.",
            )
        failure: PullFailed | None = None
        for index in config.indexes:
            try:
                address = await self._ask(index, source)
            except PullFailed as error:
                failure = failure or error
            else:
                if address is not None:
                    return address
        raise failure or PullFailed(
            f"The package index has no file {one_line(source.filename)}.",
            mend="Check that pip's index-url is a full mirror.",
        )

    async def _ask(self, index: Index, source: PipIndexSource) -> str | None:
        patience = Patience(self._policy, self._meter)
        project = re.sub(r"[-_.]+", "-", source.project).lower()
        while True:
            try:
                page = await self._fetch(f"{index.url}/{project}/")
                break
            except Trouble as trouble:
                await patience.wait(trouble)
        if page is None:
            return None
        address = await self._worker.run(_pick, page, source)
        if address is not None:
            check_link(page.address, address)
        return address

    async def _fetch(self, address: str) -> _Page | None:
        from pypi_simple import ACCEPT_ANY

        async with self._client.get(address, {"Accept": ACCEPT_ANY}) as response:
            if response.status_code != 200:
                return None
            body, pace = bytearray(), Pace(self._policy, shown(response.url))
            async for chunk in response.aiter_bytes():
                body += chunk
                pace.check(len(chunk))
                if len(body) > MAX_PAGE:
                    raise PullFailed("The package index's page is too large to be one.")
            return _Page(bytes(body), str(response.url), response.headers.get("content-type", ""))


class _Page:
    """A project's page as it came."""

    def __init__(self, body: bytes, address: str, content_type: str) -> None:
        self.body = body
        self.address = address
        self.content_type = content_type.lower()


def _pick(page: _Page, source: PipIndexSource) -> str | None:
    """The address of the file on `page`; None where the page does not list it. Blocking: parsing takes its time."""
    from pypi_simple import ProjectPage, UnsupportedRepoVersionError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # a page of a newer minor version is readable by definition
            if "json" in page.content_type:
                parsed = ProjectPage.from_json_data(json.loads(page.body), page.address)
            else:
                parsed = ProjectPage.from_html(source.project, page.body, page.address)
    except (ValueError, RecursionError, UnsupportedRepoVersionError) as error:
        raise PullFailed("The package index's page cannot be read.") from error
    files = [file for file in parsed.packages if file.filename == source.filename]
    for file in files:
        if file.digests.get("sha256", source.sha256).lower() == source.sha256:
            return file.url
    if files:
        raise HashMismatch(
            f"The package index lists another {one_line(source.filename)} than the one that is expected.",
            mend="Nothing was downloaded. Check which index pip is configured with.",
        )
    return None
