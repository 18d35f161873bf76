"""A running platform on one engine, and beside it what deploying by hand on the same engine needs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.engines import install, services
from app.ports.scheduler import Scheduler
from app.settings import load_settings
from bench._floor import ORGANIZATION, Build, Floor, ImageByHand, SlugByHand, packed_dependencies
from bench._http_backend import bare_repository, http_backend
from jobs import Capabilities
from tests.e2e.story import PROJECT, SAMPLES, Checkout, Story
from tests.engines.cluster import SlugServer, engine_unavailable, slug_server
from tests.engines.docker import running_engine
from tests.up.platform import Home, temporary_home, until

ENVIRONMENT = "production"
SAMPLE_OF = {"slug": "python-procfile", "image": "dockerfile-app"}


@dataclass
class World:
    story: Story
    folder: Path
    """Of scratch; the plain git server serves the repositories in it."""
    git_address: str
    slug_files: SlugServer
    """Serves the platform's own folder of slugs, without asking who wants one."""
    scheduler: Scheduler
    capabilities: Capabilities
    runner: asyncio.Runner
    docker: str
    builds: dict[str, Build] = field(default_factory=dict)

    @property
    def router(self) -> int:
        return self.story.home.port("INGRESS")

    def app(self, app: str) -> Any:
        return self._get(f"{PROJECT}/apps/{app}")

    def deployment(self, app: str, number: int) -> Any:
        return self._get(f"{self.story.app_path(app, ENVIRONMENT)}/deployments/{number}")

    def delete_app(self, app: str) -> None:
        """Until nothing answers."""
        assert self.story.call("DELETE", f"{PROJECT}/apps/{app}")[0] in {200, 202, 204}
        until(lambda: self.story.page(app, ENVIRONMENT)[0] == 404)

    def warm_up(self, kind: str) -> None:
        """Have the platform build the sample once, and learn from that how to build it by hand."""
        checkout = self.story.make_app(f"warm-{kind}", SAMPLE_OF[kind])
        pushed = checkout.push("main")
        assert "Live at" in pushed.output, pushed.output
        if kind == "image":
            registry = f"127.0.0.1:{self.story.home.port('REGISTRY')}"
            self.builds[kind] = ImageByHand(self.docker, registry)
            return
        (slug,) = self.slug_files.folder.glob("??/*.tar.gz")
        procfile = (SAMPLES / SAMPLE_OF[kind] / "Procfile").read_text()
        self.builds[kind] = SlugByHand(
            store=self.slug_files.folder,
            url=self.slug_files.url,
            dependencies=packed_dependencies(slug),
            command=procfile.partition("web:")[2].strip(),
        )

    def floor(self, kind: str, app: str, ours: Checkout) -> Floor:
        return Floor(
            app=app,
            checkout=Checkout(ours.folder, f"{self.git_address}/{app}.git", ours.environment),
            repository=bare_repository(self.folder, app),
            build=self.builds[kind],
            scheduler=self.scheduler,
            capabilities=self.capabilities,
            runner=self.runner,
            instance_id=self.app(app)["instances"][0]["id"],
        )

    def _get(self, path: str) -> Any:
        status, answer = self.story.call("GET", path)
        assert status == 200, answer
        return answer


@contextmanager
def world(engine: str) -> Iterator[World]:
    """Stopped at the end, with all that either side deployed. Skips where the engine cannot be had."""
    with ExitStack() as stack:
        docker = ""
        if engine == "nomad":
            if os.geteuid() != 0 or None in map(install.find, ("nomad", "consul")):
                engine_unavailable("it takes root, and: paas engine install")
            docker = stack.enter_context(running_engine()).cli
        home = stack.enter_context(temporary_home(engine))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        address = stack.enter_context(http_backend(folder))
        (home.folder / "slugs").mkdir(mode=0o700)
        slug_files = stack.enter_context(slug_server(home.folder / "slugs"))
        runner = stack.enter_context(asyncio.Runner())
        if docker:
            stack.callback(_remove_images, docker, f"127.0.0.1:{home.port('REGISTRY')}")
        running = home.up("--engine", engine)
        running.until("The platform is up")
        stack.callback(running.interrupt)
        scheduler = _scheduler(home, engine)
        stack.callback(lambda: runner.run(scheduler.close()))
        runner.run(scheduler.ensure_namespace(ORGANIZATION))
        capabilities = runner.run(scheduler.capabilities())
        story = Story(home, folder)
        story.make("/api/orgs/", slug="acme", displayName="Acme")
        story.make("/api/orgs/acme/projects/", slug="storefront", displayName="Storefront")
        made = World(story, folder, address, slug_files, scheduler, capabilities, runner, docker)
        yield made


def _scheduler(home: Home, engine: str) -> Scheduler:
    """The engine's own interface, with a client of this process."""
    if engine == "embedded":
        from app.adapters.local.scheduler import LocalScheduler

        return LocalScheduler(load_settings(home.environment))
    from app.adapters.nomad.scheduler import NomadScheduler

    told = {
        "NOMAD_ADDR": f"http://127.0.0.1:{home.port('NOMAD')}",
        "PAAS_NOMAD_TOKEN_FILE": str(home.folder / "nomad" / "management.token"),
        "PAAS_NOMAD_NAMESPACE_TOKEN_FILE": str(home.folder / "nomad" / "management.token"),
        "PAAS_NOMAD_SLUG_VOLUME": services.RUNTIME_VOLUME,
        "CONSUL_HTTP_ADDR": f"http://127.0.0.1:{home.port('CONSUL')}",
    }
    return NomadScheduler(load_settings({**home.environment, **told}))


def _remove_images(docker: str, registry: str) -> None:
    """The engine outlives us: of both sides' images nothing may stay in it."""
    listing = [docker, "image", "ls", "--format={{.Repository}} {{.ID}}"]
    images = subprocess.run(listing, check=True, stdout=subprocess.PIPE, text=True).stdout
    ours = {line.split()[1] for line in images.splitlines() if line.startswith(f"{registry}/")}
    if ours:
        command = [docker, "image", "rm", "--force", *sorted(ours)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
