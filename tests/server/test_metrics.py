"""`/metrics` counts what the records say, under labels of ours."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request

from npurun_tui.engine.engine import EngineState, EngineStatus, LoadedModel
from npurun_tui.server.metrics import Metrics
from npurun_tui.server.records import RequestRecord

STATUS = EngineStatus(
    state=EngineState.GENERATING,
    model=LoadedModel("tiny", "llama.cpp", 512, 10.0, "CPU (llama.cpp)"),
    holder="chat",
    waiting=("one", "two"),
)


async def scraped(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    (route,) = metrics.routes()
    response = await route.endpoint(Request({"type": "http", "headers": []}))
    text = bytes(response.body).decode()
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_record_is_counted_once_by_its_declared_route() -> None:
    metrics = Metrics(lambda: STATUS)
    record = RequestRecord(
        dialect="openai", path="/v1/models/\x1b[31m", route="/v1/models/{id:path}", status=404
    )
    metrics.opened(record)
    assert (await scraped(metrics))["npurun_requests_active", ()] == 1
    record.total_ms = 12.0
    metrics.closed(record)
    found = await scraped(metrics)
    assert found["npurun_requests_total", ("openai", "/v1/models/{id:path}", "404")] == 1
    assert found["npurun_requests_active", ()] == 0
    assert found["npurun_request_seconds_count", ("openai", "/v1/models/{id:path}")] == 1
    assert not any("\x1b" in label for _, labels in found for label in labels)


async def test_tokens_are_told_apart() -> None:
    metrics = Metrics(lambda: STATUS)
    record = RequestRecord(
        dialect="ollama", route="/api/chat", status=200, prompt_tokens=100, cached_tokens=90
    )
    record.completion_tokens, record.decode_tps = 30, 55.0
    metrics.opened(record)
    metrics.closed(record)
    found = await scraped(metrics)
    kinds = {
        kind: found["npurun_tokens_total", (kind,)] for kind in ("prefilled", "cached", "generated")
    }
    assert kinds == {"prefilled": 10, "cached": 90, "generated": 30}


async def test_the_engine_is_read_when_scraped() -> None:
    found = await scraped(Metrics(lambda: STATUS))
    assert found["npurun_queue_length", ()] == 2
    assert found["npurun_permit_held", ()] == 1
    assert found["npurun_engine", ("tiny", "CPU (llama.cpp)", "generating")] == 1
