"""What a request can be refused for, each with its HTTP status; every dialect writes them in its own shape."""

from __future__ import annotations

from npurun_tui.errors import NpurunError


class RequestFault(NpurunError):
    """A request that is answered with an error.

    `status` is HTTP's, `kind` and `code` are OpenAI's `type` and `code`, `param` names the field at fault.
    """

    status = 400
    kind = "invalid_request_error"
    code: str | None = None

    def __init__(
        self, message: str, *, mend: str = "", param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message, mend=mend)
        self.param = param
        if code is not None:
            self.code = code


class BadRequest(RequestFault):
    """The body is not what the route takes."""


class Unsupported(RequestFault):
    """The field is understood, and this model or engine cannot do it."""

    code = "unsupported_value"


class ContextLength(RequestFault):
    """The prompt does not fit the context window."""

    code = "context_length_exceeded"

    def __init__(self, message: str, *, needed: int, window: int, mend: str = "") -> None:
        """`needed` and `window` are tokens."""
        super().__init__(message, mend=mend, param="messages")
        self.needed = needed
        self.window = window


class Unauthorised(RequestFault):
    """No token, or not the right one."""

    status = 401
    code = "invalid_api_key"


class Forbidden(RequestFault):
    """Host, Origin, or a token of too small a scope."""

    status = 403
    kind = "permission_error"
    code = "forbidden"


class UnknownModel(RequestFault):
    """No installed model has this name."""

    status = 404
    kind = "not_found_error"
    code = "model_not_found"


class UnknownRoute(RequestFault):
    """There is no such path."""

    status = 404
    kind = "not_found_error"
    code = "not_found"


class WrongMethod(RequestFault):
    """The path exists, the method does not."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, *, allowed: tuple[str, ...] = ()) -> None:
        """`allowed` are the path's methods, for the `Allow` header."""
        super().__init__(message)
        self.allowed = allowed


class TooSlow(RequestFault):
    """The body did not arrive in time."""

    status = 408
    code = "request_timeout"


class InUse(RequestFault):
    """The model is loaded and at work, or being pulled."""

    status = 409
    kind = "conflict_error"
    code = "model_in_use"


class TooLarge(RequestFault):
    """A body above the limit."""

    status = 413
    code = "request_too_large"


class WrongMedia(RequestFault):
    """A compressed or multipart body."""

    status = 415
    code = "unsupported_media_type"


class TooManyTries(RequestFault):
    """This peer has given too many wrong tokens of late."""

    status = 429
    kind = "rate_limit_error"
    code = "too_many_attempts"


class Busy(RequestFault):
    """The waiting line is full, or the wait took too long; it is answered with `Retry-After: 1`."""

    status = 429
    kind = "rate_limit_error"
    code = "server_busy"


class EngineFault(RequestFault):
    """The engine failed at this request."""

    status = 500
    kind = "server_error"
    code = "engine_error"


class NotHere(RequestFault):
    """A route of the dialect that this server does not have."""

    status = 501
    code = "not_implemented"


class Aborted(RequestFault):
    """Somebody at this machine has ended the request; asking again would not be meant."""

    status = 503
    kind = "server_error"
    code = "request_aborted"


class Unready(RequestFault):
    """No model can be loaded now, or the server is shutting down; it is answered with `Retry-After`."""

    status = 503
    kind = "server_error"
    code = "no_model_loaded"
