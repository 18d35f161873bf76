"""How a command that speaks to a platform fails, and with which exit code.

    PaasError
    └── ClientFailure         1   the deployment failed, or the platform refused
        ├── NotSignedIn       3   no token for this host, or one that is no good
        ├── OutOfReach        4   it does not exist, or this token may not
        └── Unreachable       5   what answers is no platform that fits, or it failed
            └── Interrupted   5   nothing answers, or not any more: it may in a moment

Usage errors are click's own, and end with 2.
"""

from __future__ import annotations

from app.errors import PaasError

EXIT_CODES = (
    (0, "It is done."),
    (1, "A deployment failed, or the platform refused: the message says why."),
    (2, "The command line is not understood, or something that it needs is not said."),
    (3, "Not signed in: there is no token for the host, or it is not valid any more."),
    (4, "What you name does not exist, or your token may not do this."),
    (5, "The platform does not answer, or failed itself."),
    (130, "Interrupted with Ctrl-C. A deployment that was queued goes on."),
)


class ClientFailure(PaasError):
    exit_code = 1


class NotSignedIn(ClientFailure):
    exit_code = 3


class OutOfReach(ClientFailure):
    exit_code = 4


class Unreachable(ClientFailure):
    exit_code = 5


class Interrupted(Unreachable):
    pass


_BY_CODE: dict[str, type[ClientFailure]] = {
    "UNAUTHENTICATED": NotSignedIn,
    "NOT_FOUND": OutOfReach,
    "FORBIDDEN": OutOfReach,
    "EXTERNAL_FAILURE": Interrupted,
    "INTERNAL": Unreachable,
}


def refusal(code: str, message: str, hint: str | None, field: str | None = None) -> ClientFailure:
    """What a platform answered, as the failure that it is here. ``code``: of ``UserErrorCode``."""
    return _BY_CODE.get(code, ClientFailure)(message, hint=hint, field=field)
