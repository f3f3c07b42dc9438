"""What Heat 27 needs to run well as one process on sqlite. Each function is one adaptation, with its reason.

None of them changes what Heat decides: they are about locks, ids, memory and waiting.
"""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import sqlalchemy

_migrated = threading.Event()


def sqlite() -> None:
    """Locks that wait, and ids that are never used twice.

    Two transactions that read first and write later would both fail ("database is locked"): so each takes the
    write lock when it begins. And Heat deletes rows of properties by ids that it remembers: sqlite would have
    given such an id to another row meanwhile, whose stack is then broken for good.
    """

    def connected(connection: Any, _record: object) -> None:
        for pragma in ("busy_timeout=60000", "journal_mode=WAL", "synchronous=OFF"):
            connection.execute(f"PRAGMA {pragma}")

    def began(connection: Any) -> None:
        # oslo.db begins a transaction where this mark is missing, and takes it away at its end
        if _migrated.is_set() and "in_transaction" not in connection.info:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            connection.info["in_transaction"] = True

    def creating(table: Any, _connection: object, **_options: object) -> None:
        key = list(table.primary_key.columns)
        if len(key) == 1 and isinstance(key[0].type, sqlalchemy.Integer):
            table.dialect_options["sqlite"]["autoincrement"] = True

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", connected)
    sqlalchemy.event.listen(sqlalchemy.Engine, "begin", began)
    sqlalchemy.event.listen(sqlalchemy.Table, "before_create", creating)


def messages() -> None:
    """Messages in memory are looked for every 50 ms: wake who waits when there is one."""
    from oslo_messaging._drivers import impl_fake

    arrived = threading.Condition()
    deliver = impl_fake.FakeExchange.deliver_message

    def delivered(self: Any, *arguments: Any, **options: Any) -> None:
        deliver(self, *arguments, **options)
        with arrived:
            arrived.notify_all()

    def wait(seconds: float) -> None:
        with arrived:
            arrived.wait(seconds)

    impl_fake.FakeExchange.deliver_message = delivered
    impl_fake.time = SimpleNamespace(time=time.time, sleep=wait)


def threads() -> None:
    """Heat 27 keeps every finished thread, with its stack, for ever: forget it when it ends."""
    from heat.engine.service import ThreadGroupManager

    begin = ThreadGroupManager.start

    def started(self: Any, stack_id: str, work: Any, *arguments: Any, **options: Any) -> Any:
        thread = begin(self, stack_id, work, *arguments, **options)

        def ended(finished: Any) -> None:
            with self._lock:
                group = self.groups.get(stack_id)
                if group is None:
                    return
                if finished in group.threads:
                    group.threads.remove(finished)
                if not group.threads and not getattr(group, "timers", None):
                    del self.groups[stack_id]

        thread.link(ended)
        return thread

    ThreadGroupManager.start = started


def pace(step_s: float) -> None:
    """Heat waits a second between two looks at a resource, and between independent resources."""
    from heat.engine import scheduler

    scheduler.ENABLE_SLEEP = False  # the one between resources asks this flag

    def pause(_self: object, wait_s: float | None) -> None:
        if wait_s:
            time.sleep(min(wait_s, step_s))

    scheduler.TaskRunner._sleep = pause


def prepare_database() -> int:
    """Make or migrate it; fail what an earlier life left in progress, and say how many stacks that was.

    The messages that would have driven them on were in that life's memory: without this they would stay
    IN_PROGRESS for ever.
    """
    from heat.common import context
    from heat.db import api, migration, models

    migration.db_sync()
    _migrated.set()
    admin = context.get_admin_context()
    with api.context_manager.reader.using(admin):
        living = admin.session.query(models.Stack.id).filter(models.Stack.deleted_at.is_(None))
        lost = [row[0] for row in living.filter(models.Stack.status == "IN_PROGRESS")]
    for stack_id in lost:
        api.reset_stack_status(context.get_admin_context(), stack_id)
    return len(lost)
