"""No change for an actor without an entry: what ``app.audit.log.record`` is owed, the commit demands.

A transaction acts for somebody from the moment that it is opened for an actor, asks for a permission, or
writes an entry (``WriteSession.act_for``). One that never does is the platform's own work: reconcilers
move rows all day, and what they do follows from what somebody was audited for.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction

EXEMPT = frozenset(
    {
        "audit_entry",
        "event",
        "idempotency_key",
        "lease",
        "reconciler_status",
    }
)
"""Tables that only tell of what happens elsewhere. Every other one is audited, also one made tomorrow."""

ACTOR = "audit.actor"
_CHANGED, _RECORDED = "audit.changed", "audit.recorded"


class NotAudited(Exception):
    """A bug: a verb changed something for an actor and wrote no entry. Nothing was committed."""


def watch(session: type[Session]) -> None:
    """Have ``session`` refuse such commits."""
    event.listen(session, "after_flush", _after_flush)
    event.listen(session, "do_orm_execute", _on_statement)
    event.listen(session, "before_commit", _before_commit)


def _after_flush(session: Session, _: UOWTransaction) -> None:
    for row in (*session.new, *session.deleted):
        _note(session, row.__tablename__)
    for row in session.dirty:
        if inspect(row).persistent and session.is_modified(row):
            _note(session, row.__tablename__)


def _on_statement(state: ORMExecuteState) -> None:
    if not (state.is_insert or state.is_update or state.is_delete):
        return
    mapper = state.bind_mapper
    if mapper is not None:
        _note(state.session, mapper.class_.__tablename__)


def _note(session: Session, table: str) -> None:
    if table == "audit_entry":
        session.info[_RECORDED] = True
    elif table not in EXEMPT:
        changed: set[str] = session.info.setdefault(_CHANGED, set())
        changed.add(table)


def _before_commit(session: Session) -> None:
    if session.info.get(ACTOR) is not None and not session.in_nested_transaction():
        session.flush()
        require_entry(session)


def require_entry(session: Session) -> None:
    """Raises NotAudited when what was flushed so far is owed an entry."""
    acting: Any = session.info.get(ACTOR)
    changed = session.info.get(_CHANGED)
    if acting is not None and changed and not session.info.get(_RECORDED):
        raise NotAudited(
            f"{', '.join(sorted(changed))} changed for {acting.name}, and the audit log was not told:"
            " call app.audit.log.record in the verb."
        )
