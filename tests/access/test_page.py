"""docs/access.md has the roles as the code has them."""

from __future__ import annotations

from collections.abc import Iterator

from app.access.permissions import GUARDED, PERMISSIONS, Permission
from app.models import Role
from tests.docs.pages import ROOT

ROLES = (Role.VIEWER, Role.DEVELOPER, Role.ADMIN, Role.OWNER)


def _rows() -> Iterator[str]:
    yield f"| permission | {' | '.join(ROLES)} | kept by protection |"
    yield "|---|" + "---|" * (len(ROLES) + 1)
    for permission in Permission:
        cells = [permission in PERMISSIONS[role] for role in ROLES] + [permission in GUARDED]
        yield f"| `{permission.value}` | {' | '.join('✓' if cell else '' for cell in cells)} |"


def test_the_page_has_the_roles_as_they_are() -> None:
    table = "\n".join(_rows())
    assert table in (ROOT / "docs/access.md").read_text(), table
