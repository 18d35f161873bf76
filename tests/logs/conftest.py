from __future__ import annotations

import pytest

from jobs import Artifact, Capabilities, JobInput, Scale, render
from jobs.render import Job


@pytest.fixture
def sample_job() -> Job:
    """acme/storefront/web in production, as it is registered."""
    job = JobInput(
        platform="plt_test",
        organization="acme",
        project="storefront",
        app="web",
        environment="production",
        instance_id="ins_sample",
        release_id="rel_sample",
        release_number=1,
        commit_sha="c" * 40,
        hostnames=("acme.storefront-web-production.apps.test",),
        container_port=8080,
        artifact=Artifact(
            kind="slug", reference="memory://a", sha256="5" * 64, command="python3 main.py"
        ),
        scale=Scale(replicas=1, cpu_millis=50, memory_mb=64),
        platform_env={},
    )
    return render(job, Capabilities(engine="memory", images=True))
