"""Meta as sync.py drives it: which calls make up an account's entities and figures.

AEGIS_META_BASE_URL      instead of https://graph.facebook.com
AEGIS_META_API_VERSION   instead of the version in fields.py
AEGIS_META_APP_ID, AEGIS_META_APP_SECRET   the registered app: renews tokens and signs calls with appsecret_proof
A credential's own address and version win over these.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dlt_pipelines.common import collector
from dlt_pipelines.common.credentials import Credential
from dlt_pipelines.common.errors import TooMuchDataError
from dlt_pipelines.common.http import Http, Patience, Usage
from dlt_pipelines.common.spool import Shelf
from dlt_pipelines.common.sync import Described, Pull
from dlt_pipelines.common.tokens import Secret
from dlt_pipelines.common.windows import Window, local_day, months_before
from dlt_pipelines.meta import fields as f
from dlt_pipelines.meta.client import App, Client, Grant, Polling
from dlt_pipelines.meta.errors import TooOldError, pace
from dlt_pipelines.meta.ladder import Ladder
from dlt_pipelines.meta.mapper import Mapper

if TYPE_CHECKING:
    from dlt.sources import DltSource

GROUP_ROWS = 2_000  # 4 kB each, and 15 kB as dicts
ASYNC_FROM_ROWS = 10_000  # expected rows of a window above which a report is asked for asynchronously
HIDDEN = {"ARCHIVED", "DELETED"}
SUSPENDED = {2, 100, 101}
RENEW_AFTER = dt.timedelta(days=1)


def client(
    token: Secret | None,
    *,
    base_url: str | None = None,
    api_version: str | None = None,
    environ: Mapping[str, str] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    patience: Patience | None = None,
    polling: Polling | None = None,
    sleep: Callable[[float], None] = time.sleep,
    notice: Callable[[str], None] = lambda text: None,
) -> Client:
    """A client by credential, environment and defaults, in this order."""
    environ = os.environ if environ is None else environ
    app_id, secret = environ.get("AEGIS_META_APP_ID"), environ.get("AEGIS_META_APP_SECRET")
    http = Http(
        base_url or environ.get("AEGIS_META_BASE_URL") or f.BASE_URL,
        token,
        patience or Patience(),
        sleep=sleep,
        cancelled=cancelled,
        pace=pace,
        notice=notice,
    )
    return Client(
        http,
        version=api_version or environ.get("AEGIS_META_API_VERSION") or f.API_VERSION,
        app=App(app_id, Secret(secret)) if app_id and secret else None,
        polling=polling,
    )


def build(credential: Credential, **options: Any) -> MetaConnector:
    """The connector of one credential; options as of `client`."""
    return MetaConnector(
        client(credential.token, base_url=credential.base_url, api_version=credential.api_version, **options)
    )


def renewed(credential: Credential, now: dt.datetime, **options: Any) -> Grant | None:
    """A fresh token where the stored one is a person's, at least a day old and still good; else none.

    There is no refresh token, and an expired one cannot be exchanged: exchanging each day leaves all sixty to notice
    that it no longer works. Raises as `Client.exchange` does; the stored token is good either way.
    """
    if credential.kind != "user" or (credential.expires_at is not None and credential.expires_at <= now):
        return None
    if credential.issued_at is not None and now - credential.issued_at < RENEW_AFTER:
        return None
    options.setdefault("patience", Patience(tries=2, longest_wait=0.0))
    one = client(
        credential.token, base_url=credential.base_url, api_version=credential.api_version, **options
    )
    return one.exchange(credential.token, now) if one.app is not None else None


def described(row: Mapping[str, Any]) -> Described:
    """An account's own words about itself."""
    status = row.get("account_status")
    return Described(
        row.get("name"),
        row.get("currency"),
        row.get("timezone_name"),
        isinstance(status, int) and status in SUSPENDED,
    )


class MetaConnector:
    """See `common.sync.Connector`."""

    platform = "meta"
    window_days = f.WINDOW_DAYS
    history_days = f.HISTORY_DAYS

    def __init__(self, client: Client) -> None:
        self.client = client
        self._account: dict[str, Any] = {}
        self._ads: set[str] | None = None
        self._live = 0

    def __repr__(self) -> str:
        return "MetaConnector(…)"

    @property
    def usage(self) -> Usage:
        return self.client.http.usage

    @property
    def notes(self) -> list[str]:
        return self.client.notes

    def describe(self, account: str) -> Described:
        self._account = self.client.account(account)
        return described(self._account)

    def entities(self, account: str) -> Pull:
        pull = Pull()
        _take(pull, Mapper(f.ACCOUNTS, account), [[self._account or self.client.account(account)]])
        _take(pull, Mapper(f.CAMPAIGNS, account), self.client.campaigns(account))
        _take(pull, Mapper(f.ADSETS, account), self.client.adsets(account))
        _take(pull, Mapper(f.ADS, account), self.client.ads(account))
        self._ads = set(_ids(pull, "ads", "ad_id"))
        self._live = sum(status not in HIDDEN for status in _ids(pull, "ads", "effective_status"))
        _take(pull, Mapper(f.CREATIVES, account), self.client.creatives(account))
        return pull

    def facts(self, account: str, window: Window) -> Pull:
        """Every ad's days, and the platform's own totals of them. What it no longer keeps is left out, and said."""
        try:
            return self._facts(account, window)
        except TooOldError:
            since = self._oldest()
            if since is None or since <= window.first:
                raise
        self.client.note(f"Meta keeps figures since {since} only.")
        pull = Pull() if since > window.last else self._facts(account, Window(since, window.last))
        pull.since = since
        return pull

    def _oldest(self) -> dt.date | None:
        """The first day of 37 months, by the platform's own clock."""
        now, zone = self.client.answered_at, self._account.get("timezone_name")
        if now is None:
            return None
        return months_before(local_day(now, zone or "UTC"), f.HISTORY_MONTHS) + dt.timedelta(days=1)

    def _facts(self, account: str, window: Window) -> Pull:
        pull = Pull()
        ads = Mapper(f.INSIGHTS, account, window)
        is_async = self._live * window.days > ASYNC_FROM_ROWS
        try:
            _take(pull, ads, self._report(account, window, "ad", f.INSIGHTS, is_async))
        except TooMuchDataError:
            if window.days > 1:
                raise
            pull, ads = Pull(), Mapper(f.INSIGHTS, account, window)
            _take(pull, ads, Ladder(self.client, account, window.first, is_async=is_async).pages())
        pull.days = ads.days
        for level in ("campaign", "account"):
            totals = Mapper(f.TOTALS, account, window, level)
            _take(pull, totals, self._report(account, window, level, f.TOTALS, False))
        self._add_missing_ads(account, pull, ads.ids())
        return pull

    def _report(
        self, account: str, window: Window, level: str, table: f.Table, is_async: bool
    ) -> Iterator[list[Any]]:
        return self.client.insights(
            account, window.first, window.last, level, table, is_async=is_async, raw=table is f.INSIGHTS
        )

    def _add_missing_ads(self, account: str, pull: Pull, ads: set[str]) -> None:
        """Ads that have figures and stand on no edge any more."""
        if self._ads is None:
            return
        missing = ads - self._ads
        if missing:
            self._ads |= missing
            _take(pull, Mapper(f.ADS, account), self.client.ads_by_id(account, missing))

    def source(self, tables: Mapping[str, Iterator[Any]]) -> DltSource:
        from dlt_pipelines.meta.source import meta

        return meta(tables)


def _take(pull: Pull, mapper: Mapper, pages: Iterable[list[Any]]) -> None:
    """Pages through the mapper, a few thousand rows at a time."""
    tables = pull.tables.setdefault(mapper.table.name, Shelf())
    group: list[Any] = []
    with collector.paused():
        for page in pages:
            group += page
            pull.rows_read += len(page)
            if len(group) >= GROUP_ROWS:
                tables.append(mapper.map(group))
                group = []
        if group:
            tables.append(mapper.map(group))
    pull.refused += mapper.refused
    mapper.refused = []


def _ids(pull: Pull, table: str, column: str) -> list[str]:
    found: list[str] = []
    for each in pull.tables.get(table, ()):
        found += each.column(column).to_pylist()
    return found
