"""Variables and scale: what is stored, what is staged, and what is deployed when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from app.access import find
from app.access.actor import Actor
from app.crypto import SecretBox
from app.deployments import service as deployments
from app.deployments.releases import seal_environment
from app.errors import (
    Forbidden,
    InvalidInput,
    LimitReached,
    NotFound,
    PaasError,
    PreconditionFailed,
)
from app.instances import rotation, secrets, service
from app.instances.plan import ChangeKind, EnvVarChange, PendingChanges
from app.models import (
    Build,
    BuildStatus,
    Deployment,
    DeploymentStatus,
    DeploymentTrigger,
    EnvVar,
    Instance,
    Release,
)
from app.projects import service as projects
from tests.factories import COMMIT, make_build, make_release
from tests.services.conftest import World, blocked_or_done

SLUGS = ("acme", "storefront", "web", "production")


class Running:
    """The world's web app in production, with verbs that each are one transaction."""

    def __init__(self, world: World, box: SecretBox) -> None:
        self.world = world
        self.box = box
        self.build: Build

    async def instance(self) -> Instance:
        async with self.world.database.read_session() as session:
            return await find.instance(session, self.world.owner, slugs=SLUGS)

    async def release(self, env: dict[str, str] | None = None) -> Release:
        """As if a deployment had succeeded."""
        async with self.world.database.read_session() as session:
            app = await find.app(session, self.world.owner, slugs=SLUGS[:3])
        self.build = await make_build(self.world.database, app)
        instance = await self.instance()
        return await make_release(
            self.world.database, self.box, instance, self.build, env=env or {}
        )

    async def set(
        self, *, deploy: bool = True, actor: Actor | None = None, **values: Any
    ) -> Deployment | None:
        changes = {
            name: value if isinstance(value, EnvVarChange) else EnvVarChange(value)
            for name, value in values.items()
        }
        instance = await self.instance()
        return await self.world.write(
            lambda s: service.set_env_vars(
                s, actor or self.world.owner, instance, self.box, changes, deploy=deploy
            )
        )

    async def unset(self, *names: str, deploy: bool = True) -> Deployment | None:
        instance = await self.instance()
        return await self.world.write(
            lambda s: service.unset_env_vars(s, self.world.owner, instance, names, deploy=deploy)
        )

    async def scale(self, *, deploy: bool = True, **scale: Any) -> Deployment | None:
        instance = await self.instance()
        return await self.world.write(
            lambda s: service.set_scale(s, self.world.owner, instance, deploy=deploy, **scale)
        )

    async def apply(self) -> Deployment | None:
        instance = await self.instance()
        return await self.world.write(lambda s: service.apply(s, self.world.owner, instance))

    async def pending(self) -> PendingChanges:
        instance = await self.instance()
        async with self.world.database.read_session() as session:
            return await service.pending_changes(session, self.world.viewer, instance)

    async def values(self, actor: Actor | None = None) -> dict[str, str | None]:
        instance = await self.instance()
        async with self.world.database.read_session() as session:
            views = await service.list_env_vars(
                session, actor or self.world.owner, instance, self.box
            )
        return {view.name: view.value for view in views}

    async def deployments(self) -> list[Deployment]:
        async with self.world.database.read_session() as session:
            return list(await session.scalars(select(Deployment).order_by(Deployment.number)))


@pytest.fixture
async def web(world: World, secret_box: SecretBox) -> Running:
    await world.app("web")
    return Running(world, secret_box)


async def test_a_value_is_sealed_at_rest_and_bound_to_its_name(web: Running) -> None:
    await web.set(A="sesame", B="x")
    instance = await web.instance()
    async with web.world.database.read_session() as session:
        row = await session.get_one(EnvVar, (instance.id, "A"))
        other = await session.get_one(EnvVar, (instance.id, "B"))
    assert b"sesame" not in row.ciphertext
    assert "sesame" not in row.digest
    other.ciphertext = row.ciphertext
    with pytest.raises(PreconditionFailed):
        secrets.open_value(web.box, other)


async def test_a_viewer_sees_names_but_no_values(web: Running) -> None:
    await web.set(A="sesame")
    assert await web.values(web.world.developer) == {"A": "sesame"}
    assert await web.values(web.world.viewer) == {"A": None}
    with pytest.raises(NotFound):
        await web.values(web.world.stranger)
    with pytest.raises(Forbidden):
        await web.set(actor=web.world.viewer, A="mine")


async def test_before_the_first_deployment_everything_is_staged(web: Running) -> None:
    assert await web.set(A="1") is None
    assert await web.scale(replicas=2) is None
    assert await web.apply() is None
    assert await web.deployments() == []
    pending = await web.pending()
    assert not pending.released
    assert [change.name for change in pending.variables] == ["A"]


async def test_each_change_deploys_the_code_that_runs(web: Running) -> None:
    await web.release()
    first = await web.set(A="1")
    assert first is not None
    assert first.trigger is DeploymentTrigger.CONFIG_CHANGE
    assert (first.build_id, first.commit_sha) == (web.build.id, COMMIT)
    assert first.user_id == web.world.owner.user_id
    second = await web.scale(replicas=3, memory_mb=512)
    assert second is not None
    assert second.trigger is DeploymentTrigger.SCALE
    assert second.number == first.number + 1
    third = await web.unset("A")
    assert third is not None


async def test_what_changes_nothing_deploys_nothing(web: Running) -> None:
    await web.set(A="1")
    await web.release({"A": "1"})
    assert await web.set(A="1") is None
    instance = await web.instance()
    assert await web.scale(replicas=instance.replicas) is None
    assert await web.apply() is None
    assert await web.deployments() == []


async def test_several_changes_are_staged_and_applied_as_one(web: Running) -> None:
    await web.set(KEPT="1", CHANGED="1", REMOVED="1")
    await web.release({"KEPT": "1", "CHANGED": "1", "REMOVED": "1"})
    assert await web.set(deploy=False, CHANGED="2", ADDED="1") is None
    assert await web.unset("REMOVED", deploy=False) is None
    assert await web.scale(deploy=False, cpu_millis=400) is None
    pending = await web.pending()
    assert {change.name: change.kind for change in pending.variables} == {
        "ADDED": ChangeKind.ADDED,
        "CHANGED": ChangeKind.CHANGED,
        "REMOVED": ChangeKind.REMOVED,
    }
    assert [(c.name, c.before, c.after) for c in pending.settings] == [("cpuMillis", 200, 400)]
    assert await web.deployments() == []
    applied = await web.apply()
    assert applied is not None
    assert [row.id for row in await web.deployments()] == [applied.id]


async def test_a_change_put_back_is_not_pending(web: Running) -> None:
    await web.set(A="1")
    await web.release({"A": "1"})
    await web.set(deploy=False, A="2")
    await web.set(deploy=False, A="1")
    assert not await web.pending()


async def test_putting_a_change_back_while_it_rolls_out_is_deployed_too(web: Running) -> None:
    await web.set(A="1")
    await web.release({"A": "1"})
    assert await web.set(A="2")
    assert await web.set(A="1")


async def test_a_variable_set_during_a_push_goes_out_with_the_pushed_code(web: Running) -> None:
    await web.release()
    instance = await web.instance()
    pushed = await web.world.write(
        lambda s: deployments.create(
            s,
            instance=instance,
            trigger=DeploymentTrigger.GIT_PUSH,
            user_id=None,
            ref="refs/heads/main",
            commit_sha="d" * 40,
        )
    )
    changed = await web.set(A="1")
    assert changed is not None
    assert (changed.commit_sha, changed.ref) == (pushed.commit_sha, "refs/heads/main")
    assert changed.build_id is None


async def test_a_cancelled_push_is_not_taken_up_by_a_variable(web: Running) -> None:
    await web.release()
    instance = await web.instance()

    async def push_and_fail(status: DeploymentStatus) -> None:
        async with web.world.database.write_transaction() as session:
            row = await deployments.create(
                session,
                instance=instance,
                trigger=DeploymentTrigger.GIT_PUSH,
                user_id=None,
                commit_sha="d" * 40,
            )
            row.status = status

    await push_and_fail(DeploymentStatus.FAILED)
    await push_and_fail(DeploymentStatus.CANCELED)
    changed = await web.set(A="1")
    assert changed is not None
    assert (changed.build_id, changed.commit_sha) == (web.build.id, COMMIT)


async def test_a_change_of_a_build_variable_builds_the_commit_again(web: Running) -> None:
    await web.release()
    built = await web.set(A=EnvVarChange("1", is_build=True))
    assert built is not None
    assert (built.build_id, built.commit_sha) == (None, COMMIT)
    assert (await web.pending()).needs_build


async def test_a_build_variable_stays_one_until_told_otherwise(web: Running) -> None:
    await web.set(A=EnvVarChange("1", is_build=True))
    await web.set(A="2")
    async with web.world.database.read_session() as session:
        assert (await session.scalars(select(EnvVar))).one().is_build
    await web.set(A=EnvVarChange("2", is_build=False))
    async with web.world.database.read_session() as session:
        assert not (await session.scalars(select(EnvVar))).one().is_build


async def test_a_new_port_of_the_app_is_pending(web: Running) -> None:
    from app.apps import service as apps

    await web.release()
    async with web.world.database.write_transaction() as session:
        app = await find.app(session, web.world.owner, slugs=SLUGS[:3])
        await apps.update(session, web.world.owner, app, container_port=9000)
    [setting] = (await web.pending()).settings
    assert (setting.name, setting.before, setting.after) == ("containerPort", 8080, 9000)


@pytest.mark.parametrize(
    ("value", "error", "says"),
    [
        ("v" * (32 * 1024 + 1), LimitReached, "32,768"),
        ("v" * 10_000_000, LimitReached, "32,768"),
        ("\u00e9" * (16 * 1024 + 1), LimitReached, "32,768"),
        ("a\0b", InvalidInput, "NUL"),
        ("\ud800", InvalidInput, "text"),
    ],
)
async def test_a_value_that_cannot_be_kept_is_refused_and_nothing_stored(
    web: Running, value: str, error: type[PaasError], says: str
) -> None:
    with pytest.raises(error, match=says) as refused:
        await web.set(OK="1", BAD=value)
    assert refused.value.field == "BAD"
    assert value not in refused.value.message
    assert await web.values() == {}


async def test_variables_together_have_a_limit_which_is_stated(web: Running) -> None:
    await web.set(A="v" * 32_000)
    with pytest.raises(LimitReached, match="61,440"):
        await web.set(B="v" * 30_000)
    await web.set(A="short")
    await web.set(B="v" * 30_000)
    assert set(await web.values()) == {"A", "B"}


async def test_two_who_fill_the_limit_at_once_do_not_pass_it_together(web: Running) -> None:
    big = "v" * 31_000
    instance = await web.instance()
    async with web.world.database.write_transaction() as session:
        changes = {"A": EnvVarChange(big)}
        await service.set_env_vars(session, web.world.owner, instance, web.box, changes)
        second = asyncio.create_task(web.set(B=big))
        await blocked_or_done(web.world.database, second)
    with pytest.raises(LimitReached):
        await second
    assert set(await web.values()) == {"A"}


async def test_any_text_is_a_value(web: Running) -> None:
    value = "line\nline \"quoted\" 'single' $HOME \u2615 {{ template }}\t"
    await web.set(A=value, EMPTY="")
    assert await web.values() == {"A": value, "EMPTY": ""}


async def test_removing_what_is_not_there_removes_nothing(web: Running) -> None:
    await web.set(A="1")
    with pytest.raises(NotFound, match="NOPE"):
        await web.unset("A", "NOPE")
    with pytest.raises(NotFound):
        await web.unset()
    assert set(await web.values()) == {"A"}


@pytest.mark.parametrize(
    "scale",
    [
        {},
        {"replicas": -1},
        {"replicas": 101},
        {"cpu_millis": 0},
        {"memory_mb": 0},
        {"memory_mb": 2**40},
    ],
)
async def test_a_scale_outside_of_the_limits_is_refused(
    web: Running, scale: dict[str, Any]
) -> None:
    before = await web.instance()
    with pytest.raises(InvalidInput):
        await web.scale(**scale)
    after = await web.instance()
    assert (after.replicas, after.cpu_millis, after.memory_mb) == (
        before.replicas,
        before.cpu_millis,
        before.memory_mb,
    )


async def test_a_deleted_project_takes_no_variables_or_scale(web: Running) -> None:
    await web.release()
    await web.world.write(lambda s: projects.delete(s, web.world.owner, web.world.storefront))
    for change in (web.set(A="1"), web.scale(replicas=2), web.apply()):
        with pytest.raises(PreconditionFailed, match="deleted"):
            await change


async def test_changes_at_once_are_each_deployed(web: Running) -> None:
    await web.release()
    values: list[dict[str, Any]] = [{f"V{n}": "1"} for n in range(6)]
    await asyncio.gather(*(web.set(**value) for value in values))
    assert [row.number for row in await web.deployments()] == [1, 2, 3, 4, 5, 6]


async def test_a_rotation_reseals_everything_and_changes_nothing_else(web: Running) -> None:
    await web.set(A="1", B=EnvVarChange("2", is_build=True))
    release = await web.release()
    async with web.world.database.write_transaction() as session:
        row = await session.get_one(Release, release.id)
        seal_environment(row, {"A": "1", "B": "2"}, {"B"}, web.box)
    new_box = SecretBox([b"n" * 32, b"k" * 32])
    async with web.world.database.write_transaction() as session:
        build = await session.get_one(Build, web.build.id)
        build.status = BuildStatus.RUNNING
        sealed = secrets.seal_build_env(web.box, build.id, {"B": "2"})
        build.build_env, build.build_env_key_id = sealed.ciphertext, sealed.key_id
    assert not await web.pending()
    assert await rotation.rotate(web.world.database, new_box) == 4
    assert await rotation.rotate(web.world.database, new_box) == 0
    assert not await web.pending()
    only_new = SecretBox([b"n" * 32])
    web.box = only_new
    assert await web.values() == {"A": "1", "B": "2"}
    assert await web.set(deploy=False, A="1") is None
    async with web.world.database.read_session() as session:
        stored = await session.get_one(Release, release.id)
        assert secrets.open_release_env(only_new, stored) == {"A": "1", "B": "2"}
        build = await session.get_one(Build, web.build.id)
        assert secrets.open_build_env(only_new, build) == {"B": "2"}
        assert not await rotation.uses_other_keys(session, only_new.current_key_id)
