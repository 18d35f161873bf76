"""Deploy an app's branch wherever a push to it would go."""

from __future__ import annotations

from collections.abc import Sequence

from app.access.actor import Actor
from app.access.find import place_of
from app.db import WriteSession
from app.deployments import service
from app.environments import previews
from app.environments.previews import PreviewMaker
from app.errors import InvalidInput, NotFound
from app.models import App, Deployment, Environment
from app.ports.repositories import Repositories
from app.pushes import queries
from app.pushes.match import Match
from app.pushes.rights import require_branch
from app.refs import BRANCHES, ref_problem


async def deploy_branch(
    session: WriteSession,
    actor: Actor,
    app: App,
    repositories: Repositories,
    maker: PreviewMaker,
    *,
    branch: str,
    commit_sha: str | None = None,
) -> tuple[Match, Sequence[tuple[Environment, Deployment]]]:
    """The branch's newest commit, or ``commit_sha``, in every environment that the branch matches.

    The preview rule makes one where it wins, and raises LimitReached, say, where it cannot. No match is no error, as with a push: the reason is in the Match, and nothing is deployed.
    """
    place = await place_of(session, app)
    ref = BRANCHES + branch
    problem = ref_problem(ref)
    if problem is not None:
        raise InvalidInput(f"No branch has that name: {problem}.", field="branch")
    targets = await queries.targets(session, app.id)
    await require_branch(session, actor, place.scope, targets, branch)
    place.require_live()
    found = targets.match(branch)
    if found.makes_preview:
        await _require_branch(repositories, app, branch)
        await queries.lock_app(session, app.id)
        await previews.make(session, maker, place.project.id, branch)
        targets = await queries.targets(session, app.id)
        found = targets.match(branch)
    deployed = [
        (
            each.environment,
            await service.create_from_ref(
                session, actor, each.instance, repositories, ref=ref, commit_sha=commit_sha
            ),
        )
        for each in targets.existing
        if each.environment.slug in found.environments
    ]
    return found, deployed


async def _require_branch(repositories: Repositories, app: App, branch: str) -> None:
    """An environment is made for a branch that there is, since it ends with it. Raises NotFound."""
    if await repositories.read_ref(app.repository_key, BRANCHES + branch) is None:
        raise NotFound(f"There is no branch {branch!r}.", field="branch", hint="Push it first.")
