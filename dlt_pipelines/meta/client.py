"""Calls to the Marketing API -> pages of plain dicts (of InsightRows where asked for). Imports neither dlt nor Prefect.

Paging  `paging.next` is never followed: it holds the token and the vendor's host name. The same request is sent again
        with `after`, as long as `next` is there: empty and short pages in the middle are normal. A cursor that comes
        back ends in PartialDataError; a stale one (2642) begins the edge again, so rows may come twice and whoever
        takes them merges by key.
Sizes   on "reduce the amount of data" the page shrinks step by step and grows again after some that went well; at
        one row the window is too large (TooMuchDataError)
Raises  AuthError, AccessDeniedError, QuotaError, TransientError, TooMuchDataError, ContractError, PartialDataError
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import orjson
from requests.structures import CaseInsensitiveDict

from dlt_pipelines.common.errors import (
    AccessDeniedError,
    AegisError,
    ContractError,
    PartialDataError,
    TooMuchDataError,
    TransientError,
)
from dlt_pipelines.common.http import Answer, Http, Parse
from dlt_pipelines.common.tokens import Secret
from dlt_pipelines.common.windows import Window, chunks
from dlt_pipelines.meta import fields as f
from dlt_pipelines.meta.errors import (
    BatchTimeoutError,
    Judge,
    ReduceDataError,
    StaleCursorError,
    SyncTimeoutError,
    UnknownFieldError,
    UnreadableCreativeError,
    throttle,
    utilisation,
)
from dlt_pipelines.meta.reports import Polling, Query, Reports
from dlt_pipelines.meta.rows import read_page

Row = dict[str, Any]
Page = list[Any]

LADDER = (500, 250, 100, 50, 25, 10, 5, 1)
ENTITY_PAGE, CREATIVE_PAGE, INSIGHTS_PAGE = 100, 50, 500
REPORT_DAYS = 7  # of a run; several run side by side
GROW_AFTER = 5
RESTARTS = 3
STATUSES = {"campaign": f.CAMPAIGN_STATUSES, "adset": f.ADSET_STATUSES, "ad": f.AD_STATUSES}
IDS_A_CALL = 50
BATCH = 50


@dataclass(frozen=True)
class App:
    """The registered app; its secret signs every call and exchanges tokens."""

    app_id: str
    secret: Secret = field(repr=False)


@dataclass(frozen=True)
class Grant:
    """A token the platform issued. `expires_at` is None where it never ends or the platform did not say."""

    token: Secret
    expires_at: dt.datetime | None


class Client:
    """One token.

    notes         what a person should know: dropped fields, another version
    throttle      percent that the reports' own header showed last
    answered_at   the platform's clock at its last answer
    """

    def __init__(
        self,
        http: Http,
        *,
        version: str = f.API_VERSION,
        app: App | None = None,
        polling: Polling | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.http = http
        self.version = check_version(version)
        self.app = app
        self.polling = polling or Polling()
        self.notes: list[str] = []
        self._judge = Judge()
        self.clock = clock
        self.throttle = 0.0
        self.answered_at: dt.datetime | None = None
        self._dropped: set[str] = set()

    def __repr__(self) -> str:
        return f"Client({self.version})"

    # one call

    def call(
        self,
        method: str,
        path: str,
        account: str = "",
        params: Mapping[str, Any] | None = None,
        form: Mapping[str, Any] | None = None,
        parse: Parse = orjson.loads,
    ) -> Any:
        content = dict(params or {})
        if self.app is not None and self.http.token is not None:
            content["appsecret_proof"] = proof(self.app.secret, self.http.token)
        return self.http.call(
            method, f"/{self.version}{path}", self._checked, account=account, params=content, form=form,
            parse=parse,
        )  # fmt: skip

    def _checked(self, answer: Answer) -> Any:
        served = answer.headers.get("facebook-api-version")
        if served and served != self.version:
            self.note(f"Meta answered in version {served}, not {self.version}.")
        # Errors carry these headers too, and a refused call is when they matter most.
        self.http.usage.quota = {"percent": utilisation(answer.headers)}
        self.throttle = throttle(answer.headers, self.throttle)
        self.answered_at = _moment(answer.headers.get("Date")) or self.answered_at
        return self._judge(answer)

    def batch(self, account: str, addresses: Sequence[str]) -> list[Row | AegisError | None]:
        """GET each address, up to 50 in a call: what it answers or its error; nothing where the platform never got
        to it, also when asked again.
        """
        found: list[Row | AegisError | None] = [None] * len(addresses)
        left, size = list(range(len(addresses))), BATCH
        for _ in range(1 + RESTARTS):
            skipped: list[int] = []
            for begin in range(0, len(left), size):
                part = left[begin : begin + size]
                asked = [{"method": "GET", "relative_url": addresses[place]} for place in part]
                try:
                    elements = self.call("POST", "/", account, form={"batch": _json(asked)})
                except BatchTimeoutError:
                    # The rest of this round is asked for in smaller parts.
                    size = max(1, size // 2)
                    skipped += left[begin:]
                    break
                if not isinstance(elements, list) or len(elements) != len(part):
                    raise PartialDataError(
                        "Meta answered a batch with another number of answers.", "Try again later."
                    )
                skipped += [place for place, one in zip(part, elements, strict=True) if one is None]
                for place, one in zip(part, elements, strict=True):
                    if one is not None:
                        found[place] = self._element(one)
                self._heed([one for one in elements if one is not None])
            left = skipped
            if not left:
                break
        return found

    def _element(self, element: Any) -> Row | AegisError:
        """One answer of a batch, judged like one of its own."""
        text = element.get("body") if isinstance(element, dict) else None
        try:
            data, is_json = orjson.loads(text or ""), True
        except orjson.JSONDecodeError:
            data, is_json = None, False
        code = element.get("code") if isinstance(element, dict) else None
        try:
            judged = self._checked(
                Answer(code if isinstance(code, int) else 500, _headers(element), data, is_json)
            )
        except AegisError as problem:
            self.http.usage.failed += 1
            return problem
        if isinstance(judged, dict):
            return judged
        return ContractError("Meta answered with a list where an object was expected.", "Try again later.")

    def _heed(self, elements: Sequence[Any]) -> None:
        """Each answer of a batch is a call to the platform's mind, and has its own usage headers."""
        self.http.usage.calls += max(0, len(elements) - 1)
        fullest = max((_headers(one) for one in elements), key=utilisation, default=None)
        if fullest is not None:
            self.http.rest(self.http.pace(fullest))

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def get(self, path: str, account: str = "", parse: Parse = orjson.loads, **params: Any) -> Row:
        found = self.call("GET", path, account, params, parse=parse)
        if not isinstance(found, dict):
            raise ContractError("Meta answered with a list where an object was expected.", "Try again later.")
        return found

    # pages

    def pages(
        self,
        path: str,
        account: str,
        fields: Sequence[str],
        limit: int,
        parse: Parse = orjson.loads,
        **params: Any,
    ) -> Iterator[Page]:
        """All pages of an edge. Fields the platform does not know (any more) are dropped and noted."""
        size, good = limit, 0
        after: str | None = None
        seen: set[str] = set()
        restarts = 0
        while True:
            asked = self.known(fields)
            content = {**params, "limit": size}
            if asked:
                content["fields"] = ",".join(asked)
            if after is not None:
                content["after"] = after
            try:
                answer = self.get(path, account, parse, **content)
            except UnknownFieldError as problem:
                self.drop(problem, asked)
                continue
            except StaleCursorError as problem:
                restarts += 1
                if restarts > RESTARTS:
                    raise PartialDataError(
                        f"{problem.message} Beginning again did not help.", "Try again later."
                    ) from None
                after, seen = None, set()
                continue
            except ReduceDataError as problem:
                size, good = self._smaller(size, problem), 0
                continue
            rows = answer.get("data")
            if not isinstance(rows, list):
                raise PartialDataError("Meta answered with a page that has no rows.", "Try again later.")
            yield rows
            paging = answer.get("paging")
            if not isinstance(paging, dict) or not paging.get("next"):
                return
            cursors = paging.get("cursors")
            cursor = cursors.get("after") if isinstance(cursors, dict) else None
            if not isinstance(cursor, str) or not cursor:
                raise PartialDataError("Meta announced a next page without a cursor.", "Try again later.")
            if cursor in seen:
                raise PartialDataError(
                    "Meta's next page points to a page that was read already.", "Try again later."
                )
            seen.add(cursor)
            after = cursor
            good += 1
            if good >= GROW_AFTER and size < limit:
                size, good = _larger(size, limit), 0

    def _smaller(self, size: int, problem: ReduceDataError) -> int:
        for step in LADDER:
            if step < size:
                return step
        raise TooMuchDataError(f"{problem.message} A page of one row is too much.", problem.hint) from None

    def known(self, fields: Sequence[str]) -> list[str]:
        """These fields without those the platform has refused."""
        return [name for name in fields if name not in self._dropped]

    def drop(self, problem: UnknownFieldError, asked: Sequence[str]) -> None:
        known = [name for name in asked if name.partition("{")[0] == problem.field]
        if not known or problem.field in f.NEEDED:
            raise problem
        self._dropped.update(known)
        self.note(f"Meta does not know the field {problem.field} any more: it is left out.")

    # who and what

    def me(self) -> Row:
        return self.get("/me", fields="id,name")

    def accounts(self) -> list[Row]:
        """The ad accounts the token may see."""
        found: dict[str, Row] = {}
        for page in self.pages("/me/adaccounts", "", f.entity_fields(f.ACCOUNTS), ENTITY_PAGE):
            for row in page:
                if isinstance(row, dict) and row.get("account_id"):
                    found[str(row["account_id"])] = row
        return list(found.values())

    def account(self, account: str) -> Row:
        asked = self.known(f.entity_fields(f.ACCOUNTS))
        try:
            return self.get(f"/act_{account}", account, fields=",".join(asked))
        except UnknownFieldError as problem:
            self.drop(problem, asked)
            return self.account(account)

    def campaigns(self, account: str) -> Iterator[Page]:
        return self._edge(account, "campaigns", "campaign", f.CAMPAIGNS, f.CAMPAIGN_STATUSES, ENTITY_PAGE)

    def adsets(self, account: str) -> Iterator[Page]:
        return self._edge(account, "adsets", "adset", f.ADSETS, f.ADSET_STATUSES, ENTITY_PAGE)

    def ads(self, account: str) -> Iterator[Page]:
        return self._edge(account, "ads", "ad", f.ADS, f.AD_STATUSES, ENTITY_PAGE)

    def creatives(self, account: str) -> Iterator[Page]:
        """All creatives; a page with a story that cannot be read is asked for without the stories."""
        path, fields = f"/act_{account}/adcreatives", f.entity_fields(f.CREATIVES)
        try:
            yield from self.pages(path, account, fields, CREATIVE_PAGE)
        except UnreadableCreativeError:
            self.note("Some creatives cannot be read in full: their stories are left out.")
            fewer = [name for name in fields if name not in ("object_story_spec", "asset_feed_spec")]
            yield from self.pages(path, account, fewer, CREATIVE_PAGE)

    def _edge(
        self, account: str, edge: str, kind: str, table: f.Table, statuses: Sequence[str], limit: int
    ) -> Iterator[Page]:
        """Archived and deleted objects too; where the platform refuses DELETED, without those."""
        path, fields = f"/act_{account}/{edge}", f.entity_fields(table)
        try:
            yield from self.pages(path, account, fields, limit, filtering=_of_status(kind, statuses))
        except ContractError as problem:
            if not str(getattr(problem, "code", "")).startswith("100"):
                raise
            kept = [status for status in statuses if status != "DELETED"]
            yield from self.pages(path, account, fields, limit, filtering=_of_status(kind, kept))

    def ads_by_id(self, account: str, ids: Iterable[str]) -> Iterator[Page]:
        """Ads that no edge shows: nodes of deleted objects stay readable. Ids the platform forgot are left out."""
        wanted = sorted(set(ids))
        fields = ",".join(f.entity_fields(f.ADS))
        for begin in range(0, len(wanted), IDS_A_CALL):
            part = wanted[begin : begin + IDS_A_CALL]
            try:
                answer = self.get("/", account, ids=",".join(part), fields=fields)
            except (AccessDeniedError, ContractError):
                self.note(f"{len(part)} deleted ads could not be read any more.")
                continue
            yield [row for row in answer.values() if isinstance(row, dict)]

    # reports

    def insights(
        self,
        account: str,
        first: dt.date,
        last: dt.date,
        level: str,
        table: f.Table,
        *,
        is_async: bool = False,
        conditions: Sequence[Mapping[str, Any]] = (),
        fields: Sequence[str] | None = None,
        raw: bool = False,
    ) -> Iterator[Page]:
        """Daily rows of a level, archived and deleted ads included; `fields` other than the table's.

        With `raw`, pages hold InsightRows where the platform's answer allows it.

        Grain   object of the level and day (account's time zone); no delivery, no row
        Units   money in major units of the account's currency; every scalar is text
        Window  inclusive on both ends; figures of the last 28 days are restated
        """
        params: dict[str, Any] = {
            "level": level,
            "time_increment": 1,
            "time_range": _days(Window(first, last)),
            "action_attribution_windows": _json(list(f.ATTRIBUTION_WINDOWS)),
        }
        filters = list(conditions)
        if level in STATUSES:
            filters.append(_status_condition(level, STATUSES[level]))
        if filters:
            params["filtering"] = _json(filters)
        asked = tuple(fields) if fields is not None else f.insight_fields(table, level)
        parse = read_page if raw else orjson.loads
        if not is_async:
            try:
                yield from self.pages(
                    f"/act_{account}/insights", account, asked, INSIGHTS_PAGE, parse, **params
                )
                return
            except SyncTimeoutError:
                self.note("Meta took too long for a report: it was asked for asynchronously.")
        yield from Reports(self, account).read(
            (
                Query(asked, {**params, "time_range": _days(part)})
                for part in chunks(Window(first, last), REPORT_DAYS)
            ),
            parse,
        )

    # consent

    def consent_url(self, app_id: str, redirect: str, state: str, dialog_url: str = f.DIALOG_URL) -> str:
        """Where a person agrees. Holds no secret."""
        query = {
            "client_id": app_id,
            "redirect_uri": redirect,
            "state": state,
            "scope": ",".join(f.SCOPES),
            "response_type": "code",
        }
        return f"{dialog_url.rstrip('/')}/{self.version}/dialog/oauth?{urlencode(query)}"

    def redeem(self, code: Secret, redirect: str, now: dt.datetime) -> Grant:
        """The dialog's code to a short-lived token; `redirect` is byte for byte the dialog's."""
        return self._oauth({"redirect_uri": redirect, "code": code.reveal()}, now)

    def exchange(self, token: Secret, now: dt.datetime) -> Grant:
        """A valid user token to a fresh one of 60 days. Raises AuthError for one that has expired."""
        return self._oauth({"grant_type": "fb_exchange_token", "fb_exchange_token": token.reveal()}, now)

    def _oauth(self, content: Mapping[str, str], now: dt.datetime) -> Grant:
        """In the body, not in the address: addresses end up in logs."""
        app = self.need_app()
        answer = self.http.call(
            "POST",
            f"/{self.version}/oauth/access_token",
            self._judge,
            form={"client_id": app.app_id, "client_secret": app.secret.reveal(), **content},
            with_token=False,
        )
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise ContractError("Meta gave no token.", "Begin again with `aegis account connect meta`.")
        seconds = answer.get("expires_in")
        known = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and seconds > 0
        return Grant(Secret(token), now + dt.timedelta(seconds=float(seconds)) if known else None)

    def describe_token(self, token: Secret) -> Row:
        """What the platform says about a token: kind, scopes, when it ends. Needs the app's secret."""
        app = self.need_app()
        http = Http(
            self.http.base_url,
            Secret(f"{app.app_id}|{app.secret.reveal()}"),
            self.http.patience,
            sleep=self.http.sleep,
            usage=self.http.usage,
            session=self.http.session,
        )
        answer = http.call(
            "POST",
            f"/{self.version}/debug_token",
            self._judge,
            form={"input_token": token.reveal(), "method": "GET"},
        )
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, dict):
            raise TransientError("Meta did not describe the token.", "Try again later.")
        return data

    def need_app(self) -> App:
        if self.app is None:
            raise ContractError(
                "The app's id and secret are not known.",
                "Set AEGIS_META_APP_ID and AEGIS_META_APP_SECRET, or give a system user's token with --token-stdin.",
            )
        return self.app


def check_version(version: str) -> str:
    """v26.0 and the like; anything else would become part of an address."""
    major, dot, minor = version.removeprefix("v").partition(".")
    if not (version.startswith("v") and dot and major.isdecimal() and minor.isdecimal()):
        raise ContractError(f"{version!r} is no version of the API.", "Write it like v26.0.")
    return version


def bare_id(account: str) -> str:
    """act_123 and 123 to 123. Raises ContractError for anything else."""
    bare = account.strip().removeprefix("act_")
    if not bare.isascii() or not bare.isdigit() or len(bare) > 30:
        raise ContractError(f"{account!r} is no Meta ad account.", "Give its number, like 123 or act_123.")
    return bare


def proof(secret: Secret, token: Secret) -> str:
    """appsecret_proof"""
    return hmac.new(secret.reveal().encode(), token.reveal().encode(), hashlib.sha256).hexdigest()


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _days(window: Window) -> str:
    return _json({"since": window.first.isoformat(), "until": window.last.isoformat()})


def _headers(element: Any) -> CaseInsensitiveDict[str]:
    """The headers of an answer inside a batch, which come as a list of names and values."""
    listed = element.get("headers") if isinstance(element, dict) else None
    pairs = [each for each in listed or () if isinstance(each, dict)] if isinstance(listed, list) else []
    return CaseInsensitiveDict({str(each.get("name")): str(each.get("value")) for each in pairs})


def _moment(text: str | None) -> dt.datetime | None:
    try:
        return parsedate_to_datetime(text) if text else None
    except ValueError:
        return None


def _status_condition(kind: str, statuses: Sequence[str]) -> dict[str, Any]:
    return {"field": f"{kind}.effective_status", "operator": "IN", "value": list(statuses)}


def _of_status(kind: str, statuses: Sequence[str]) -> str:
    return _json([_status_condition(kind, statuses)])


def _larger(size: int, limit: int) -> int:
    above = [step for step in LADDER if size < step <= limit]
    return above[-1] if above else limit
