"""What may be a name: slugs, display names, branch patterns, variable names, and the hostname they spell.

All pure. A slug is one DNS label in lower case without ``--`` (see
``docs/decisions/slugs-of-names-are-immutable.md``). Every function returns the accepted value or raises
InvalidInput that says which character or length was wrong, so that a person need not guess the rule.
"""

from __future__ import annotations

import re
import unicodedata

from app.errors import InvalidInput

MAX_LABEL = 63
"""RFC 1035 2.3.4: octets in one label of a hostname."""
MAX_HOSTNAME = 253
MAX_DISPLAY_NAME = 200
MAX_BRANCH_PATTERN = 255
MAX_VARIABLE_NAME = 255

RESERVED_ORGANIZATIONS = frozenset(
    [
        "admin",
        "api",
        "app",
        "apps",
        "assets",
        "auth",
        "consul",
        "dashboard",
        "default",
        "docs",
        "git",
        "graphiql",
        "graphql",
        "health",
        "healthz",
        "internal",
        "login",
        "logout",
        "metrics",
        "nomad",
        "oauth",
        "orgs",
        "paas",
        "platform",
        "readyz",
        "root",
        "slugs",
        "static",
        "status",
        "system",
        "traefik",
        "web",
        "webhooks",
        "www",
    ]
)
"""Taken by the platform's own URLs and host names, or by Nomad's namespaces (``default``)."""

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.ASCII)
_ID = re.compile(r"[a-z]{1,12}_[0-9a-z]{26}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
_SLUG_HINT = "Use 1 to 63 of the characters a-z, 0-9 and single '-' between them, such as my-app."


def is_slug(value: str) -> bool:
    """Whether any object could have this slug: look-ups answer "not found" at once otherwise."""
    return len(value) <= MAX_LABEL and "--" not in value and _SLUG.fullmatch(value) is not None


def is_id(value: str) -> bool:
    """Whether this is shaped like an id of ``app.ids``."""
    return _ID.fullmatch(value) is not None


def valid_slug(value: str, *, field: str = "slug") -> str:
    problem = _slug_problem(value)
    if problem:
        raise InvalidInput(f"A slug {problem}.", field=field, hint=_SLUG_HINT)
    return value


def valid_organization_slug(value: str, *, field: str = "slug") -> str:
    """Organizations stand at the root of URLs, hostnames and namespaces, so some words are held."""
    valid_slug(value, field=field)
    if value in RESERVED_ORGANIZATIONS:
        raise InvalidInput(
            f"The slug {value!r} is reserved for the platform itself.",
            field=field,
            hint=f"Choose another, such as {value}-team.",
        )
    return value


def _slug_problem(value: str) -> str | None:
    if not value:
        return "must not be empty"
    if len(value) > MAX_LABEL:
        return f"has at most {MAX_LABEL} characters, and this one has {len(value)}"
    for character in value:
        if not (character.isascii() and (character.isdigit() or character.islower())):
            if character == "-":
                continue
            return f"may not contain {_spelled(character)}"
    if value.startswith("-"):
        return "must not start with '-'"
    if value.endswith("-"):
        return "must not end with '-'"
    if "--" in value:
        return "must not contain '--', which separates names in the service catalog"
    return None


def _spelled(character: str) -> str:
    """The character with its Unicode name, since look-alikes cannot be told apart by eye."""
    if character.isascii() and character.isprintable():
        return repr(character)
    name = unicodedata.name(character, "unnamed")
    shown = f"{character!r} " if character.isprintable() else ""
    return f"{shown}(U+{ord(character):04X} {name})"


def valid_display_name(value: str | None, *, default: str, field: str = "displayName") -> str:
    """Any text a person can read on one line; empty or missing means ``default``."""
    stripped = (value or "").strip()
    if not stripped:
        return default
    if len(stripped) > MAX_DISPLAY_NAME:
        raise InvalidInput(
            f"A display name has at most {MAX_DISPLAY_NAME} characters, and this one has {len(stripped)}.",
            field=field,
        )
    for character in stripped:
        unreadable = unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        if unreadable or character in _BIDI_CONTROLS:
            raise InvalidInput(
                f"A display name may not contain {_spelled(character)}.", field=field
            )
    return stripped


def valid_branch_pattern(value: str, *, field: str = "branchPattern") -> str:
    """A branch name as git would accept it, in which ``*`` and ``?`` are wildcards.

    ``*`` stands for any run of characters (also ``/``), ``?`` for any one.
    """
    problem = _branch_pattern_problem(value)
    if problem:
        raise InvalidInput(
            f"The branch pattern {_shortened(value)} {problem}.",
            field=field,
            hint="Name a branch (main), a glob (feature/*, release-?), or * for every other branch.",
        )
    return value


def _branch_pattern_problem(value: str) -> str | None:
    """git-check-ref-format(1), with ``*`` and ``?`` allowed."""
    if not value:
        return "must not be empty"
    if len(value.encode("utf-8", "replace")) > MAX_BRANCH_PATTERN:
        return f"is longer than {MAX_BRANCH_PATTERN} bytes"
    if value.startswith("refs/"):
        return "names a full ref; leave out refs/heads/"
    for character in value:
        if character in " ~^:\\[\x7f" or unicodedata.category(character) in {"Cc", "Cs"}:
            return f"contains {_spelled(character)}, which no branch name can"
    for piece, why in (
        ("..", "contains '..'"),
        ("@{", "contains '@{'"),
        ("//", "contains an empty path component ('//')"),
    ):
        if piece in value:
            return f"{why}, which no branch name can"
    if value.startswith("-"):
        return "starts with '-', which no branch name can"
    if value == "@":
        return "is '@', which no branch can be called"
    if value.startswith("/") or value.endswith(("/", ".")):
        return "starts with '/' or ends with '/' or '.', which no branch name can"
    if any(part.startswith(".") or part.endswith(".lock") for part in value.split("/")):
        return "has a component that starts with '.' or ends with '.lock', which no branch name can"
    return None


def _shortened(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:57] + "...")


def valid_variable_name(value: str, *, field: str = "name") -> str:
    if len(value) > MAX_VARIABLE_NAME:
        raise InvalidInput(
            f"A variable's name has at most {MAX_VARIABLE_NAME} characters, and this one has {len(value)}.",
            field=field,
        )
    if not _VARIABLE.fullmatch(value):
        raise InvalidInput(
            f"{_shortened(value)} cannot name an environment variable.",
            field=field,
            hint="Use letters, digits and '_', not starting with a digit, such as DATABASE_URL.",
        )
    if value == "PORT" or value.upper().startswith(("PAAS_", "NOMAD_")):
        raise InvalidInput(
            f"{value} is set by the platform or its engine.",
            field=field,
            hint="PORT and names that start with PAAS_ or NOMAD_ are reserved; choose another name.",
        )
    return value


def valid_container_port(value: int, *, field: str = "containerPort") -> int:
    if not 1 <= value <= 65535:
        raise InvalidInput(f"A port is between 1 and 65535, and this is {value}.", field=field)
    return value


def hostname(organization: str, project: str, app: str, environment: str, base: str) -> str:
    """``{org}.{project}-{app}-{env}.{base}``.

    Raises InvalidInput naming the label and its length when DNS could not carry it.
    """
    label = f"{project}-{app}-{environment}"
    if len(label) > MAX_LABEL:
        raise InvalidInput(
            f"The hostname's label {label!r} would have {len(label)} characters; "
            f"a label has at most {MAX_LABEL}.",
            field="slug",
            hint="Shorten the slug of the project, the app or the environment.",
        )
    name = f"{organization}.{label}.{base}"
    if len(name) > MAX_HOSTNAME:
        raise InvalidInput(
            f"The hostname {name!r} would have {len(name)} characters; at most {MAX_HOSTNAME} are possible.",
            field="slug",
            hint="Shorten a slug, or let the operator set a shorter PAAS_WILDCARD_BASE.",
        )
    return name
