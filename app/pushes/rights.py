"""Who may move which ref: a push is a deployment to every environment that its branch matches.

Asked twice. Before anything is recorded, of the whole push: one ref that may not move refuses all of them,
with the reason. And again when it is settled, which after a crash may be hours later: an environment may
have been protected meanwhile, a branch pattern changed, a role taken away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.permissions import Permission, allows, judge, require_somewhere, standing_of
from app.access.scope import Scope
from app.errors import Forbidden
from app.models import ApiToken, App, Environment, Project, Push, User
from app.ports.repositories import RefUpdate
from app.pushes import queries
from app.pushes.queries import Targets
from app.refs import ZERO, branch_of, tree_of
from app.tokens.grants import actor_of


async def require_push(
    session: AsyncSession, actor: Actor, scope: Scope, updates: Sequence[RefUpdate]
) -> None:
    """``scope`` is the app's. Raises Forbidden, saying which ref and why, or NotFound."""
    await require_somewhere(session, actor, scope, Permission.CODE_PUSH)
    if actor.is_admin:
        return
    assert scope.app_id is not None
    targets = await queries.targets(session, scope.app_id)
    for update in updates:
        await _require_all(session, actor, _needs_of(update, scope, targets))


async def require_branch(
    session: AsyncSession, actor: Actor, scope: Scope, targets: Targets, branch: str
) -> None:
    """What a push to the branch deploys, deployed without one. Raises Forbidden or NotFound."""
    await require_somewhere(session, actor, scope, Permission.DEPLOY)
    needs = [
        (why, place, Permission.DEPLOY)
        for why, place, deploys in _places(scope, targets, branch)
        if deploys
    ]
    await _require_all(session, actor, needs)


Need = tuple[str, Scope, Permission]
"""What must be allowed, after the sentence that says why."""


async def _require_all(session: AsyncSession, actor: Actor, needs: Sequence[Need]) -> None:
    for why, place, permission in needs:
        problem = judge(actor, place, permission, await standing_of(session, actor, place))
        if problem is not None:
            raise Forbidden(
                f"Refused as a whole: {why}. {problem}",
                hint="Name another branch, or ask who may deploy there.",
            )


def _needs_of(update: RefUpdate, scope: Scope, targets: Targets) -> list[Need]:
    branch, tree = branch_of(update.ref), tree_of(update.ref)
    for target in targets.existing:
        if (
            target.environment.slug == tree
        ):  # files for it, that its `paas deploy` is about to deploy
            place = _in_environment(scope, target.environment)
            why = f"{update.ref} belongs to the environment {tree}"
            return [(why, place, Permission.CODE_PUSH), (why, place, Permission.DEPLOY)]
    if branch is None:
        return [(f"{update.ref} is no branch, and of no environment", scope, Permission.CODE_PUSH)]
    needs: list[Need] = []
    for why, place, deploys in _places(scope, targets, branch):
        needs.append((why, place, Permission.CODE_PUSH))
        if deploys and update.new != ZERO:
            needs.append((why, place, Permission.DEPLOY))
    return needs


def _places(scope: Scope, targets: Targets, branch: str) -> Iterator[tuple[str, Scope, bool]]:
    """Where the branch belongs, why, and whether it is deployed there; the app as a whole if nowhere yet."""
    found = targets.match(branch)
    if not found.environments:
        yield found.reason, scope, found.makes_preview
    for target in targets.existing:
        if target.environment.slug in found.environments:
            why = f"the branch {branch!r} belongs to the environment {target.environment.slug}"
            yield why, _in_environment(scope, target.environment), True


def _in_environment(scope: Scope, environment: Environment) -> Scope:
    return Scope(scope.organization_id, scope.project_id, environment.id, scope.app_id)


async def lost(
    session: AsyncSession, push: Push, app: App, environments: Sequence[Environment]
) -> str | None:
    """Why a push that was admitted may not deploy to these any more; None when it may.

    Asked only where something can take the right away: a protected environment, or a token's grant.
    """
    asked = [each for each in environments if push.token_id or each.protected_for is not None]
    if not asked:
        return None
    project = await session.get(Project, app.project_id)
    actor = await _pusher(session, push)
    for environment in asked:
        assert project is not None
        scope = Scope(project.organization_id, project.id, environment.id, app.id)
        if actor is None or not await allows(session, actor, scope, Permission.DEPLOY):
            return f"whoever pushed may not deploy to {environment.slug} any more"
    return None


async def _pusher(session: AsyncSession, push: Push) -> Actor | None:
    user = None if push.user_id is None else await session.get(User, push.user_id)
    if user is None:
        return None
    if push.token_id is None:
        return Actor(user_id=user.id, name=user.name, is_admin=user.is_admin)
    token = await session.get(ApiToken, push.token_id)
    return None if token is None else actor_of(token, user)
