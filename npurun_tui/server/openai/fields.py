"""Fields that several of OpenAI's routes share, and what they mean here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec

from npurun_tui.server.asking import Sampling
from npurun_tui.server.faults import BadRequest, Unsupported

Number = int | float
"""Some clients write whole numbers as 100.0."""

_EFFORTS: Final = ("minimal", "low", "medium", "high", "xhigh", "max", "ultra")


def one_of(*values: object) -> msgspec.Meta:
    """Tells `/openapi.json` the values of a field that is checked in words here: what msgspec says of a wrong one is
    no sentence for a user."""
    return msgspec.Meta(extra_json_schema={"enum": list(values)})


Effort = Annotated[str, one_of("none", *_EFFORTS)]
FormatKind = Annotated[str, one_of("text", "json_object", "json_schema")]
One = Annotated[int, one_of(1)]


class StreamOptions(msgspec.Struct):
    """What a stream tells beside the answer."""

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None
    """Counts come from the engine, at the answer's end: this is the same as `include_usage`."""

    @property
    def usage(self) -> bool:
        """Whether a chunk with the usage is wanted."""
        return bool(self.include_usage or self.continuous_usage_stats)


class SamplingFields(msgspec.Struct):
    """OpenAI's and llama-server's sampler settings; null is the model's default."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: Number | None = None
    min_p: float | None = None
    seed: Number | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repeat_penalty: float | None = None
    repetition_penalty: float | None = None
    """vLLM's name."""
    repeat_last_n: Number | None = None

    def sampling(self) -> Sampling:
        """As the inference takes it."""
        repeat = self.repeat_penalty if self.repeat_penalty is not None else self.repetition_penalty
        return Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=whole(self.top_k, "top_k"),
            min_p=self.min_p,
            seed=whole(self.seed, "seed"),
            repeat_penalty=repeat,
            repeat_last_n=whole(self.repeat_last_n, "repeat_last_n"),
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
        )


def whole(value: Number | None, param: str) -> int | None:
    """`value` without a fraction. Raises BadRequest where it has one."""
    if value is None:
        return None
    if value != int(value):
        raise BadRequest(f"`{param}` must be a whole number.", param=param)
    return int(value)


def token_limit(value: Number | None, param: str) -> int | None:
    """How many tokens an answer may have; None is up to the window's end, as are null, 0 and llama-server's -1.

    Raises BadRequest for a fraction and for any other negative number.
    """
    wanted = whole(value, param)
    if wanted is not None and wanted < -1:
        raise BadRequest(
            f"`{param}` must be 1 or more; 0, -1 and null are up to the window's end.", param=param
        )
    return wanted if wanted is not None and wanted > 0 else None


def stops(stop: str | Sequence[str] | None) -> tuple[str, ...]:
    """Stop strings; an empty one, which some clients send for none, is none."""
    several = (stop,) if isinstance(stop, str) else tuple(stop or ())
    return tuple(text for text in several if text)


def only_one(n: int | None, param: str = "n") -> None:
    """Refuse more than one answer: there is one permit."""
    if n not in (None, 1):
        raise Unsupported(f"`{param}` must be 1: one answer is made at a time.", param=param)


def no_logprobs(wanted: bool | int | None) -> None:
    """Refuse log probabilities, which no engine here gives. A number of 0 asks for none."""
    if wanted:
        raise Unsupported("This server gives no log probabilities.", param="logprobs")


def thinks(
    effort: str | None, switch: bool | None = None, template: Mapping[str, Any] | None = None
) -> bool | None:
    """Whether to think: by `reasoning_effort`, Ollama's `think`, or vLLM's `chat_template_kwargs`; None is the model's
    own way. Raises BadRequest for an effort that nobody knows."""
    if switch is not None:
        return switch
    wanted = (template or {}).get("enable_thinking")
    if isinstance(wanted, bool):
        return wanted
    if effort is None or effort == "":
        return None
    if effort == "none":
        return False
    if effort not in _EFFORTS:
        raise BadRequest(
            "`reasoning_effort` must be none, minimal, low, medium, high, xhigh or max.",
            param="reasoning_effort",
        )
    return True


def schema_of(kind: str | None, schema: Any, param: str) -> Mapping[str, Any] | None:
    """The JSON Schema that a response format of `kind` asks for; None is free text."""
    if kind in (None, "text"):
        return None
    if kind not in ("json_object", "json_schema"):
        raise BadRequest(
            f"`{param}.type` must be text, json_object or json_schema.", param=f"{param}.type"
        )
    if schema is None:
        if kind == "json_schema":
            raise BadRequest(f"`{param}` has no schema.", param=param)
        return {"type": "object"}
    if not isinstance(schema, dict):
        raise BadRequest(f"The schema in `{param}` must be an object.", param=param)
    return schema or {"type": "object"}


def bounded(count: int, limit: int, param: str) -> None:
    """Refuse more than `limit` of something."""
    if count > limit:
        raise BadRequest(f"`{param}` may have at most {limit} entries.", param=param)
