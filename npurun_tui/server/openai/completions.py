"""`POST /v1/completions`: raw prompts, without a chat template."""

from __future__ import annotations

import time
from dataclasses import replace

from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from npurun_tui.server.asking import Ask
from npurun_tui.server.bodies import read_body
from npurun_tui.server.collected import Collected, collect
from npurun_tui.server.config import Limits
from npurun_tui.server.context import ServerContext, record_of
from npurun_tui.server.disconnect import unless_gone
from npurun_tui.server.faults import BadRequest, Unsupported
from npurun_tui.server.openai.answers import (
    TextChoice,
    TextCompletion,
    summed,
    timings_of,
    usage_of,
)
from npurun_tui.server.openai.chat import ResponseFormat, schema_in
from npurun_tui.server.openai.fields import (
    Number,
    One,
    SamplingFields,
    StreamOptions,
    bounded,
    no_logprobs,
    only_one,
    stops,
    token_limit,
)
from npurun_tui.server.openai.stream import TextNarrator, text_finish
from npurun_tui.server.records import RequestRecord, observe
from npurun_tui.server.respond import Telling, json_response, model_name, respond, shown, signed

MOST_PROMPTS = 64
"""In one request: they are answered one after the other."""


class CompletionRequest(SamplingFields):
    """A prompt, or several, to be continued."""

    prompt: str | list[str | int | list[int]] | None = None
    """A text or texts; token ids are understood, and refused."""
    model: str | None = None
    suffix: str | None = None
    echo: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Number | None = None
    stop: str | list[str] | None = None
    n: One | None = None
    best_of: One | None = None
    logprobs: bool | int | None = None
    response_format: ResponseFormat | None = None


def prompts_of(body: CompletionRequest) -> tuple[str, ...]:
    """The prompts, each of which can be answered as far as that shows here: a fault in the last of several would
    otherwise be found when the others have been answered. Raises BadRequest, Unsupported."""
    if not body.prompt:
        raise BadRequest("`prompt` is missing or empty.", param="prompt")
    if isinstance(body.prompt, str):
        return (body.prompt,)
    bounded(len(body.prompt), MOST_PROMPTS, "prompt")
    texts = tuple(prompt for prompt in body.prompt if isinstance(prompt, str))
    if len(texts) != len(body.prompt):
        raise Unsupported("Prompts of token ids are not supported: send text.", param="prompt")
    if not all(texts):
        where = f"prompt[{texts.index('')}]"
        raise BadRequest(f"{where}: the prompt is empty.", param=where)
    if body.stream and len(texts) > 1:
        raise Unsupported("Several prompts cannot be streamed.", param="prompt")
    return texts


def ask_of(body: CompletionRequest, prompt: str, limits: Limits) -> Ask:
    """What is asked for with one of the prompts. Raises BadRequest, Unsupported."""
    only_one(body.n)
    only_one(body.best_of, "best_of")
    no_logprobs(body.logprobs)
    if body.suffix:
        raise Unsupported("`suffix` is not supported: models here only go on.", param="suffix")
    stop = stops(body.stop)
    bounded(len(stop), limits.stops, "stop")
    return Ask(
        model=body.model or "",
        prompt=prompt,
        sampling=body.sampling(),
        max_tokens=token_limit(body.max_tokens, "max_tokens"),
        stop=stop,
        schema=schema_in(body.response_format),
    )


class Completions:
    """The route."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        record = record_of(request)
        limits = self._context.config.limits
        body = await read_body(request, CompletionRequest, limits, "openai")
        record.stream, record.model = bool(body.stream), shown(body.model)
        prompts = prompts_of(body)
        ask = ask_of(body, prompts[0], limits)
        model = await model_name(self._context, ask.model)
        record.model = shown(model)
        id_, created = f"cmpl-{record.id}", int(time.time())
        usage = body.stream_options is not None and body.stream_options.usage
        if not record.stream:
            answers = await unless_gone(request, self._each(request, ask, prompts))
            _note(record, answers)
            notes = tuple(note for answer in answers for note in answer.done.warnings)
            echoes = prompts if body.echo else ("",) * len(prompts)
            return json_response(_completion(id_, created, model, echoes, answers), notes=notes)
        echo = prompts[0] if body.echo else ""
        telling = Telling(
            stream=lambda: TextNarrator(id_, created, model, usage=usage, echo=echo),
            whole=lambda answer: _completion(id_, created, model, (echo,), [answer]),
        )
        return await respond(request, self._context, ask, telling, stream=True)

    async def _each(self, request: Request, ask: Ask, prompts: tuple[str, ...]) -> list[Collected]:
        record = record_of(request)
        ask = signed(ask, record)
        answers = []
        for prompt in prompts:
            events = self._context.answerer.answer(replace(ask, prompt=prompt), record.id)
            answers.append(await collect(observe(record, events, ask.tally)))
        return answers


def _note(record: RequestRecord, answers: list[Collected]) -> None:
    """The record of several answers has the sum of them, not the last."""
    stats = summed([answer.done.stats for answer in answers])
    record.prompt_tokens, record.cached_tokens = stats.prompt_tokens, stats.cached_tokens
    record.completion_tokens, record.decode_tps = stats.completion_tokens, stats.decode_tps
    record.queue_ms = sum(answer.done.queue_ms for answer in answers)
    record.load_ms = sum(answer.done.load_ms for answer in answers)


def _completion(
    id_: str, created: int, model: str, echoes: tuple[str, ...], answers: list[Collected]
) -> TextCompletion:
    stats = summed([answer.done.stats for answer in answers])
    choices = [
        TextChoice(index=index, text=echo + answer.text, finish_reason=text_finish(answer.done))
        for index, (echo, answer) in enumerate(zip(echoes, answers, strict=True))
    ]
    return TextCompletion(
        id=id_,
        created=created,
        model=model,
        choices=choices,
        usage=usage_of(stats, None) or UNSET,
        timings=timings_of(stats),
    )
