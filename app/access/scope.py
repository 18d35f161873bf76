"""What a right is held on, and what a deed touches: an organization, or a part of one.

Scope(org)                         the organization, and everything in it
Scope(org, project)                a project
Scope(org, project, environment)   all its apps in one environment
Scope(org, project, app_id=app)    one app in all environments
Scope(org, project, env, app)      an instance
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scope:
    """Ids. What is None is not narrowed down: all of them."""

    organization_id: str
    project_id: str | None = None
    environment_id: str | None = None
    app_id: str | None = None

    def covers(self, other: Scope) -> bool:
        """Whether all of ``other`` lies in here: a right here is a right there."""
        return all(
            mine is None or mine == theirs
            for mine, theirs in zip(self._parts(), other._parts(), strict=True)
        )

    def meets(self, other: Scope) -> bool:
        """Whether some instance could lie in both: what stands above and beside a scope can be named."""
        return all(
            mine is None or theirs is None or mine == theirs
            for mine, theirs in zip(self._parts(), other._parts(), strict=True)
        )

    def _parts(self) -> tuple[str | None, ...]:
        return (self.organization_id, self.project_id, self.environment_id, self.app_id)
