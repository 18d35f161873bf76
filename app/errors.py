"""Every failure that a caller can act on, as one tree.

    PaasError
    ├── InvalidInput          what was sent is malformed; nothing was changed
    ├── Unauthenticated       no credential, or one that is unknown, revoked or expired
    ├── Forbidden             the actor is known and may see the object, but not do this
    ├── NotFound              no such object, or one the actor may not know of
    ├── Taken                 a name or hostname that another object holds
    ├── Conflict              the object changed meanwhile; read it again
    ├── LimitReached          a limit that the message states
    │   └── RateLimited       too often; it says when to come again
    ├── PreconditionFailed    the object is in the wrong state for this
    │   └── DefaultEnvironment  a project must keep a default environment
    ├── InProgress            the same work is already under way
    └── ExternalFailure       an engine, a registry or the database did not answer

Anything else that is raised is a bug: it is masked at the edge and logged with a request id.
Adapters translate their library's exceptions into these; a library's exception never leaves its adapter.
"""

from __future__ import annotations


class PaasError(Exception):
    """A failure with the words a person needs: what happened, on which field, what to do next."""

    code = "INTERNAL"
    http_status = 500

    def __init__(self, message: str, *, field: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.hint = hint


class InvalidInput(PaasError):
    code = "INVALID"
    http_status = 422


class Unauthenticated(PaasError):
    code = "UNAUTHENTICATED"
    http_status = 401


class Forbidden(PaasError):
    code = "FORBIDDEN"
    http_status = 403


class NotFound(PaasError):
    code = "NOT_FOUND"
    http_status = 404


class Taken(PaasError):
    code = "TAKEN"
    http_status = 409


class Conflict(PaasError):
    code = "CONFLICT"
    http_status = 409


class LimitReached(PaasError):
    code = "LIMIT_REACHED"
    http_status = 429


class RateLimited(LimitReached):
    def __init__(self, message: str, *, hint: str, retry_after_seconds: int) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class PreconditionFailed(PaasError):
    code = "PRECONDITION_FAILED"
    http_status = 409


class DefaultEnvironment(PreconditionFailed):
    code = "DEFAULT_ENVIRONMENT"


class InProgress(PaasError):
    code = "IN_PROGRESS"
    http_status = 409


class ExternalFailure(PaasError):
    code = "EXTERNAL_FAILURE"
    http_status = 503
