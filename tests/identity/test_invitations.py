"""Inviting people, by link and by mail, and what an invitation does not let anybody do."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy import delete, select, update

from app.access import members
from app.access.actor import OPERATOR
from app.models import (
    AuditEntry,
    Invitation,
    Membership,
    Organization,
    Project,
    ProjectMembership,
    Role,
    User,
)
from app.organizations import service as organizations
from app.projects import service as projects
from tests.conftest import free_port
from tests.identity.conftest import URL, Browser, Build, Site

INVITE = (
    "mutation($input: MemberInviteInput!) { memberInvite(input: $input)"
    " { invitation { id email role project { slug } } link sent userErrors { code field } } }"
)
ACCEPT = (
    "mutation($secret: String!) { invitationAccept(secret: $secret)"
    " { organization { slug } project { slug } userErrors { code } } }"
)
REVOKE = "mutation($id: ID!) { invitationRevoke(id: $id) { userErrors { code } } }"
OPEN = '{ organization(slug: "acme") { invitations { nodes { email } } } }'
NEW = {"name": "bob", "password": "another good password"}


@dataclass
class Acme:
    site: Site
    organization: Organization
    project: Project
    owner: Browser

    async def member(self, name: str, role: Role) -> Browser:
        user = await self.site.user(name)
        async with self.site.database.write_transaction() as session:
            await members.set_role(session, OPERATOR, self.organization, user, role)
        browser = await self.site.browser()
        await browser.sign_in(name)
        return browser

    async def invite(self, by: Browser | None = None, **given: Any) -> Any:
        shown = {"email": "bob@example.com", "role": "DEVELOPER", **given}
        answer = await (by or self.owner).graphql(
            INVITE, input={"organizationId": self.organization.id, **shown}
        )
        return answer["memberInvite"]

    async def secret(self, by: Browser | None = None, **given: Any) -> str:
        link: str = (await self.invite(by, **given))["link"]
        start = f"{URL}/auth/#invitation="
        assert link.startswith(start)
        return link.removeprefix(start)

    async def roles(self) -> dict[str, Role]:
        statement = select(User.name, Membership.role).join(
            Membership, Membership.user_id == User.id
        )
        async with self.site.database.read_session() as session:
            return {row[0]: row[1] for row in await session.execute(statement)}


async def acme_of(site: Site) -> Acme:
    async with site.database.write_transaction() as session:
        organization = await organizations.create(session, OPERATOR, slug="acme")
        project = await projects.create(session, OPERATOR, organization, slug="storefront")
    acme = Acme(site, organization, project, await site.browser())
    acme.owner = await acme.member("olga", Role.OWNER)
    return acme


@pytest.fixture
async def acme(site: Site) -> Acme:
    return await acme_of(site)


async def test_a_second_person_signs_up_by_the_link_and_is_a_member(acme: Acme) -> None:
    secret = await acme.secret()
    bob = await acme.site.browser()
    offer = (await bob.post("/auth/invitation", {"invitation": secret})).json()
    expires = datetime.fromisoformat(offer.pop("expiresAt")) - datetime.now(UTC)
    assert timedelta(hours=167) < expires < timedelta(hours=169)
    assert offer == {
        "organization": "acme",
        "project": None,
        "email": "bob@example.com",
        "role": "developer",
        "invitedBy": "olga",
    }
    signed_up = await bob.post("/auth/sign-up", {"invitation": secret, **NEW})
    assert bob.signed_in(signed_up)["user"]["email"] == "bob@example.com"
    assert await acme.roles() == {"olga": Role.OWNER, "bob": Role.DEVELOPER}
    assert (await bob.graphql(OPEN.replace("invitations { nodes { email } }", "slug"))) == {
        "organization": {"slug": "acme"}
    }
    again = await bob.post("/auth/sign-up", {"invitation": secret, **NEW, "name": "rob"})
    assert again.status_code == 404
    assert (await acme.owner.graphql(OPEN))["organization"]["invitations"]["nodes"] == []


async def test_who_has_a_user_accepts_as_that(acme: Acme) -> None:
    await acme.site.user("bob")
    bob = await acme.site.browser()
    await bob.sign_in("bob")
    secret = await acme.secret(projectId=acme.project.id)
    answer = (await bob.graphql(ACCEPT, secret=secret))["invitationAccept"]
    assert answer["project"] == {"slug": "storefront"}
    assert await acme.roles() == {"olga": Role.OWNER}
    async with acme.site.database.read_session() as session:
        assert await session.scalar(select(ProjectMembership.role)) is Role.DEVELOPER
    again = (await bob.graphql(ACCEPT, secret=secret))["invitationAccept"]
    assert again["userErrors"] == [{"code": "NOT_FOUND"}]


async def test_a_role_is_raised_and_never_lowered(acme: Acme) -> None:
    dora = await acme.member("dora", Role.DEVELOPER)
    for role, then in (("VIEWER", Role.DEVELOPER), ("ADMIN", Role.ADMIN), ("VIEWER", Role.ADMIN)):
        await dora.graphql(ACCEPT, secret=await acme.secret(role=role))
        assert (await acme.roles())["dora"] is then


async def test_of_two_who_use_one_link_at_once_one_joins(acme: Acme) -> None:
    secret = await acme.secret()
    browsers = [await acme.site.browser() for _ in range(4)]
    answers = await asyncio.gather(
        *(
            browser.post("/auth/sign-up", {**NEW, "name": f"bob{number}", "invitation": secret})
            for number, browser in enumerate(browsers)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404]
    assert len(await acme.roles()) == 2
    async with acme.site.database.read_session() as session:
        assert len((await session.scalars(select(User))).all()) == 2


async def test_a_link_that_was_revoked_replaced_or_has_expired_is_worth_nothing(acme: Acme) -> None:
    replaced, current = await acme.secret(), await acme.secret(email="BOB@example.com ")
    [node] = (await acme.owner.graphql(OPEN))["organization"]["invitations"]["nodes"]
    assert node == {"email": "bob@example.com"}
    bob = await acme.site.browser()
    for dead in (replaced, replaced + "x", "", "x" * 100_0):
        assert (await bob.post("/auth/invitation", {"invitation": dead})).status_code == 404
    assert (await bob.post("/auth/invitation", {"invitation": current})).status_code == 200
    shown = await acme.invite(email="eve@example.com")
    answer = await acme.owner.graphql(REVOKE, id=shown["invitation"]["id"])
    assert answer["invitationRevoke"]["userErrors"] == []
    revoked = shown["link"].partition("=")[2]
    assert (await bob.post("/auth/sign-up", {"invitation": revoked, **NEW})).status_code == 404
    async with acme.site.database.write_transaction() as session:
        await session.execute(update(Invitation).values(expires_at=datetime.now(UTC)))
    assert (await bob.post("/auth/sign-up", {"invitation": current, **NEW})).status_code == 404
    assert await bob.who() is None


async def test_nobody_gives_away_more_than_they_could(acme: Acme) -> None:
    admin = await acme.member("adam", Role.ADMIN)
    developer = await acme.member("dora", Role.DEVELOPER)
    await acme.site.user("mallory")
    stranger = await acme.site.browser()
    await stranger.sign_in("mallory")

    async def codes(by: Browser, **given: Any) -> list[str]:
        return [error["code"] for error in (await acme.invite(by, **given))["userErrors"]]

    assert await codes(admin, role="ADMIN") == []
    assert await codes(admin, role="OWNER") == ["FORBIDDEN"]
    assert await codes(admin, role="OWNER", projectId=acme.project.id) == ["FORBIDDEN"]
    assert await codes(developer, role="VIEWER") == ["FORBIDDEN"]
    assert await codes(stranger) == ["NOT_FOUND"]
    invitation = (await acme.invite())["invitation"]["id"]
    for by, code in ((developer, "FORBIDDEN"), (stranger, "NOT_FOUND")):
        answer = await by.graphql(REVOKE, id=invitation)
        assert [e["code"] for e in answer["invitationRevoke"]["userErrors"]] == [code]
    refused = await developer.post("/graphql", {"query": OPEN})
    assert refused.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_who_was_removed_has_left_no_way_back_in(acme: Acme) -> None:
    admin = await acme.member("adam", Role.ADMIN)
    secret = await acme.secret(admin)
    async with acme.site.database.write_transaction() as session:
        gone = select(User.id).where(User.name == "adam").scalar_subquery()
        await session.execute(delete(Membership).where(Membership.user_id == gone))
    answer = (await admin.graphql(ACCEPT, secret=secret))["invitationAccept"]
    assert answer["userErrors"] == [{"code": "NOT_FOUND"}]
    assert await acme.roles() == {"olga": Role.OWNER}


async def test_what_is_no_address_is_not_invited(acme: Acme) -> None:
    for address in ("", "bob", "bob@", "@x.org", "a@b@c.org", "b@x.org\r\nBcc: a@x.org", "b" * 300):
        answer = await acme.invite(email=address)
        assert answer["userErrors"] == [{"code": "INVALID", "field": ["email"]}], address


async def test_a_taken_name_or_address_leaves_the_invitation_open(acme: Acme) -> None:
    await acme.site.user("bob", email="taken@example.com")
    bob = await acme.site.browser()
    for address, name in (
        ("bob@example.com", "bob"),
        ("taken@example.com", "rob"),
        ("x@x.org", "a@b"),
    ):
        given = {**NEW, "name": name, "invitation": await acme.secret(email=address)}
        response = await bob.post("/auth/sign-up", given)
        assert response.status_code in {409, 422}, response.text
        assert (await bob.post("/auth/invitation", given | {})).status_code in {200, 422}
    assert await acme.roles() == {"olga": Role.OWNER}


async def test_rest_does_the_same(acme: Acme) -> None:
    base = "/api/orgs/acme/invitations/"
    made = (await acme.owner.post(base, {"email": "Bob@example.com", "role": "viewer"})).json()
    listed = (await acme.owner.get(base)).json()["invitations"]
    assert listed == [made["invitation"]]
    path = base + made["invitation"]["id"]
    elsewhere = await acme.owner.http.delete(
        path.replace("acme", "evil"), headers=acme.owner.headers
    )
    assert elsewhere.status_code == 404
    assert (await acme.owner.http.delete(path, headers=acme.owner.headers)).status_code == 204
    given = {"email": "bob@example.com", "role": "viewer", "project": "storefront"}
    link = (await acme.owner.post(base, given)).json()["link"]
    await acme.site.user("bob")
    bob = await acme.site.browser()
    await bob.sign_in("bob")
    accepted = await bob.post("/api/invitations/accept", {"invitation": link.partition("=")[2]})
    assert accepted.json() == {"organization": "acme", "project": "storefront", "role": "viewer"}


async def test_no_secret_is_in_the_audit_log(acme: Acme) -> None:
    secret = await acme.secret()
    async with acme.site.database.read_session() as session:
        rows = (await session.scalars(select(AuditEntry))).all()
    assert "Invited bob@example.com as developer." in {row.summary for row in rows}
    assert not any(secret in row.summary for row in rows)


class Postbox:
    def __init__(self) -> None:
        self.letters: asyncio.Queue[Envelope] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    async def handle_DATA(self, _: SMTP, session: Session, envelope: Envelope) -> str:
        self._loop.call_soon_threadsafe(self.letters.put_nowait, envelope)
        return "250 OK"


@pytest.fixture
async def postbox() -> AsyncIterator[tuple[Postbox, int]]:
    postbox, port = Postbox(), free_port()
    controller = Controller(postbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield postbox, port
    controller.stop()


async def test_the_link_goes_to_the_address_where_mail_is_set_up(
    build: Build, postbox: tuple[Postbox, int]
) -> None:
    box, port = postbox
    acme = await acme_of(build(smtp_url=f"smtp://127.0.0.1:{port}", smtp_from="paas@example.com"))
    made = await acme.invite()
    assert made["sent"] is True
    await acme.owner.post("/api/orgs/acme/invitations/", {"email": "eve@x.org", "role": "viewer"})
    async with asyncio.timeout(10):
        first, second = await box.letters.get(), await box.letters.get()
    assert (first.mail_from, first.rcpt_tos) == ("paas@example.com", ["bob@example.com"])
    letter = email.message_from_bytes(cast(bytes, first.content), policy=email.policy.default)
    assert made["link"] in letter.get_content()
    assert second.rcpt_tos == ["eve@x.org"]


@pytest.mark.parametrize("query", ["", "?tls=required"])
async def test_a_mail_that_cannot_be_sent_leaves_the_link(
    build: Build, postbox: tuple[Postbox, int], query: str
) -> None:
    box, port = postbox
    port = port if query else free_port()
    site = build(smtp_url=f"smtp://127.0.0.1:{port}{query}", smtp_from="paas@example.com")
    made = await (await acme_of(site)).invite()
    assert (made["sent"], made["userErrors"], box.letters.qsize()) == (False, [], 0)
    assert made["link"]
