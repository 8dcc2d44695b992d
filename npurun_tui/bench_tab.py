"""What the Bench tab measures with: this machine's engine, or a server that the workbench is attached to."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from npurun_tui import __version__
from npurun_tui.screens.bench_parts import BenchParts

if TYPE_CHECKING:
    from npurun_tui.attach.services import Attachment
    from npurun_tui.bench.metering import Meter
    from npurun_tui.bench.records import Machine
    from npurun_tui.bench.target import Target
    from npurun_tui.engine.spec import ModelSpec
    from npurun_tui.screens.bench_fields import Setup
    from npurun_tui.services import Services

TOKEN: Final = "NPURUN_BASELINE_TOKEN"  # noqa: S105 - a variable's name
"""The environment variable with an endpoint's token, as for the command `bench`."""

Make = Callable[[str, str, str], "Target"]
"""A side by its name, its key, and the model that an endpoint is asked for where the name does not say."""


def here(
    services: Services,
    follow: Callable[[], object],
    before_load: Callable[[ModelSpec], Awaitable[None]],
) -> BenchParts:
    """This machine. `follow` is called before the engine is used, so that the status bar shows it; `before_load` may
    raise ModelBusy where the person would rather be attached to a server that has the NPU."""

    def side(text: str, key: str, wanted: str) -> Target:
        from npurun_tui.bench.sides import target_of

        token = os.environ.get(TOKEN, "")
        return target_of(text, services, key=key, wanted=wanted, token=token, flag=TOKEN)

    async def targets(setup: Setup) -> Sequence[Target]:
        follow()
        sides = await _sides(setup, side)
        for target in sides:
            if target.side.backend == "genie":
                spec = await asyncio.to_thread(services.spec_of, target.side.model)
                await before_load(spec)
        return sides

    return BenchParts(
        services.bench,
        services.bench_history,
        targets=targets,
        machine=_machine,
        meter=_meter,
        installed=services.installed_names,
    )


def there(services: Services, attached: Attachment) -> BenchParts:
    """The server that the workbench is attached to. What it is measured against may be another address."""

    def side(text: str, key: str, wanted: str) -> Target:
        from npurun_tui.bench.endpoint import is_address
        from npurun_tui.bench.sides import attached_target, target_of

        if is_address(text):
            token = os.environ.get(TOKEN, "")
            return target_of(text, services, key=key, wanted=wanted, token=token, flag=TOKEN)
        return attached_target(attached.there, text, key)

    async def targets(setup: Setup) -> Sequence[Target]:
        return await _sides(setup, side)

    near = _is_near(attached)
    return BenchParts(
        services.bench,
        services.bench_history,
        targets=targets,
        machine=_machine if near else _elsewhere,
        meter=_meter if near else lambda _targets: None,
        installed=attached.installed_names,
        remembered_as="bench-attached",
    )


async def _sides(setup: Setup, side: Make) -> list[Target]:
    """Manifests are read in a thread, endpoints are asked whether they are there."""
    from npurun_tui.bench.sides import check_sides

    named = [(setup.model, "a", "")]
    if setup.baseline:
        named.append((setup.baseline, "b", setup.model))
    sides = [await asyncio.to_thread(side, *each) for each in named]
    await check_sides(sides, setup.plan.contexts)
    return sides


def _is_near(attached: Attachment) -> bool:
    """The server is on this machine, which is then the one to be measured."""
    from urllib.parse import urlsplit

    from npurun_tui.server.address import is_loopback

    return is_loopback(urlsplit(attached.there.url).hostname or "")


async def _elsewhere() -> Machine:
    """Of another machine its server tells nothing."""
    from npurun_tui.bench.records import Machine

    return Machine(program=__version__)


async def _machine() -> Machine:
    from npurun_tui.bench.machine import machine_facts

    return await asyncio.to_thread(machine_facts)


def _meter(targets: Sequence[Target]) -> Meter | None:
    from npurun_tui.bench.energy.here import sources_here
    from npurun_tui.bench.energy.meter import Meter

    def pids() -> frozenset[int]:
        return frozenset(pid for target in targets for pid in target.pids)

    return Meter(sources_here(), pids)
