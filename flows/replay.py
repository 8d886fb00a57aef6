"""Replay: the decision layer's own models, day by day, on what was known then. Nothing that people read is touched.

dbt compiles the models behind the two lists for target `replay`, where every name is a temporary table or view of one
session. That session makes once what no as-of day changes, then computes the rest anew for each day and merges the
day's incidents and recommendations into lists of its own, as a daily run merges them into `ads`. There is no second
version of any rule.

All of it is one repeatable-read transaction: the whole replay sees one state of the database, its rows in
`ads_internal.backtest_*` appear together at the end, and a killed one leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import psycopg
from psycopg import sql

from dlt_pipelines.common.connections import Connections
from dlt_pipelines.common.errors import AegisError, ContractError
from flows.transform import Model, compile_models

Progress = Callable[[str], None]
DayDone = Callable[[int, int, date], None]

LISTS = ("anomalies", "optimization_recommendations")
AS_OF = "int_run__as_of"
KEEPS = "replay_keeps"
BEGINNING = date(1900, 1, 1)
MOST_SESSIONS = 2
LEAST_DEAD = 1000
LOCK = "aegis backtest"
LOCK_PATIENCE = "30min"

# As the models' own hooks say it: freshly filled tables are guessed far too small, and then looped or merged.
SETTINGS = (
    "set local work_mem = '128MB'",
    "set local temp_buffers = '256MB'",
    "set local enable_nestloop = off",
    "set local enable_mergejoin = off",
    "set local jit = off",
    "set local lock_timeout = '60s'",
    "set local default_statistics_target = 10",  # only the numbers of rows decide these plans
)


@dataclass(frozen=True)
class ReplayedTenant:
    """A tenant's part: the days of the span on which it had figures; None where it had none.

    `waiting` account-days are loaded but not in the history yet; `rows`, all that were loaded, say how much work it is.
    """

    tenant_id: str
    name: str
    first_day: date | None = None
    last_day: date | None = None
    waiting: int = 0
    rows: int = 1

    @property
    def days(self) -> int:
        if self.first_day is None or self.last_day is None:
            return 0
        return (self.last_day - self.first_day).days + 1


@dataclass
class ReplayReport:
    """What one replay did. `incidents` and `raised` count rows of the two lists once; `slowest` is seconds a model."""

    tenants: list[ReplayedTenant]
    days: int = 0
    incidents: int = 0
    raised: int = 0
    seconds: float = 0.0
    slowest: dict[str, float] = field(default_factory=dict)


def replay(
    connections: Connections,
    first: date,
    last: date,
    tenants: Sequence[str] | None = None,
    progress: Progress = lambda _: None,
    day_done: DayDone = lambda _day, _of, _date: None,
) -> ReplayReport:
    """Replay the days `first` to `last` for these tenants (ids; None means all) into `ads_internal.backtest_*`.

    A tenant takes part on the days from its first to its newest figures. Rows of an earlier replay of the same
    tenants are replaced, also where nothing comes in their place.

    Raises  ContractError for days in the wrong order, an unknown tenant, or where nobody has any figures
            AegisError where another replay does not end or a model fails
    """
    if first > last:
        raise ContractError(
            f"{first} is after {last}.", "Give the earlier day with --from, the later with --to."
        )
    started = time.monotonic()
    progress("Reading the models")
    models = Plan(compile_models(connections, [f"+{name}" for name in LISTS], target="replay"))
    with contextlib.ExitStack() as sessions:
        sessions.enter_context(_one_replay_at_a_time(connections))
        leader = sessions.enter_context(_session(connections))
        chosen = _tenants(leader, tenants, first, last)
        report = ReplayReport(chosen)
        _forget(leader, idle := [one for one in chosen if not one.days])
        _remember(leader, idle, first, last)
        groups = _groups([one for one in chosen if one.days])
        snapshot = _value(leader, "select pg_export_snapshot()") if len(groups) > 1 else None
        workers = [leader] + [sessions.enter_context(_session(connections, snapshot)) for _ in groups[1:]]
        if groups:
            progress("Reading the history")
            _replay_groups(list(zip(workers, groups, strict=True)), models, report, day_done)
        for session, group in zip(workers, groups, strict=False):
            _remember(session, group, first, last)
    report.seconds = time.monotonic() - started
    return report


def _groups(tenants: Sequence[ReplayedTenant]) -> list[list[ReplayedTenant]]:
    """Two sessions share the tenants, who know nothing of each other: the largest first, each to the lighter one."""
    count = max(1, min(MOST_SESSIONS, len(tenants), os.cpu_count() or 1)) if tenants else 0
    groups: list[list[ReplayedTenant]] = [[] for _ in range(count)]
    for one in sorted(tenants, key=lambda tenant: (-tenant.rows, tenant.name)):
        min(groups, key=lambda group: sum(other.rows for other in group)).append(one)
    return groups


def _replay_groups(
    work: Sequence[tuple[psycopg.Connection[Any], Sequence[ReplayedTenant]]],
    plan: Plan,
    report: ReplayReport,
    day_done: DayDone,
) -> None:
    """Replay each group in its session. `day_done` hears of a day when the last of them is through with it."""
    begin = min(one.first_day for _, group in work for one in group if one.first_day)
    end = max(one.last_day for _, group in work for one in group if one.last_day)
    days = [begin + timedelta(days=offset) for offset in range((end - begin).days + 1)]
    report.days = len(days)
    done = [0] * len(work)
    told = threading.Lock()
    stop = threading.Event()

    def run(place: int) -> None:
        session, group = work[place]
        try:
            _forget(session, group)
            runner = Runner(session, report.slowest)
            runner.prepare(plan, group)
            for number, day in enumerate(days, start=1):
                if stop.is_set():
                    return
                runner.run_day(plan, group, day)
                with told:
                    before = min(done)
                    done[place] = number
                    if min(done) > before:
                        day_done(min(done), len(days), days[min(done) - 1])
            with told:
                report.incidents += runner.count("anomalies")
                report.raised += runner.count("optimization_recommendations")
        except BaseException:
            stop.set()
            raise

    if len(work) == 1:
        run(0)
        return
    with ThreadPoolExecutor(len(work)) as pool:
        futures = [pool.submit(run, place) for place in range(len(work))]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            stop.set()
            for session, _ in work:
                with contextlib.suppress(psycopg.Error):
                    session.cancel()
            raise


def _forget(session: psycopg.Connection[Any], tenants: Sequence[ReplayedTenant]) -> None:
    for name in ("runs", "anomalies", "recommendations"):
        session.execute(
            sql.SQL("delete from ads_internal.{} where tenant_id = any(%s::uuid[])").format(
                sql.Identifier(f"backtest_{name}")
            ),
            ([one.tenant_id for one in tenants],),
        )


# What is open at the end of the day, and what moved on it.
KEEP_ANOMALIES = """
    insert into ads_internal.backtest_anomalies (
        tenant_id, replay_day, anomaly_id, platform, account_id, level, platform_id, anomaly_type, metric, day,
        last_day, observed, expected, lower_bound, upper_bound, deviation, score, loss_per_day, currency, severity,
        confidence, status, is_tracking_outage, explained_by, parent_id, known_as_of
    )
    select
        a.tenant_id, r.as_of, a.id, a.platform, a.account_id, a.level, a.platform_id, a.anomaly_type, a.metric,
        a.day, a.last_day, a.observed, a.expected, a.lower_bound, a.upper_bound, a.deviation, a.score,
        a.loss_per_day, a.currency, a.severity, a.confidence, a.status, a.is_tracking_outage, a.explained_by,
        a.parent_id, a.known_as_of
    from pg_temp.anomalies as a
    inner join pg_temp.int_run__as_of as r on a.tenant_id = r.tenant_id
    where a.status in ('active', 'acknowledged') or a.known_as_of = r.as_of
"""

KEEP_RECOMMENDATIONS = """
    insert into ads_internal.backtest_recommendations (
        tenant_id, replay_day, recommendation_id, raised_on, platform, account_id, level, platform_id, rule_id,
        recommendation_type, description, rationale, action, evidence, estimated_impact, estimated_impact_low,
        estimated_impact_high, currency, confidence, priority, status, expires_at
    )
    select
        o.tenant_id, r.as_of, o.id, o.as_of, o.platform, o.account_id, o.level, o.platform_id, o.rule_id,
        o.recommendation_type, o.description, o.rationale, o.action, o.evidence, o.estimated_impact,
        o.estimated_impact_low, o.estimated_impact_high, o.currency, o.confidence, o.priority, o.status,
        o.expires_at
    from pg_temp.optimization_recommendations as o
    inner join pg_temp.int_run__as_of as r on o.tenant_id = r.tenant_id
    where
        o.status in ('pending', 'approved')
        or exists (
            select from ads_internal.backtest_recommendations as before
            where
                before.tenant_id = o.tenant_id and before.recommendation_id = o.id
                and before.replay_day = r.as_of - 1 and before.status in ('pending', 'approved')
        )
"""


# The figures that days are judged by. An advertisement's are not: only its campaign's and its account's. Conversions
# are restated for weeks, and no chain of delivery reads them.
OF_CONVERSIONS = frozenset({"conversions", "conversion_value", "maturity"})
HASHED_DAYS = """
    select d.tenant_id, d.day, hashed.is_delivery, hashed.figures
    from pg_temp.int_metrics__entity_days as d
    cross join lateral (
        values
        (false, hash_record_extended(row({all_columns}), 0)),
        (true, hash_record_extended(row({delivery_columns}), 0))
    ) as hashed (is_delivery, figures)
    where d.level in ('account', 'campaign')
"""

CHANGED_FROM = """
    with

    watched as (
        select r.tenant_id, r.as_of - 126 as oldest from pg_temp.int_run__as_of as r
    ),

    changed as (
        select now_.tenant_id, now_.day, now_.is_delivery
        from pg_temp.replay_days as now_
        left join pg_temp.replay_days_before as before using (tenant_id, day, is_delivery, figures)
        where before.figures is null
        union all
        select before.tenant_id, before.day, before.is_delivery
        from pg_temp.replay_days_before as before
        left join pg_temp.replay_days as now_ using (tenant_id, day, is_delivery, figures)
        where now_.figures is null
    ),

    seen as (
        select c.day, c.is_delivery
        from changed as c
        inner join watched as w on c.tenant_id = w.tenant_id and c.day > w.oldest
    )

    select
        (select min(day) from seen) as changed_from,
        (select min(day) from seen where is_delivery) as delivery_changed_from,
        exists (
            select
            from pg_temp.int_metrics__entity_days as d
            inner join pg_temp.int_metrics__entity_days as before
                on
                    d.tenant_id = before.tenant_id and d.platform = before.platform and d.level = before.level
                    and d.platform_id = before.platform_id and before.day = %(day)s - 1
            left join pg_temp.int_anomalies__series__kept as s
                on
                    d.tenant_id = s.tenant_id and d.platform = s.platform and d.platform_id = s.platform_id
                    and s.day = %(day)s - 1
            where
                d.level = 'campaign' and d.day = %(day)s and d.delivery = 'delivered' and s.day is null
        ) as is_back,
        (
            select sum(hash_record_extended(row(t.tenant_id, t.platform, t.platform_id, t.target), 0)::numeric)
            from pg_temp.int_entities__targets as t
            where t.level = 'campaign' and t.target_metric = 'cpa' and t.target_source <> 'default'
        ) as targets
"""


# -- which model is made when -------------------------------------------------------------------------------


class Plan:
    """The compiled models in order: those made once, those of each day, and the two lists.

    An incremental model holds every day and is keyed by day, so it and what only it needs is made once; so is
    whatever does not descend from the as-of day.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        known = {model.name: model for model in models}
        self.lists = [known[name] for name in LISTS]
        moving = {AS_OF}
        for model in models:
            if moving & set(model.parents) and not _holds_all_days(model):
                moving.add(model.name)
        near = _ancestors(known, LISTS, stop=_holds_all_days) - set(LISTS)
        far = {name for name in known if name not in near} - set(LISTS)
        for name in near:
            if name not in moving or _holds_all_days(known[name]):
                far.add(name)
        far = _ancestors(known, far, stop=lambda _: False) | far
        self.once = [model for model in models if model.name in far and model.name != AS_OF]
        self.daily = [
            model
            for model in models
            if model.name in near & moving and model.name != AS_OF and not _holds_all_days(model)
        ]
        keeping: set[str] = set()
        for model in self.daily:
            if KEEPS in model.meta or keeping & set(model.parents):
                keeping.add(model.name)
        # What judged days rest on comes first: it tells from which day on they are judged anew.
        self.daily = [model for model in self.daily if model.name not in keeping] + [
            model for model in self.daily if model.name in keeping
        ]
        self.as_of = known[AS_OF]


def _holds_all_days(model: Model) -> bool:
    return model.materialized == "incremental" and model.name not in LISTS


def _ancestors(known: dict[str, Model], names: Iterable[str], stop: Callable[[Model], bool]) -> set[str]:
    """The names and all they are made from, not looking behind a model that stops the walk."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found or name not in known:
            continue
        found.add(name)
        if not stop(known[name]):
            waiting.extend(known[name].parents)
    return found


# -- how it is made -----------------------------------------------------------------------------------------


class Runner:
    """Makes and refills a session's temporary tables from compiled models."""

    def __init__(self, session: psycopg.Connection[Any], seconds: dict[str, float]) -> None:
        self.session = session
        self.seconds = seconds
        self._judging: date | None = None
        self._changed_from = {"judged_from": BEGINNING, "priced_from": BEGINNING, "delivery_from": BEGINNING}
        self._targets: Any = None
        self._dead: dict[str, int] = {}

    def prepare(self, plan: Plan, tenants: Sequence[ReplayedTenant]) -> None:
        """Make everything: what stays is filled as of the newest day, what moves is left empty."""
        for name, value in self._changed_from.items():
            self.session.execute("select set_config(%s, %s, true)", (f"aegis.{name}", str(value)))
        for name in ("replay_days", "replay_days_before"):
            self.session.execute(
                sql.SQL(
                    "create temporary table {} (tenant_id uuid, day date, is_delivery boolean, figures bigint) "
                    "on commit drop"
                ).format(_temporary(name))
            )
        self._make(plan.as_of, filled=False)
        self.as_of(tenants, max(one.last_day for one in tenants if one.last_day), everybody=True)
        for model in plan.lists:
            self._make_like_stored(model)
        made: set[str] = set()
        for model in plan.once:
            with self._timed(model, "once"):
                self._make(model, filled=True)
            made.add(model.name)
        for model in plan.daily:
            if model.name not in made:
                self._make(model, filled=False)

    def as_of(self, tenants: Sequence[ReplayedTenant], day: date, everybody: bool = False) -> None:
        """The tenants that have figures on this day, each as of it: in place of the model that reads ops.as_of."""
        ids = [
            one.tenant_id
            for one in tenants
            if everybody or (one.first_day and one.last_day and one.first_day <= day <= one.last_day)
        ]
        self.session.execute("truncate pg_temp.int_run__as_of")
        self.session.execute(
            """
            insert into pg_temp.int_run__as_of (tenant_id, as_of, currency, timezone)
            select t.tenant_id, %s, t.currency, t.timezone
            from tenancy.tenants as t
            where t.tenant_id = any(%s::uuid[])
            """,
            (day, ids),
        )
        self.session.execute("analyze pg_temp.int_run__as_of")

    def run_day(self, plan: Plan, tenants: Sequence[ReplayedTenant], day: date) -> None:
        """One as-of day: what its lists rest on, the lists, and what is kept of them."""
        self.as_of(tenants, day)
        self._judging = None
        for model in plan.daily:
            if KEEPS in model.meta and self._judging is None:
                self.judge_from(day)
            self.refill(model)
        for model in plan.lists:
            self.merge(model)
        self.session.execute(KEEP_ANOMALIES)
        self.session.execute(KEEP_RECOMMENDATIONS)

    def judge_from(self, day: date) -> None:
        """Find the first day whose figures are not those of the day before, and judge from there on.

        A judgement rests on the figures of its own and earlier days alone, so the earlier ones stand. A price also
        rests on today's targets. A campaign that comes back after two months was not watched meanwhile: all anew.
        """
        session = self.session
        session.execute("truncate pg_temp.replay_days_before")
        session.execute("insert into pg_temp.replay_days_before select * from pg_temp.replay_days")
        session.execute("truncate pg_temp.replay_days")
        columns = [name for name in self._columns("int_metrics__entity_days") if name != "as_of"]
        session.execute(
            sql.SQL("insert into pg_temp.replay_days {}").format(
                sql.SQL(HASHED_DAYS).format(
                    all_columns=_listed(columns),
                    delivery_columns=_listed(name for name in columns if name not in OF_CONVERSIONS),
                )
            )
        )
        session.execute("analyze pg_temp.replay_days, pg_temp.replay_days_before")
        row = session.execute(CHANGED_FROM, {"day": day}).fetchone()
        assert row is not None
        changed, delivery_changed, is_back, targets = row
        judged = BEGINNING if is_back else min(changed or day, day)
        self._changed_from = {
            "judged_from": judged,
            "priced_from": judged if targets == self._targets else BEGINNING,
            "delivery_from": BEGINNING if is_back else min(delivery_changed or day, day),
        }
        self._targets, self._judging = targets, day
        for name, value in self._changed_from.items():
            session.execute("select set_config(%s, %s, true)", (f"aegis.{name}", str(value)))

    def refill(self, model: Model) -> None:
        if model.materialized == "view":
            return
        if KEEPS in model.meta:
            self._refill_kept(model)
            return
        table = _temporary(model.name)
        with self._timed(model, "daily"):
            self.session.execute(sql.SQL("truncate {}").format(table))
            self.session.execute(sql.SQL("insert into {} {}").format(table, sql.SQL(model.sql)))
            self.session.execute(sql.SQL("analyze {}").format(table))

    def _refill_kept(self, model: Model) -> None:
        """Replace the days that are judged anew, forget those that left the window, keep the others."""
        keeps = model.meta[KEEPS]
        table = _temporary(f"{model.name}__kept")
        columns = self._columns(f"{model.name}__kept")
        begin = self._changed_from[keeps["setting"]] - timedelta(days=keeps["back"])
        delivery_begin, anew = begin, "%s::date"
        if "chain" in columns:  # chains of delivery are judged from a later day on, see judged_from()
            delivery_begin = self._changed_from["delivery_from"] - timedelta(days=keeps["back"])
            anew = "case when chain in ('cvr', 'aov') then %s::date else %s::date end"
        assert self._judging is not None
        oldest = self._judging - timedelta(days=keeps["days"])
        with self._timed(model, "daily"):
            if max(begin, delivery_begin) <= oldest:
                self.session.execute(sql.SQL("truncate {}").format(table))
                self._dead[model.name] = 0
            else:
                deleted = self.session.execute(
                    sql.SQL("delete from {} where day >= {} or day <= %s").format(table, sql.SQL(anew)),
                    (begin, delivery_begin, oldest) if "chain" in columns else (begin, oldest),
                ).rowcount
                self._dead[model.name] = self._dead.get(model.name, 0) + deleted
                if self._dead[model.name] > max(self.count(f"{model.name}__kept"), LEAST_DEAD):
                    self._compact(model)
            self.session.execute(
                sql.SQL("insert into {} ({}) select {} from ({}) as made").format(
                    table, _listed(columns), _listed(columns), sql.SQL(model.sql)
                )
            )
            self.session.execute(sql.SQL("analyze {}").format(table))

    def _compact(self, model: Model) -> None:
        """Write the rows that live anew: no transaction can vacuum its own deleted ones."""
        table = _temporary(f"{model.name}__kept")
        self.session.execute(
            sql.SQL("create temporary table replay_living on commit drop as select * from {}").format(table)
        )
        self.session.execute(sql.SQL("truncate {}").format(table))
        self.session.execute(sql.SQL("insert into {} select * from pg_temp.replay_living").format(table))
        self.session.execute("drop table pg_temp.replay_living")
        self._dead[model.name] = 0

    def merge(self, model: Model) -> None:
        """What dbt's merge does, by the model's own configuration."""
        table = _temporary(model.name)
        columns = self._columns(model.name)
        with self._timed(model, "daily"):
            self.session.execute(
                sql.SQL(
                    "insert into {table} ({columns}) select {columns} from ({query}) as due "
                    "on conflict ({key}) do update set {updates}"
                ).format(
                    table=table,
                    columns=_listed(columns),
                    query=sql.SQL(model.sql),
                    key=_listed(model.unique_key),
                    updates=sql.SQL(", ").join(
                        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name))
                        for name in model.merge_update_columns
                    ),
                )
            )
            self.session.execute(sql.SQL("analyze {}").format(table))

    def count(self, name: str) -> int:
        found = self.session.execute(sql.SQL("select count(*) from {}").format(_temporary(name))).fetchone()
        return int(found[0]) if found else 0

    def _make(self, model: Model, filled: bool) -> None:
        name = _temporary(model.name)
        query = sql.SQL(model.sql)
        if model.materialized == "view":
            self.session.execute(sql.SQL("create temporary view {} as {}").format(_bare(model), query))
            return
        if KEEPS in model.meta:
            self._make_kept(model)
            return
        if model.contract and filled:
            self._make_like_stored(model)
            self.session.execute(
                sql.SQL("insert into {} ({}) select {} from ({}) as made").format(
                    name, _listed(self._columns(model.name)), _listed(self._columns(model.name)), query
                )
            )
        else:
            self.session.execute(
                sql.SQL("create temporary table {} on commit drop as {} with {}").format(
                    _bare(model), query, sql.SQL("data" if filled else "no data")
                )
            )
        # Without loops no plan of a day's models uses an index, and filling one costs as much as the figures.
        for columns in model.indexes if filled else ():
            self.session.execute(sql.SQL("create index on {} ({})").format(name, _listed(columns)))
        if filled:
            self.session.execute(sql.SQL("analyze {}").format(name))

    def _make_kept(self, model: Model) -> None:
        """A table without the as-of day, which is another every day, and a view under the model's name that adds it."""
        whole = self.session.execute(sql.SQL("select * from ({}) as made limit 0").format(sql.SQL(model.sql)))
        columns = [column.name for column in whole.description or () if column.name != "as_of"]
        self.session.execute(
            sql.SQL(
                "create temporary table {} on commit drop as select {} from ({}) as made with no data"
            ).format(_temporary(f"{model.name}__kept"), _listed(columns), sql.SQL(model.sql))
        )
        self.session.execute(
            sql.SQL(
                "create temporary view {} as select kept.*, run.as_of from {} as kept "
                "inner join pg_temp.int_run__as_of as run on kept.tenant_id = run.tenant_id "
                "where kept.day <= run.as_of and kept.day > run.as_of - {}"
            ).format(
                _bare(model),
                _temporary(f"{model.name}__kept"),
                sql.Literal(model.meta[KEEPS]["days"]),
            )
        )

    def _make_like_stored(self, model: Model) -> None:
        """A table that a migration made, with its keys, but empty."""
        self.session.execute(
            sql.SQL(
                "create temporary table {} (like {} including defaults including indexes) on commit drop"
            ).format(_bare(model), sql.Identifier(model.schema, model.name))
        )

    def _columns(self, name: str) -> list[str]:
        found = self.session.execute(
            "select attname::text from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped "
            "order by attnum",
            (f"pg_temp.{name}",),
        ).fetchall()
        return [name for (name,) in found]

    @contextmanager
    def _timed(self, model: Model, phase: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        except psycopg.Error as problem:
            raise AegisError(
                f"The replay could not compute {model.name}: {problem.diag.message_primary or problem}",
                "Nothing was changed. If `aegis optimize` fails there too, mend that first; else this is a bug.",
            ) from problem
        key = f"{phase} {model.name}"
        self.seconds[key] = self.seconds.get(key, 0.0) + time.monotonic() - started


def _temporary(name: str) -> sql.Identifier:
    return sql.Identifier("pg_temp", name)


def _bare(model: Model) -> sql.Identifier:
    return sql.Identifier("pg_temp", model.name)


def _listed(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in columns)


# -- the session, the tenants, what is kept -----------------------------------------------------------------


@contextmanager
def _one_replay_at_a_time(connections: Connections) -> Iterator[None]:
    """A second replay waits for the first: both would write the same rows."""
    with psycopg.connect(
        connections.transformer, connect_timeout=10, autocommit=True, application_name="aegis backtest"
    ) as session:
        session.execute("select set_config('lock_timeout', %s, false)", (LOCK_PATIENCE,))
        try:
            session.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (LOCK,))
        except psycopg.errors.LockNotAvailable as problem:
            raise AegisError(
                f"Another backtest has been running on this database for more than {LOCK_PATIENCE}.",
                "Look for it with: select * from pg_stat_activity where application_name = 'aegis backtest'",
            ) from problem
        yield


@contextmanager
def _session(connections: Connections, snapshot: str | None = None) -> Iterator[psycopg.Connection[Any]]:
    """One transaction that sees one state, that of `snapshot` where one is given. Committed when all went well."""
    with psycopg.connect(
        connections.transformer, connect_timeout=10, autocommit=True, application_name="aegis backtest"
    ) as session:
        session.execute("begin isolation level repeatable read")
        if snapshot is not None:
            session.execute(sql.SQL("set transaction snapshot {}").format(sql.Literal(snapshot)))
        try:
            for setting in SETTINGS:
                session.execute(setting)
            yield session
        except BaseException:
            if not session.closed:
                session.execute("rollback")
            raise
        session.execute("commit")


def _value(session: psycopg.Connection[Any], query: str) -> Any:
    row = session.execute(query).fetchone()
    return row[0] if row else None


def _tenants(
    session: psycopg.Connection[Any], tenants: Sequence[str] | None, first: date, last: date
) -> list[ReplayedTenant]:
    found = session.execute(
        """
        select
            t.tenant_id::text,
            t.name,
            min(c.day) filter (where c.versioned_at is not null and c.state in ('accepted', 'provisional')),
            max(c.day) filter (where c.versioned_at is not null and c.state in ('accepted', 'provisional')),
            count(*) filter (where c.versioned_at is null and c.state <> 'withheld'),
            coalesce(sum(c.rows), 0)::bigint
        from tenancy.tenants as t
        left join ops.coverage as c on t.tenant_id = c.tenant_id
        where t.tenant_id <> '00000000-0000-0000-0000-000000000000'
            and (%(wanted)s::text[] is null or t.tenant_id::text = any(%(wanted)s::text[]))
        group by t.tenant_id, t.name
        order by t.name
        """,
        {"wanted": None if tenants is None else list(tenants)},
    ).fetchall()
    missing = set(tenants or ()) - {row[0] for row in found}
    if missing:
        raise ContractError(f"No tenant has the id {min(missing)}.", "`aegis tenant list` shows the tenants.")
    if all(row[2] is None for row in found):
        raise ContractError(
            "There is nothing to replay: no tenant has any figures yet."
            if tenants is None
            else "There is nothing to replay: " + ", ".join(row[1] for row in found) + " has no figures yet.",
            "Load some first: `aegis import history --ads FILE --create-tenants`.",
        )
    chosen = []
    for tenant_id, name, oldest, newest, waiting, rows in found:
        if oldest is None or max(oldest, first) > min(newest, last):
            chosen.append(ReplayedTenant(tenant_id, name, waiting=waiting))
        else:
            chosen.append(
                ReplayedTenant(tenant_id, name, max(oldest, first), min(newest, last), waiting, rows)
            )
    return chosen


def _remember(
    session: psycopg.Connection[Any], tenants: Sequence[ReplayedTenant], first: date, last: date
) -> None:
    for one in tenants:
        session.execute(
            "insert into ads_internal.backtest_runs (tenant_id, from_day, to_day, days) values (%s, %s, %s, %s)",
            (one.tenant_id, first, last, one.days),
        )
