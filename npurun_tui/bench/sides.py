"""What a person names as a side of a bench, made a target: an installed model, an endpoint, or the server that the
workbench is attached to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from npurun_tui.bench.endpoint import EndpointTarget, is_address
from npurun_tui.bench.endpoint.address import FLAG, Address
from npurun_tui.bench.engine_target import EngineTarget, Facts
from npurun_tui.bench.target import Target
from npurun_tui.errors import ModelError, ModelNotFound
from npurun_tui.text import one_line

if TYPE_CHECKING:
    from npurun_tui.attach.there import ServerThere
    from npurun_tui.engine.engine import Engine
    from npurun_tui.engine.spec import ModelSpec
    from npurun_tui.models.store import ModelStore

CPU: Final = ("cpu", "llama.cpp")
"""What people call it, and what is no model's name unless one is installed that has it."""

NAMED: Final = 6
"""Models that an error names."""


class Here(Protocol):
    """What is needed of this machine's services."""

    @property
    def engine(self) -> Engine:
        """The one shared engine."""

    @property
    def store(self) -> ModelStore:
        """The installed models."""

    def spec_of(self, name: str) -> ModelSpec:
        """A model as the engine loads it. Raises ModelError."""


def target_of(
    text: str,
    here: Here,
    *,
    key: str = "b",
    wanted: str = "",
    token: str = "",
    flag: str = FLAG,
) -> Target:
    """The side that `text` names: an installed model, `HOST:PORT` or a URL, with `#MODEL` behind it or not. `wanted` is
    the model that an endpoint is asked for where `text` does not say; `token` is the endpoint's, and `flag` is where a
    user gives it. Reads a manifest: call it in a thread where nothing may be waited for. An endpoint is asked nothing.

    Raises:
        UsageError: it is an address that cannot be used.
        ModelError: there is no such model, or it is damaged.
    """
    if is_address(text):
        return EndpointTarget(text, key=key, wanted=wanted, token=token, flag=flag)
    return _installed(text, here, key)


def _installed(name: str, here: Here, key: str) -> EngineTarget:
    try:
        model = here.store.get(name)
    except ModelError as error:
        if name.lower() in CPU:
            raise _of_the_cpu(here) from error
        if not isinstance(error, ModelNotFound):
            raise
        mend = "Name an installed model (`npurun-tui list` shows them), or an endpoint's URL."
        raise ModelNotFound(error.message, mend=mend) from error
    facts = Facts.of(model.manifest)
    return EngineTarget(here.engine, here.spec_of(model.name), key=key, facts=facts)


def _of_the_cpu(here: Here) -> ModelNotFound:
    """Who means the CPU is told which models run on it."""
    models = here.store.scan()[0]
    names = [one_line(m.name, 60) for m in models if m.manifest.backend == "llama.cpp"]
    if not names:
        return ModelNotFound(
            "The CPU runs GGUF models, and none is installed.",
            mend="Pull or import one, and give its name.",
        )
    more = f" or {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ModelNotFound(
        "The CPU runs GGUF models: it is chosen by the name of one.",
        mend=f"Here are {', '.join(names[:NAMED])}{more}.",
    )


async def check_sides(targets: Sequence[Target], contexts: Sequence[int]) -> None:
    """Before anything is measured: a typo in the second side, or a window that it lacks, would cost the runs
    of the first. Raises as `Target.check`."""
    for target in targets:
        await target.check(contexts)


def attached_target(there: ServerThere, name: str, key: str = "a") -> EndpointTarget:
    """The model `name` at the server that the workbench is attached to, with the token that it is attached with."""
    address = Address(there.url, None, name)
    return EndpointTarget(address, key=key, token=there.token, flag="--auth-token")
