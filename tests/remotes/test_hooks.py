"""What a host says is believed only with its secret, and then only as a hint to look."""

from __future__ import annotations

import httpx2
import pytest

from app.ids import new_id
from app.models import PushStatus, RemoteHost, RemotePushStatus
from app.outbound.guard import Guard
from app.remotes.plan import MAX_BODY_BYTES
from tests.remotes.conftest import ZERO, Linked

MAIN = "refs/heads/main"


@pytest.mark.parametrize("host", list(RemoteHost))
async def test_push_there_is_deployed_as_a_push_here(linked: Linked, host: RemoteHost) -> None:
    await linked.link(host)
    sha = await linked.upstream.commit("first", a="1")
    await linked.upstream.push("-o", "no-wait", "main")
    answer = await linked.say(MAIN, sha, host=host)
    assert answer.status_code == 202
    await linked.work()
    (push,) = await linked.world.pushes()
    assert (push.status, push.after_sha) == (PushStatus.DEPLOYED, sha)
    assert push.user_id == linked.world.actor.user_id
    (deployment,) = await linked.world.deployments()
    assert (deployment.commit_sha, deployment.commit_message) == (sha, "first")
    assert await linked.world.repositories.branches(linked.world.key) == {"main": sha}
    (message,) = await linked.messages()
    assert (message.status, message.push_id) == (RemotePushStatus.DONE, push.id)


async def test_message_that_comes_twice_does_nothing_twice(linked: Linked) -> None:
    await linked.link()
    sha = await linked.upstream.commit("first", a="1")
    await linked.upstream.push("-o", "no-wait", "main")
    answers = [await linked.say(MAIN, sha) for _ in range(2)]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    await linked.work()
    await linked.say(MAIN, sha)
    await linked.say(MAIN, sha, delivery="another")
    await linked.work()
    assert len(await linked.world.pushes()) == 1
    assert len(await linked.world.deployments()) == 1
    assert [m.status for m in await linked.messages()] == [RemotePushStatus.DONE] * 2


async def test_newest_commit_is_fetched_whatever_the_message_says(linked: Linked) -> None:
    await linked.link()
    await linked.upstream.commit("first", a="1")
    newest = await linked.upstream.commit("second", a="2")
    await linked.upstream.push("-o", "no-wait", "main")
    await linked.say(MAIN, "f" * 40)
    await linked.work()
    assert (await linked.world.pushes())[0].after_sha == newest


async def test_branch_deleted_there_is_deleted_here(linked: Linked) -> None:
    await linked.link()
    await linked.upstream.commit("first", a="1")
    await linked.upstream.push("-o", "no-wait", "main", "main:topic")
    await linked.say("refs/heads/topic", "f" * 40)
    await linked.work()
    await linked.upstream.push(":topic")
    await linked.say("refs/heads/topic", ZERO, delivery="d-2")
    await linked.work()
    assert await linked.world.repositories.branches(linked.world.key) == {}
    assert [push.status for push in await linked.world.pushes()] == [PushStatus.SKIPPED] * 2


async def test_wrong_signature_looks_like_no_app(linked: Linked) -> None:
    await linked.link()
    told: list[httpx2.Response] = [
        await linked.say(MAIN, ZERO, secret="wrong"),
        await linked.say(MAIN, ZERO, headers={"X-Hub-Signature-256": ""}),
        await linked.say(MAIN, ZERO, headers={"X-Hub-Signature-256": "sha256=x"}),
        await linked.say(MAIN, ZERO, host=RemoteHost.GITLAB),
        await linked.say(MAIN, ZERO, app_id=new_id("app")),
    ]
    assert {answer.status_code for answer in told} == {404}
    assert len({answer.content for answer in told}) == 1
    assert await linked.messages() == []


async def test_what_is_no_push_of_a_branch_is_answered_and_ignored(linked: Linked) -> None:
    await linked.link()
    for ref, headers in (
        (MAIN, {"X-GitHub-Event": "ping"}),
        ("refs/tags/v1", {}),
        ("refs/heads/../x", {}),
        ("", {}),
    ):
        answer = await linked.say(ref, ZERO, headers=headers)
        assert answer.status_code == 200, answer.text
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await linked.say(MAIN, ZERO, headers=form)).status_code == 422
    assert await linked.messages() == []


async def test_message_that_is_too_long_is_not_read(linked: Linked) -> None:
    await linked.link()
    path = f"/hooks/{linked.world.placed.app.id}/github"
    answer = await linked.http.post(path, content=b"x" * (MAX_BODY_BYTES + 1))
    assert answer.status_code == 413


async def test_remote_on_a_private_address_is_refused(linked: Linked) -> None:
    await linked.link()
    await linked.say(MAIN, ZERO)
    await linked.work(Guard())
    (message,) = await linked.messages()
    assert message.status is RemotePushStatus.FAILED
    assert "not a public address" in (message.message or "")


async def test_wrong_token_is_said_and_no_secret_with_it(linked: Linked) -> None:
    await linked.link(token="nonsense")
    await linked.say(MAIN, ZERO)
    await linked.work()
    (message,) = await linked.messages()
    assert message.status is RemotePushStatus.FAILED
    assert "did not let us in" in (message.message or "")
    await linked.link()
    sha = await linked.upstream.commit("first", a="1")
    await linked.upstream.push("-o", "no-wait", "main")
    await linked.say(MAIN, sha)
    await linked.work()
    assert [m.status for m in await linked.messages()] == [RemotePushStatus.DONE]


async def test_second_link_keeps_the_secret_unless_a_new_one_is_asked_for(linked: Linked) -> None:
    await linked.link()
    first = linked.secret
    await linked.link()
    assert linked.secret == first
    await linked.link(new_secret=True)
    assert linked.secret != first
    assert (await linked.say(MAIN, ZERO, secret=first)).status_code == 404
