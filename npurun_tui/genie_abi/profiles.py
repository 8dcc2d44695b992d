"""Profiles: what happened, in Genie's JSON. Events are recorded for the profile's whole life."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any, Final

from npurun_tui.engine.dialog import QueryProfile, Status
from npurun_tui.genie_abi.failure import AbiError

_VERSION: Final = {"major": 0, "minor": 1, "patch": 0}
_STARTED: Final = time.perf_counter_ns()


def now_us() -> int:
    """Microseconds on the profile's clock."""
    return (time.perf_counter_ns() - _STARTED) // 1000


@dataclass(eq=False, slots=True)
class Component:
    """One object's events."""

    name: str
    kind: str
    events: list[dict[str, Any]] = field(default_factory=list)

    def record(self, event: str, began_us: int, **values: dict[str, Any]) -> None:
        """Add an event that has just ended; `values` are its figures, underscores for hyphens."""
        ended = now_us()
        figures = {key.replace("_", "-"): value for key, value in values.items()}
        self.events.append(
            {
                "type": event,
                "duration": ended - began_us,
                "start": began_us,
                "stop": ended,
                **figures,
            }
        )


@dataclass(eq=False, slots=True)
class ProfileConfig:
    """Whether traces are wanted; none are made here."""

    trace: bool = False


@dataclass(eq=False, slots=True)
class Profile:
    """A profile and who is bound to it."""

    trace: bool = False
    components: list[Component] = field(default_factory=list)
    users: set[int] = field(default_factory=set)
    """The ids of live objects that record into it."""

    def component(self, kind: str) -> Component:
        """A new component of `kind`; its name has its number."""
        number = sum(1 for component in self.components if component.kind == kind)
        component = Component(f"{kind}{number}", kind)
        self.components.append(component)
        return component

    def check_free(self) -> None:
        """Raise AbiError -14 while something is bound to it."""
        if self.users:
            raise AbiError(Status.ERROR_BOUND_HANDLE, "The profile is still in use.")

    def to_json(self) -> bytes:
        """The whole document, NUL-terminated."""
        components = [
            {"name": each.name, "type": each.kind, "events": each.events}
            for each in self.components
            if each.events
        ]
        document: dict[str, Any] = {
            "header": {
                "header_version": _VERSION,
                "version": _VERSION,
                "artifact_type": "GENIE_PROFILE",
            },
            "metadata": {"timestamp": now_us()},
            "components": components or None,
        }
        if self.trace:
            document["traceEvents"] = []
        return json.dumps(document, indent=2).encode() + b"\x00"


def query_figures(profile: QueryProfile) -> dict[str, dict[str, Any]]:
    """The six figures of a query; rates are tokens a second, times microseconds."""
    seconds = profile.ttft_us / 1e6
    prompt_rate = profile.prompt_tokens / seconds if seconds else 0.0
    return {
        "num_prompt_tokens": {"value": profile.prompt_tokens, "unit": ""},
        "prompt_processing_rate": {"value": prompt_rate, "unit": "toks/sec"},
        "time_to_first_token": {"value": profile.ttft_us, "unit": "us"},
        "num_generated_tokens": {"value": profile.generated_tokens, "unit": ""},
        "token_generation_rate": {"value": profile.decode_tps, "unit": "toks/sec"},
        "token_generation_time": {"value": profile.generation_us, "unit": "us"},
    }
