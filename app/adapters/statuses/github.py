"""GitHub's commit statuses API, which Gitea has in the same shape.

GitHub               POST https://api.github.com/repos/{owner}/{repo}/statuses/{sha}
GitHub Enterprise    POST https://{host}/api/v3/repos/…
Gitea, Forgejo       POST https://{host}/api/v1/repos/…
"""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

import msgspec

from app.errors import ExternalFailure
from app.models.remote import RemoteHost
from app.outbound.client import Outbound
from app.ports.commit_status import Report, Repository

_DESCRIPTION = 140
"""GitHub's limit, in characters."""


class HttpCommitStatuses:
    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    async def report(self, repository: Repository, report: Report) -> None:
        body = {
            "state": report.state.value,
            "context": report.context,
            "description": report.description[:_DESCRIPTION],
            "target_url": report.target_url,
        }
        reply = await self._outbound.post(
            url_of(repository, report.commit_sha), msgspec.json.encode(body), _headers(repository)
        )
        if reply.status != 201:
            raise ExternalFailure(
                f"The host answered {reply.status} to a commit status: {reply.excerpt[:200]}"
            )


def url_of(repository: Repository, sha: str) -> str:
    """Raises ExternalFailure when the remote's URL names no ``owner/repository``."""
    parts = urlsplit(repository.url)
    owner, separator, name = unquote(parts.path).strip("/").removesuffix(".git").rpartition("/")
    if not separator or not owner or not name:
        raise ExternalFailure("The remote's URL does not end in OWNER/REPOSITORY.")
    if repository.host is RemoteHost.GITEA:
        api = f"{parts.scheme}://{parts.netloc}/api/v1"
    elif parts.hostname == "github.com":
        api = "https://api.github.com"
    else:
        api = f"{parts.scheme}://{parts.netloc}/api/v3"
    return f"{api}/repos/{quote(owner, safe='/')}/{quote(name, safe='')}/statuses/{sha}"


def _headers(repository: Repository) -> dict[str, str]:
    scheme = "token" if repository.host is RemoteHost.GITEA else "Bearer"
    headers = {
        "accept": "application/vnd.github+json",
        "content-type": "application/json",
        "user-agent": "paas/1",
        "x-github-api-version": "2022-11-28",
    }
    if repository.token:
        headers["authorization"] = f"{scheme} {repository.token}"
    return headers
