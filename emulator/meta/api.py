"""`Meta`: from a call to an answer. Versions, tokens, permissions, objects, edges, reports, batches."""

from __future__ import annotations

import itertools
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

from emulator.clock import Clock, local_day
from emulator.faults import FaultBook
from emulator.meta import admin
from emulator.meta.breakdowns import OPT_IN
from emulator.meta.catalog import HIDDEN, AdNode, AdSetNode, CampaignNode, Catalog, CreativeNode, share_of
from emulator.meta.consent import dialog
from emulator.meta.entities import Node, View, business_of, kind_of, lookup, render, render_account
from emulator.meta.errors import MetaError, error, invalid
from emulator.meta.faults import KINDS, Faults
from emulator.meta.filters import filters_of, passes
from emulator.meta.insights import REACH_MONTHS, Days, Query, Report, query_of, report_of
from emulator.meta.jobs import Job, Jobs, not_ready
from emulator.meta.paging import FOLLOWED, encode, paging, slice_of
from emulator.meta.parameters import Wanted, fields_of, flag, limit_of, list_of, objects_of
from emulator.meta.periods import months_before
from emulator.meta.tokens import APP_ID, APP_SECRET, Token, Tokens, check_app, check_proof, meta_accounts
from emulator.meta.usage import Shown, Usages, headers
from emulator.server import Call, Reply
from emulator.world import Account, World

MARKETING_VERSIONS = ("v25.0", "v26.0")
# The plain Graph API lives on for a year after a version's marketing calls are gone.
GRAPH_VERSIONS = ("v22.0", "v23.0", "v24.0", *MARKETING_VERSIONS)
_VERSION = re.compile(r"v(\d+)\.(\d+)")
_EDGES = {"campaigns": "campaign", "adsets": "adset", "ads": "ad", "adcreatives": "creative"}
_BELOW = {"account": ("campaign", "adset", "ad", "creative"), "campaign": ("adset", "ad"), "adset": ("ad",),
          "ad": ("creative",), "creative": ()}  # fmt: skip
_WORDS = {
    "account": "AdAccount",
    "campaign": "Campaign",
    "adset": "AdSet",
    "ad": "Ad",
    "creative": "AdCreative",
}
_GRAPH_CALLS = {
    ("me",),
    ("me", "permissions"),
    ("oauth", "access_token"),
    ("debug_token",),
    ("dialog", "oauth"),
}
_OPT_IN_SINCE = datetime(2026, 8, 6).date()
_ASYNC_A_DAY = 10
_REPORTS_KEPT = 6
_CATALOGS_KEPT = 12
_BATCH_MOST = 50
_IDS_MOST = 50


@dataclass
class Settings:
    """How the emulator behaves where the real API has settings or moods; changed by the admin endpoint."""

    require_proof: bool = False
    deleted_in_filter: bool = True
    permission_style: str = "200"
    opted_in: bool = False
    run_id_as_number: bool = False
    tell_expires_in: bool = True
    data_points: int = 2_000_000
    entity_limit: int = 500
    creative_limit: int = 100
    insights_limit: int = 1000


@dataclass
class Context:
    """One call on its way."""

    call: Call
    faults: Faults
    now: datetime
    parameters: dict[str, str]
    version: str = MARKETING_VERSIONS[-1]
    token_text: str = ""
    token: Token | None = None
    account: Account | None = None
    shown: Shown | None = None
    label: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    inner: list[tuple[str, int]] = field(default_factory=list)
    delay: float = 0.0


class Meta:
    """The Marketing API over the world; see the package's docstring."""

    name = "meta"
    kinds = KINDS

    def __init__(self, world: World, clock: Clock, faults: FaultBook) -> None:
        self.world = world
        self.clock = clock
        self.book = faults
        self.accounts = {account.account_id: account for account in meta_accounts(world)}
        self.tokens = Tokens(world, clock)
        self.usages = Usages(clock)
        self.jobs = Jobs()
        self._lock = threading.RLock()
        self._days = Days(world)
        self._catalogs: OrderedDict[tuple[str, Any], Catalog] = OrderedDict()
        self._lists: dict[tuple[str, Any, str], list[Any]] = {}
        self._traces = itertools.count(1)
        self.reset()

    def reset(self) -> None:
        """Settings, overrides, runs, quotas and revocations as at the start."""
        with self._lock:
            self.settings = Settings()
            self.overrides: dict[str, dict[str, Any]] = {}
            self.tokens.reset()
            self.usages.reset()
            self.jobs.reset()
            self._reports: OrderedDict[Any, Report] = OrderedDict()
            self._rationed: dict[tuple[str, str, Any], int] = {}

    def override(self, key: str, values: Mapping[str, Any] | None) -> None:
        """Show an object with other field values; null takes it back."""
        with self._lock:
            self._reports.clear()
            if values is None:
                self.overrides.pop(key, None)
            else:
                self.overrides[key] = dict(values)

    def admin(self, method: str, parts: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        """`/_admin/meta/…`"""
        with self._lock:
            return admin.answer(self, method, parts, body)

    def handle(self, call: Call) -> Reply:
        """Answer a call."""
        with self._lock:
            return self._serve(call)

    # the answer's frame

    def _serve(self, call: Call) -> Reply:
        faults = Faults(self.book, call)
        now = self.clock.now()
        skew = faults.first("clock_skew")
        if skew is not None:
            now += timedelta(seconds=float(skew.option("seconds")))
        context = Context(call, faults, now, call.parameters)
        try:
            answer = self._dispatch(context)
            if isinstance(answer, Reply):
                reply = answer
            else:
                reply = Reply(body=orjson.dumps(answer))
        except MetaError as problem:
            trace = f"A{int(share_of('trace', next(self._traces)) * 10**14):014d}"
            reply = Reply(status=problem.status, body=orjson.dumps(problem.envelope(trace)))
        if faults.usage is not None:
            shown = context.shown or Shown("0", 0.0, 0.0, "insights" in call.path, self.usages.quota.tier)
            context.shown = replace(shown, percent=faults.usage[0], wait=faults.usage[1])
        reply.headers = {
            "facebook-api-version": context.version,
            "x-fb-trace-id": f"T{next(self._traces):010d}",
            **(headers(context.shown) if context.shown else {"x-app-usage": _NO_USAGE}),
            **context.headers,
            **reply.headers,
        }
        reply.label, reply.inner, reply.now = (
            context.label or f"{call.method} unknown",
            context.inner,
            now.timestamp(),
        )
        reply.delay += context.delay
        faults.after(reply)
        reply.struck = faults.struck
        reply.notes = {"token_in": _token_place(call), "followed_next": FOLLOWED in call.query}
        return reply

    def _dispatch(self, context: Context) -> Any:
        call = context.call
        parts = [part for part in call.path.split("/") if part]
        if parts and parts[0] == "cdn":
            context.label = f"{call.method} cdn"
            return _picture(parts[-1])
        if parts and re.fullmatch(r"v[\d.]*", parts[0]):
            context.version = parts.pop(0)
            self._check_version(context, parts)
        else:
            context.version = MARKETING_VERSIONS[0]
        if parts == ["dialog", "oauth"]:
            context.label = f"{call.method} dialog/oauth"
            return dialog(context.parameters, self.tokens)
        if parts == ["oauth", "access_token"]:
            context.label = f"{call.method} oauth/access_token"
            self._fail(context)
            return self._access_token(context)
        if parts == ["debug_token"]:
            context.label = f"{call.method} debug_token"
            self._fail(context)
            return self._debug_token(context)
        if not parts and call.method == "POST" and "batch" in context.parameters:
            context.label = "POST batch"
            return self._batch(context)
        self._authenticate(context)
        if not parts and call.method == "GET" and "ids" in context.parameters:
            context.label = "GET ids"
            self._fail(context)
            return self._many(context)
        if not parts or len(parts) > 2:
            raise error("bad_syntax", f"Unknown path components: {call.path}")
        return self._route(context, parts[0], parts[1] if len(parts) == 2 else "")

    def _check_version(self, context: Context, parts: list[str]) -> None:
        found = _VERSION.fullmatch(context.version)
        if found is None:
            raise error("bad_syntax", f"Unknown path components: /{context.version}")
        if context.version in (GRAPH_VERSIONS if tuple(parts) in _GRAPH_CALLS else MARKETING_VERSIONS):
            return
        asked = (int(found[1]), int(found[2]))
        newest = MARKETING_VERSIONS[-1]
        message = f"(#2635) This API version is deprecated: {context.version}. Please move to {newest}."
        raise error("retired_version", message, status=404 if asked > _numbers(newest) else 400)

    def _fail(self, context: Context, *, is_insights: bool = False) -> None:
        """Raise the error that a fault puts in the place of the answer."""
        account_id = context.account.account_id if context.account else None
        problem = context.faults.before(self.usages, is_insights=is_insights, account_id=account_id)
        if problem is not None:
            raise problem

    # who calls

    def _authenticate(self, context: Context) -> None:
        context.token_text = _token_of(context.call)
        context.token = self.tokens.check(context.token_text, context.now)
        check_proof(
            context.token_text,
            context.parameters.get("appsecret_proof"),
            required=self.settings.require_proof,
        )

    def _may_read(self, context: Context) -> tuple[str, ...]:
        """The accounts the token may read."""
        assert context.token is not None
        if not {"ads_read", "ads_management"} & set(context.token.scopes):
            raise error("no_permission", "(#200) The token lacks the scope ads_read")
        return self.tokens.accounts(context.token)

    def _enter(self, context: Context, account_id: str, *, is_insights: bool = False) -> None:
        """Check the permission for an account, let faults and the quota have their say."""
        account = self.accounts.get(account_id)
        readable = self._may_read(context)
        if account is None:
            raise error("invisible")
        if account_id not in readable:
            raise error("invisible" if self.settings.permission_style == "33" else "no_permission")
        context.account = account
        context.shown, problem = self.usages.use(account_id, is_insights=is_insights)
        self._fail(context, is_insights=is_insights)
        if problem is not None:
            raise problem

    def _access_token(self, context: Context) -> dict[str, Any]:
        given = context.parameters
        check_app(given.get("client_id"), given.get("client_secret"))
        grant = given.get("grant_type")
        if grant == "client_credentials":
            return {"access_token": f"{APP_ID}|{APP_SECRET}", "token_type": "bearer"}
        if grant == "fb_exchange_token":
            token, seconds = self.tokens.exchange(given.get("fb_exchange_token", ""), context.now)
        elif grant in (None, "authorization_code"):
            token, seconds = self.tokens.redeem(
                given.get("code", ""), given.get("redirect_uri", ""), context.now
            )
        else:
            raise invalid(f"Param grant_type can't be {grant}.")
        answer = {"access_token": token, "token_type": "bearer"}
        return answer | ({"expires_in": seconds} if self.settings.tell_expires_in else {})

    def _debug_token(self, context: Context) -> dict[str, Any]:
        text, asked = _token_of(context.call), context.parameters.get("input_token", "")
        if not self.tokens.is_app_token(text) and text != asked:
            self.tokens.check(text, context.now)
            raise invalid("You must be a developer of the app, or use its token, to debug another's token.")
        return {"data": self.tokens.describe(asked, context.now)}

    # what is called

    def _route(self, context: Context, name: str, edge: str) -> Any:
        method = context.call.method
        if name == "me":
            context.label = f"{method} me" + (f"/{edge}" if edge else "")
            return self._me(context, edge)
        if name.startswith("act_"):
            context.label = f"{method} account" + (f"/{edge}" if edge else "")
            self._enter(context, name.removeprefix("act_"), is_insights=edge == "insights")
            return self._account(context, edge)
        job = self.jobs.find(name, context.now)
        if job is not None or name in self.jobs:
            context.label = f"{method} run" + (f"/{edge}" if edge else "")
            return self._run(context, name, job, edge)
        if edge in ("owned_ad_accounts", "client_ad_accounts"):
            context.label = f"{method} business/{edge}"
            return self._business(context, name, edge)
        found = self._find(context, name)
        if found is None:
            context.label = f"{method} object" + (f"/{edge}" if edge else "")
            self._fail(context, is_insights=edge == "insights")
            raise error("invisible")
        account, node = found
        context.label = f"{method} {kind_of(node)}" + (f"/{edge}" if edge else "")
        self._enter(context, account.account_id, is_insights=edge == "insights")
        return self._object(context, node, edge)

    def _me(self, context: Context, edge: str) -> Any:
        assert context.token is not None
        self._fail(context)
        user = self.tokens.users[context.token.user_id]
        if edge == "":
            return self._surprise(context, {"id": user.user_id, "name": user.name})
        if edge == "permissions":
            rows = [{"permission": scope, "status": "granted"} for scope in context.token.scopes]
            return {"data": rows}
        if edge != "adaccounts":
            raise invalid(f"Tried accessing nonexisting field ({edge}) on node type (User)")
        return self._account_page(context, [self.accounts[each] for each in self._may_read(context)])

    def _business(self, context: Context, number: str, edge: str) -> Any:
        self._fail(context)
        readable = self._may_read(context)
        if context.token is None or "business_management" not in context.token.scopes:
            raise error("no_permission", "(#200) The token lacks the scope business_management")
        for tenant in self.world.tenants:
            if business_of(tenant.tenant_id, tenant.name)["id"] == number:
                own = [each for each in self.accounts.values() if each.tenant_id == tenant.tenant_id]
                owned = [each for each in own if each.account_id in readable]
                return self._account_page(context, owned if edge == "owned_ad_accounts" else [])
        raise error("invisible")

    def _account_page(self, context: Context, accounts: list[Account]) -> dict[str, Any]:
        wanted = fields_of(context.parameters.get("fields"))
        return self._page(
            context,
            len(accounts),
            self.settings.entity_limit,
            lambda start, stop: [
                render_account(self._view(context, account), wanted) for account in accounts[start:stop]
            ],
        )

    def _account(self, context: Context, edge: str) -> Any:
        assert context.account is not None
        view = self._view(context, context.account)
        if edge == "insights":
            return self._insights(context, view, None)
        _only_get(context)
        if edge == "":
            wanted = fields_of(context.parameters.get("fields"))
            return self._surprise(context, render_account(view, wanted))
        return self._edge(context, view, "account", None, edge)

    def _object(self, context: Context, node: Node, edge: str) -> Any:
        assert context.account is not None
        view = self._view(context, context.account)
        if edge == "insights" and not isinstance(node, CreativeNode):
            return self._insights(context, view, node)
        _only_get(context)
        if edge == "":
            return self._surprise(context, render(view, node, fields_of(context.parameters.get("fields"))))
        return self._edge(context, view, kind_of(node), node, edge)

    def _edge(self, context: Context, view: View, kind: str, node: Node | None, edge: str) -> dict[str, Any]:
        below = _EDGES.get(edge, "")
        if below not in _BELOW[kind]:
            raise invalid(f"Tried accessing nonexisting field ({edge}) on node type ({_WORDS[kind]})")
        wanted = fields_of(context.parameters.get("fields"))
        nodes = [each for each in self._nodes(view.catalog, below) if node is None or _is_below(each, node)]
        nodes = self._selected(context, view, below, nodes)
        for each in nodes[:1]:
            render(view, each, wanted)  # an unknown field fails even where the page is empty
        most = self.settings.creative_limit if below == "creative" else self.settings.entity_limit
        return self._page(
            context,
            len(nodes),
            most,
            lambda start, stop: [render(view, each, wanted) for each in nodes[start:stop]],
        )

    def _nodes(self, catalog: Catalog, kind: str) -> list[Any]:
        """All of a kind, newest first."""
        key = (catalog.account.account_id, catalog.as_of, kind)
        found = self._lists.get(key)
        if found is None:
            tables: dict[str, Mapping[str, Any]] = {
                "campaign": catalog.campaigns,
                "adset": catalog.adsets,
                "ad": catalog.ads,
                "creative": catalog.creatives,
            }
            found = sorted(tables[kind].values(), key=lambda node: (-_first_day(node), node.id))
            self._lists = {
                old: nodes for old, nodes in self._lists.items() if (old[0], old[1]) in self._catalogs
            }
            self._lists[key] = found
        return found

    def _selected(self, context: Context, view: View, kind: str, nodes: list[Any]) -> list[Any]:
        given = context.parameters
        conditions = filters_of(objects_of(given.get("filtering"), "filtering"))
        statuses = list_of(given.get("effective_status"), "effective_status")
        of_status = [
            each for each in conditions if each.field == "effective_status" and each.level in ("", kind)
        ]
        if not self.settings.deleted_in_filter and (
            "DELETED" in statuses or any("DELETED" in str(each.value) for each in of_status)
        ):
            raise invalid("DELETED can't be asked for on this edge.")
        for each in conditions:
            if each.level not in ("", kind) and not (kind == "ad" and each.level in ("campaign", "adset")):
                raise invalid(f"Filtering field {each.level}.{each.field} is not valid on this edge.")
        name = "status" if kind == "creative" else "effective_status"
        found = []
        for node in nodes:
            status = lookup(view, node, name)
            if statuses and status not in statuses:
                continue
            if not statuses and not of_status and status in (("DELETED",) if kind == "creative" else HIDDEN):
                continue
            if all(
                passes(each, lookup(view, _at_level(node, each.level or kind), each.field))
                for each in conditions
            ):
                found.append(node)
        return found

    def _many(self, context: Context) -> dict[str, Any]:
        ids = list_of(context.parameters.get("ids"), "ids")
        if not 1 <= len(ids) <= _IDS_MOST:
            raise invalid(f"Param ids takes 1 to {_IDS_MOST} ids.")
        wanted = fields_of(context.parameters.get("fields"))
        answer = {}
        for number in ids:
            answer[number] = self._one(context, number, wanted)
        return answer

    def _one(self, context: Context, number: str, wanted: list[Wanted]) -> dict[str, Any]:
        if number.startswith("act_"):
            self._enter(context, number.removeprefix("act_"))
            assert context.account is not None
            return render_account(self._view(context, context.account), wanted)
        found = self._find(context, number)
        if found is None:
            raise error("invisible")
        self._enter(context, found[0].account_id)
        return self._surprise(context, render(self._view(context, found[0]), found[1], wanted))

    # reports

    def _insights(self, context: Context, view: View, node: Node | None) -> Any:
        account = view.catalog.account
        today = local_day(context.now, account.timezone)
        is_async = context.call.method == "POST"
        query = query_of(context.parameters, node, today, is_async=is_async)
        needs_opt_in = (
            bool(OPT_IN & set(query.breakdowns)) and today >= _OPT_IN_SINCE and not self.settings.opted_in
        )
        if is_async:
            self._ration_reach(context, query, today)
            return self._submit(
                context, view, query, empty=needs_opt_in and not self._ration(account, "opt-in", today)
            )
        if needs_opt_in:
            return {"data": []}
        report = self._report(self._report_key(context, query), query, view)
        if len(report.lines) * len(query.fields) > self.settings.data_points:
            raise error("data_limit")
        return self._report_page(context, report)

    def _report_key(self, context: Context, query: Query) -> Any:
        assert context.account is not None
        account = context.account
        today = local_day(context.now, account.timezone)
        # A day that is not over grows with the clock; all else changes at midnight.
        moment = context.now if query.last_day >= today else today
        node = query.node.id if query.node is not None else ""
        return account.account_id, node, moment, replace(query, node=None, filters=()), repr(query.filters)

    def _report(self, key: Any, query: Query, view: View, *, is_async: bool = False) -> Report:
        report = self._reports.get(key)
        if report is None:
            report = self._reports[key] = report_of(query, view, self._days)
            report.keeps_old_reach = is_async
            if len(self._reports) > _REPORTS_KEPT:
                self._reports.popitem(last=False)
        else:
            self._reports.move_to_end(key)
        return report

    def _report_page(self, context: Context, report: Report) -> dict[str, Any]:
        page = self._page(
            context, len(report.lines), self.settings.insights_limit, report.write, report.query.first_day
        )
        if report.query.summary and report.lines:
            page["summary"] = report.summary()
        return page

    def _submit(self, context: Context, view: View, query: Query, *, empty: bool) -> dict[str, Any]:
        account_id = view.catalog.account.account_id
        days = (query.last_day - query.first_day).days + 1
        script, failure = context.faults.script(self.jobs.script, days)
        job = self.jobs.submit(account_id, query, context.now, dict(context.parameters), script, failure)
        if empty:
            self._reports[job.id] = Report(query, view, [])
        else:
            report = self._report(job.id, query, view, is_async=True)
            if len(report.lines) * len(query.fields) > self.settings.data_points:
                job.script, job.failure = (("Job Started", 0), ("Job Failed", 0)), error("report_too_large")
        return {"report_run_id": int(job.id) if self.settings.run_id_as_number else job.id}

    def _run(self, context: Context, number: str, job: Job | None, edge: str) -> Any:
        if job is None or job.account_id not in self._may_read(context):
            raise error("invisible")
        self._enter(context, job.account_id, is_insights=True)
        _only_get(context)
        if edge == "":
            if context.faults.first("job_lost") is not None:
                self.jobs.lose(number)
                raise error("invisible")
            job.poll(context.now)
            names = [each.name for each in fields_of(context.parameters.get("fields"))]
            return self._surprise(context, job.shown(names))
        if edge != "insights":
            raise invalid(f"Tried accessing nonexisting field ({edge}) on node type (AdReportRun)")
        if not job.is_done:
            raise not_ready()
        summary = context.parameters.get("summary", "")
        asked = [] if summary in ("", "true", "1") else list_of(summary, "summary")
        strange = sorted(set(asked) - set(job.query.fields))
        if strange or context.faults.first("summary_fields") is not None:
            message = error("summary_fields").message.format(fields=", ".join(strange) or "spend")
            raise error("summary_fields", message)
        # Figures as they were when the run was asked for.
        view = self._view(replace(context, now=job.asked_at), self.accounts[job.account_id])
        return self._report_page(context, self._report(job.id, job.query, view, is_async=True))

    def _ration(self, account: Account, what: str, today: Any) -> bool:
        """Count one more of the few such runs a day; False when they are used up."""
        key = (account.account_id, what, today)
        self._rationed[key] = self._rationed.get(key, 0) + 1
        return self._rationed[key] <= _ASYNC_A_DAY

    def _ration_reach(self, context: Context, query: Query, today: Any) -> None:
        if not query.breakdowns or "reach" not in query.fields:
            return
        if query.first_day >= months_before(today, REACH_MONTHS) or context.account is None:
            return
        is_left = self._ration(context.account, "reach", today)
        used = self._rationed[(context.account.account_id, "reach", today)]
        context.headers["x-fb-ads-insights-reach-throttle"] = orjson.dumps(
            {"reach_util_pct": min(100, used * 100 // _ASYNC_A_DAY)}
        ).decode()
        if not is_left:
            raise error("reach_rate")

    # pages

    def _page(
        self,
        context: Context,
        count: int,
        most: int,
        write: Callable[[int, int], list[dict[str, Any]]],
        first_day: Any = None,
    ) -> dict[str, Any]:
        """One page of a list of `count` objects, with what faults make of it."""
        given, call, faults = context.parameters, context.call, context.faults
        limit = limit_of(given)
        if limit > most:
            raise error("reduce")
        edge = call.path.strip("/").partition("/")[2]
        shown = slice_of(edge, given, limit, count)
        rows: list[dict[str, Any]] | None = None
        after: str | None = None
        if shown.more and shown.stop - shown.start > 1 and faults.first("short_page") is not None:
            shown = replace(shown, stop=shown.start + (shown.stop - shown.start) // 2)
        if shown.stop > shown.start:
            if faults.first("empty_page") is not None:
                rows, after = [], encode(edge, shown.start, next(self._traces))
            elif faults.first("repeated_page") is not None:
                after = encode(edge, shown.start, next(self._traces))
            elif faults.first("repeated_cursor") is not None:
                after = given.get("after") or encode(edge, shown.start)
        if rows is None:
            rows = write(shown.start, shown.stop)
            if len(rows) > 1 and faults.first("lost_rows") is not None:
                rows = rows[::2]
            rows = faults.rows(rows, first_day)
        page: dict[str, Any] = {"data": rows}
        if rows or after:
            kept = replace(shown, more=shown.more or after is not None)
            page["paging"] = paging(
                edge, f"{call.base}{call.path}", given, context.token_text, limit, kept, after
            )
        if flag(given.get("summary")) or "total_count" in given.get("summary", ""):
            page["summary"] = {"total_count": count}
        return page

    def _surprise(self, context: Context, content: dict[str, Any]) -> dict[str, Any]:
        return context.faults.rows([content])[0]

    # objects

    def _view(self, context: Context, account: Account) -> View:
        as_of = local_day(context.now, account.timezone) - timedelta(days=1)
        key = (account.account_id, as_of)
        catalog = self._catalogs.get(key)
        if catalog is None:
            catalog = self._catalogs[key] = Catalog(self.world, account, as_of)
            if len(self._catalogs) > _CATALOGS_KEPT:
                self._catalogs.popitem(last=False)
        else:
            self._catalogs.move_to_end(key)
        is_suspended = context.faults.suspends(account.account_id)
        return View(catalog, context.now, context.call.base, self.overrides, is_suspended)

    def _find(self, context: Context, number: str) -> tuple[Account, Node] | None:
        """An object by id, in any account."""
        for account in self.accounts.values():
            catalog = self._view(context, account).catalog
            tables: Sequence[Mapping[str, Any]] = (
                catalog.ads,
                catalog.adsets,
                catalog.campaigns,
                catalog.creatives,
            )
            for table in tables:
                if number in table:
                    return account, table[number]
        return None

    # batches

    def _batch(self, context: Context) -> Any:
        self._authenticate(context)
        self._fail(context)
        elements = objects_of(context.parameters["batch"], "batch")
        if len(elements) > _BATCH_MOST:
            raise invalid(f"A batch holds at most {_BATCH_MOST} calls.")
        struck = context.faults.first("batch_null")
        skipped = int(struck.option("count")) if struck is not None else 0
        return [
            None if place < skipped else self._element(context, element)
            for place, element in enumerate(elements)
        ]

    def _element(self, context: Context, element: dict[str, Any]) -> dict[str, Any]:
        address = urlsplit(str(element.get("relative_url", "")))
        path = "/" + unquote(address.path).lstrip("/")
        if not re.match(r"/v\d", path):
            path = f"/{context.version}{path}"
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        form = dict(parse_qsl(str(element.get("body", "")), keep_blank_values=True))
        if "access_token" not in query and "access_token" not in form:
            query["access_token"] = context.token_text
            if "appsecret_proof" in context.parameters:
                query["appsecret_proof"] = context.parameters["appsecret_proof"]
        method = str(element.get("method", "GET")).upper()
        reply = self._serve(Call(method, path, query, form, {}, context.call.base))
        context.inner.append((reply.label, reply.status))
        context.faults.struck.extend(reply.struck)
        context.delay += reply.delay
        answer: dict[str, Any] = {"code": reply.status}
        if context.parameters.get("include_headers", "true").lower() != "false":
            answer["headers"] = [{"name": name, "value": value} for name, value in reply.headers.items()]
        return answer | {"body": reply.body.decode("utf-8", "replace")}


_NO_USAGE = '{"call_count":0,"total_cputime":0,"total_time":0}'


def _token_of(call: Call) -> str:
    found = call.parameters.get("access_token")
    if found:
        return found
    scheme, _, text = call.headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() in ("bearer", "oauth") else ""


def _token_place(call: Call) -> str | None:
    if call.form.get("access_token"):
        return "body"
    if call.query.get("access_token"):
        return "query"
    return "header" if "authorization" in call.headers else None


def _only_get(context: Context) -> None:
    if context.call.method != "GET":
        raise error(
            "invisible", f"Unsupported {context.call.method.lower()} request: the emulator is read-only"
        )


def _numbers(version: str) -> tuple[int, int]:
    major, _, minor = version.removeprefix("v").partition(".")
    return int(major), int(minor)


def _first_day(node: Node) -> int:
    if isinstance(node, CreativeNode):
        return node.ad.ad.first
    if isinstance(node, AdNode):
        return node.ad.first
    return node.run.start if isinstance(node, CampaignNode) else node.campaign.run.start


def _is_below(node: Node, parent: Node) -> bool:
    if isinstance(node, CreativeNode):
        return node.ad.id == parent.id
    if isinstance(node, AdNode):
        return parent.id in (node.adset.id, node.adset.campaign.id)
    return isinstance(node, AdSetNode) and node.campaign.id == parent.id


def _at_level(node: Node, level: str) -> Node:
    if isinstance(node, AdNode):
        if level == "adset":
            return node.adset
        if level == "campaign":
            return node.adset.campaign
    return node


def _picture(name: str) -> Reply:
    """A coloured square that stands for a creative's picture."""
    hue = int(share_of("hue", name.partition("_")[0]) * 360)
    size = 64 if "p64" in name else 600
    body = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}">'
        f'<rect width="100%" height="100%" fill="hsl({hue},55%,60%)"/></svg>'
    )
    return Reply(body=body.encode(), media_type="image/svg+xml")
