"""Values of variables that a request was shown, told to the audit log before they are: batched.

Instances by the hundred may be asked for their variables at once; the entries are one INSERT.
"""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import insert
from strawberry.dataloader import DataLoader

from app.access import find
from app.access.actor import Actor
from app.audit.actions import Action
from app.audit.log import entry
from app.db import Database
from app.models import AuditEntry


class ShownValues:
    """One a request."""

    def __init__(self, database: Database, actor: Actor) -> None:
        self._database = database
        self._actor = actor
        self._loader = DataLoader(load_fn=self._tell)

    async def tell(self, instance_id: str, name: str) -> None:
        """Returns once the entry is committed."""
        await self._loader.load((instance_id, name))

    async def _tell(self, shown: list[tuple[str, str]]) -> list[None]:
        names: dict[str, list[str]] = defaultdict(list)
        for instance_id, name in shown:
            names[instance_id].append(name)
        async with self._database.read_session() as session:
            rows = [
                entry(
                    self._actor,
                    Action.ENV_VARS_READ,
                    place,
                    f"Read the values of {', '.join(sorted(names[place.instance.id]))}.",
                )
                for place in await find.places_of_instances(session, names)
                if place.instance is not None
            ]
            await session.execute(insert(AuditEntry).values(rows))
        return [None] * len(shown)
