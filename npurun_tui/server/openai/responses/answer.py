"""What `/v1/responses` answers: the response, which says again what was asked, and its items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from npurun_tui.engine.messages import ToolCall
from npurun_tui.engine.transcript import TurnStats
from npurun_tui.server.asking import Done
from npurun_tui.server.collected import Collected
from npurun_tui.server.openai.answers import (
    PromptDetails,
    Timings,
    arguments_text,
    counted,
    reasoning_tokens,
    timings_of,
)
from npurun_tui.server.openai.responses.request import (
    Reasoning,
    ResponseRequest,
    ResponseTool,
    TextConfig,
    TextFormat,
)

Status = Literal["in_progress", "completed", "incomplete", "failed"]

Item = dict[str, Any]


class OutputDetails(msgspec.Struct):
    """Of the answer's tokens; null where their share is not known."""

    reasoning_tokens: int | None


class ResponseUsage(msgspec.Struct):
    """Tokens as the engine counted them."""

    input_tokens: int
    input_tokens_details: PromptDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class ResponseAnswer(msgspec.Struct, kw_only=True):
    """A response."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: Status
    background: bool = False
    error: dict[str, Any] | None = None
    incomplete_details: dict[str, str] | None = None
    instructions: str | None = None
    max_output_tokens: int | float | None = None
    metadata: dict[str, Any]
    model: str
    output: list[Item]
    parallel_tool_calls: bool
    previous_response_id: None = None
    reasoning: Reasoning
    store: bool = False
    temperature: float | None = None
    text: TextConfig
    tool_choice: str | dict[str, Any]
    tools: list[ResponseTool]
    top_p: float | None = None
    truncation: str
    usage: ResponseUsage | None = None
    user: str | None = None
    timings: Timings | UnsetType = UNSET


def usage_of(stats: TurnStats, *, thought: bool, answered: bool) -> ResponseUsage | None:
    """The usage of an answer; None where it is not known."""
    if not counted(stats):
        return None
    reasoning = reasoning_tokens(stats, thought=thought, answered=answered)
    return ResponseUsage(
        stats.prompt_tokens,
        PromptDetails(stats.cached_tokens),
        stats.completion_tokens,
        OutputDetails(reasoning),
        stats.prompt_tokens + stats.completion_tokens,
    )


def reasoning_item(id_: str, text: str) -> Item:
    """What was thought."""
    return {
        "id": id_,
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text}],
        "status": "completed",
    }


def text_part(text: str) -> Item:
    """A message's only part."""
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def message_item(id_: str, text: str, status: str) -> Item:
    """What was said."""
    return {
        "id": id_,
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [text_part(text)],
    }


def call_item(id_: str, call: ToolCall) -> Item:
    """What was called."""
    return {
        "id": id_,
        "type": "function_call",
        "status": "completed",
        "call_id": call.id,
        "name": call.name,
        "arguments": arguments_text(call),
    }


@dataclass(frozen=True, slots=True)
class Frame:
    """What is the same in a response from its creation to its end."""

    key: str
    """Ids are made with it."""
    created: int
    model: str
    body: ResponseRequest

    def id(self, prefix: str, index: int) -> str:
        """The id of an item."""
        return f"{prefix}_{self.key}_{index}"

    def response(
        self,
        status: Status,
        output: list[Item],
        *,
        usage: ResponseUsage | None = None,
        error: dict[str, Any] | None = None,
        timings: Timings | UnsetType = UNSET,
    ) -> ResponseAnswer:
        """The response as it stands."""
        body = self.body
        text_format = body.text.format if body.text is not None else None
        cut = {"reason": "max_output_tokens"} if status == "incomplete" else None
        return ResponseAnswer(
            id=f"resp_{self.key}",
            created_at=self.created,
            status=status,
            error=error,
            incomplete_details=cut,
            instructions=body.instructions,
            max_output_tokens=body.max_output_tokens,
            metadata=body.metadata or {},
            model=self.model,
            output=output,
            parallel_tool_calls=body.parallel_tool_calls is not False,
            reasoning=body.reasoning or Reasoning(),
            temperature=body.temperature,
            text=TextConfig(text_format or TextFormat("text")),
            tool_choice="auto" if body.tool_choice is None else body.tool_choice,
            tools=[tool for tool in body.tools or () if tool.type == "function"],
            top_p=body.top_p,
            truncation=body.truncation or "disabled",
            usage=usage,
            user=body.user,
            timings=timings,
        )


def status_of(done: Done) -> Literal["completed", "incomplete"]:
    """How a response ended."""
    return "incomplete" if done.reason == "length" else "completed"


def whole_response(frame: Frame, answer: Collected) -> ResponseAnswer:
    """A whole answer."""
    status = status_of(answer.done)
    output: list[Item] = []
    if answer.thinking:
        output.append(reasoning_item(frame.id("rs", 0), answer.thinking))
    if answer.text or not answer.calls:
        output.append(message_item(frame.id("msg", len(output)), answer.text, status))
    for call in answer.calls:
        output.append(call_item(frame.id("fc", len(output)), call))
    stats = answer.done.stats
    usage = usage_of(
        stats, thought=bool(answer.thinking), answered=bool(answer.text or answer.calls)
    )
    return frame.response(status, output, usage=usage, timings=timings_of(stats))
