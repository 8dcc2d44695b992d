"""Errors as each dialect writes them, from the one exception hierarchy.

Shapes: OpenAI's SDKs read an object under `error`, Ollama's clients a string, Anthropic's an object with a `type` of
its own. Whether a client tries again is decided by the status, `Retry-After` and, for the SDKs, `x-should-retry`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.responses import Response

from npurun_tui.errors import (
    ContextOverflow,
    EngineCrashed,
    ModelNotFound,
    NpurunError,
    QueueFull,
    TemplateInvalid,
)
from npurun_tui.server.faults import (
    BadRequest,
    Busy,
    ContextLength,
    EngineFault,
    RequestFault,
    TooManyTries,
    Unauthorised,
    UnknownModel,
    Unready,
    WrongMethod,
)
from npurun_tui.server.routing import Dialect

LONGEST: Final = 2000
"""Characters of an error's text; some of them quote what the client sent."""

_ANTHROPIC: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def fault_of(error: NpurunError) -> RequestFault:
    """`error` as what a request is refused for; it keeps its words."""
    if isinstance(error, RequestFault):
        return error
    text, mend = error.message, error.mend
    match error:
        case QueueFull():  # its own words tell one client who another is
            others = f", and {error.waiting} wait" if error.waiting else ""
            text = f"The engine is busy with another request{others}."
            fault: RequestFault = Busy(text, mend=mend)
        case ContextOverflow():
            fault = ContextLength(text, needed=error.needed, window=error.window, mend=mend)
        case ModelNotFound():
            fault = UnknownModel(text, mend=mend, param="model")
        case TemplateInvalid():
            fault = BadRequest(text, mend=mend, code="template_invalid")
        case EngineCrashed():
            fault = EngineFault(text, mend=mend, code="engine_crashed")
        case _:
            fault = EngineFault(text, mend=mend)
    return fault


def error_document(fault: NpurunError, dialect: Dialect, *, request_id: str = "") -> dict[str, Any]:
    """The error as a JSON object; also what a stream that has begun ends with."""
    fault = fault_of(fault)
    text = str(fault)[:LONGEST]
    if dialect == "ollama":
        return {"error": text}
    if dialect == "anthropic":
        return _anthropic(fault, text, request_id)
    error: dict[str, Any] = {
        "message": text,
        "type": fault.kind,
        "param": fault.param,
        "code": fault.code,
    }
    if isinstance(fault, ContextLength) and fault.window:
        # llama-server's names: clients that trim by themselves read them.
        error |= {"n_prompt_tokens": fault.needed, "n_ctx": fault.window}
    return {"error": error}


def _anthropic(fault: RequestFault, text: str, request_id: str) -> dict[str, Any]:
    kind = _ANTHROPIC.get(fault.status)
    if kind is None:
        kind = "api_error" if fault.status >= 500 else "invalid_request_error"
    if isinstance(fault, ContextLength) and fault.window:
        # Anthropic's own words: agents recognise them and compact the conversation.
        text = f"prompt is too long: {fault.needed} tokens > {fault.window} maximum"
    document: dict[str, Any] = {"type": "error", "error": {"type": kind, "message": text}}
    if request_id:
        document["request_id"] = request_id
    return document


def error_response(fault: NpurunError, dialect: Dialect, *, request_id: str = "") -> Response:
    """The answer to a request that ends in `fault` before anything of another answer was sent."""
    fault = fault_of(fault)
    body = msgspec.json.encode(error_document(fault, dialect, request_id=request_id))
    return Response(body, fault.status, error_headers(fault), media_type="application/json")


def error_headers(fault: RequestFault) -> dict[str, str]:
    """What tells a client whether, and when, to try again."""
    headers: dict[str, str] = {}
    match fault:
        case TooManyTries():
            headers["retry-after"] = "60"
        case Busy() | Unready():
            headers["retry-after"] = "1"
        case Unauthorised():
            headers["www-authenticate"] = 'Bearer realm="npurun-tui"'
        case WrongMethod() if fault.allowed:
            headers["allow"] = ", ".join(fault.allowed)
        case _:
            pass
    if fault.status == 500 or fault.code in ("template_invalid", "request_aborted"):
        # The same prompt would fail again, each time at the cost of a prefill or of the engine's process.
        headers["x-should-retry"] = "false"
    return headers
