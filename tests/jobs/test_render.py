"""The rendered job, byte for byte. After a wanted change: ``PAAS_WRITE_GOLDEN=1 pytest tests/jobs``."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import Artifact, Capabilities, JobInput, Scale, render
from jobs.render import literal, secrets_path_of, service_name_of, unescaped
from jobs.routing import check_hostname

GOLDEN = Path(__file__).parent / "golden"

SLUG = Artifact(
    kind="slug",
    reference="http://paas.internal:7070/slugs/5f70bf18?signature=abc",
    sha256="5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
    command="gunicorn --bind 0.0.0.0:${PORT} 'shop:app'",
)
IMAGE = Artifact(
    kind="image",
    reference="registry.internal:5000/acme/storefront/web@sha256:9f86d081884c7d659a2feaa0c55ad015",
)
WEB = JobInput(
    platform="plt_test",
    organization="acme",
    project="storefront",
    app="web",
    environment="production",
    instance_id="ins_01k9x2",
    release_id="rel_01k9x3",
    release_number=12,
    commit_sha="4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    hostnames=("acme.storefront-web-production.apps.example.com",),
    container_port=8080,
    artifact=SLUG,
    scale=Scale(replicas=2, cpu_millis=500, memory_mb=256),
    platform_env={"PAAS_APP": "web", "PAAS_ENVIRONMENT": "production"},
)
EMBEDDED = Capabilities(engine="embedded", slug_driver="raw_exec")
NOMAD = Capabilities(engine="nomad", slug_driver="exec")

VARIANTS: dict[str, tuple[JobInput, Capabilities]] = {
    "slug-embedded": (WEB, EMBEDDED),
    "slug-nomad-exec": (WEB, NOMAD),
    "slug-nomad-exec-with-volume": (
        WEB,
        Capabilities(engine="nomad", slug_driver="exec", slug_volume="paas-runtime"),
    ),
    "slug-nomad-docker": (
        WEB,
        Capabilities(engine="nomad", slug_driver="docker", slug_image="slug-runner:1"),
    ),
    "image-nomad": (replace(WEB, artifact=IMAGE), NOMAD),
    "image-nomad-with-command": (
        replace(WEB, artifact=replace(IMAGE, command="./serve --name ${NAME}")),
        NOMAD,
    ),
    "image-embedded": (replace(WEB, artifact=IMAGE), EMBEDDED),
    "no-replicas": (replace(WEB, scale=Scale(replicas=0, cpu_millis=500, memory_mb=256)), NOMAD),
    "several-hostnames": (
        replace(WEB, hostnames=(*WEB.hostnames, "shop.example.com", "www.shop.example.com")),
        NOMAD,
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_job_is_the_golden_file(name: str) -> None:
    rendered = json.dumps(render(*VARIANTS[name]), indent=2, ensure_ascii=False) + "\n"
    golden = GOLDEN / f"{name}.json"
    if os.environ.get("PAAS_WRITE_GOLDEN"):
        golden.write_text(rendered)
    assert rendered == golden.read_text()


def test_every_golden_file_has_its_variant() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(VARIANTS)


def _task(job: JobInput, capabilities: Capabilities) -> dict[str, Any]:
    group = render(job, capabilities)["TaskGroups"][0]
    task: dict[str, Any] = group["Tasks"][0]
    return task


def test_two_releases_of_one_commit_differ_so_that_the_second_is_rolled_out() -> None:
    later = replace(WEB, release_id="rel_01k9x4", release_number=13)
    assert _task(WEB, NOMAD)["Name"] != _task(later, NOMAD)["Name"]
    assert secrets_path_of("j", 12) != secrets_path_of("j", 13)


def test_a_slug_never_fixes_the_port_that_two_releases_would_fight_for() -> None:
    group = render(WEB, NOMAD)["TaskGroups"][0]
    assert group["Networks"] == [{"DynamicPorts": [{"Label": "http"}]}]


@pytest.mark.parametrize(
    "hostname",
    [
        "a`) || HostRegexp(`.*",
        "UPPER.example.com",
        "-a.example.com",
        "a..b",
        "",
        "ex ample.com",
        "раураl.com",
        "a.b\n",
        "a" * 64 + ".com",
    ],
)
def test_what_is_no_hostname_never_reaches_the_router(hostname: str) -> None:
    with pytest.raises(ValueError, match="not a hostname"):
        render(replace(WEB, hostnames=(hostname,)), NOMAD)


def test_names_too_long_for_a_service_stay_apart() -> None:
    organization = "o" * 40
    names = {service_name_of(organization, "p" * 50 + suffix) for suffix in ("-a-main", "-b-main")}
    assert len(names) == 2
    assert all(len(name) <= 63 for name in names)


@given(st.text(alphabet="$%{}aB ", max_size=20))
def test_escaping_for_templates_is_undone(text: str) -> None:
    assert unescaped(literal(text)) == text


@given(st.from_regex(r"[a-z0-9.`|()-]{1,80}", fullmatch=True))
def test_a_hostname_holds_nothing_that_ends_a_rule(text: str) -> None:
    try:
        hostname = check_hostname(text)
    except ValueError:
        return
    assert not set(hostname) & set("`|() ")
