"""What the tests of this folder share: a small client, and how an event is read out of the overlapping lists."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import requests

from emulator.meta.catalog import AD_STATUSES
from emulator.world import Account

AS_OF = date(2026, 11, 19)
VERSION = "v26.0"
ALL_ADS = json.dumps([{"field": "ad.effective_status", "operator": "IN", "value": list(AD_STATUSES)}])

_TIERS = {
    "purchase": (
        ("omni_purchase",),
        ("purchase",),
        (
            "offsite_conversion.fb_pixel_purchase",
            "onsite_conversion.purchase",
            "onsite_web_purchase",
            "onsite_app_purchase",
            "app_custom_event.fb_mobile_purchase",
            "web_in_store_purchase",
        ),
    ),
    "lead": (
        ("lead",),
        ("offsite_conversion.fb_pixel_lead", "onsite_conversion.lead_grouped", "leadgen.other"),
    ),
}


def by_tier(row: dict[str, Any], event: str, field_name: str = "actions") -> Decimal:
    """The truth of an event in a row: the highest tier that is there."""
    values = {each["action_type"]: Decimal(each["value"]) for each in row.get(field_name, [])}
    for tier in _TIERS[event]:
        found = [values[name] for name in tier if name in values]
        if found:
            return sum(found, Decimal(0))
    return Decimal(0)


def span(first: date, last: date) -> str:
    """`time_range`"""
    return json.dumps({"since": first.isoformat(), "until": last.isoformat()})


def days(first: date, last: date) -> list[date]:
    """Every day of the period."""
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


@dataclass
class Answer:
    """One answer."""

    response: requests.Response

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def json(self) -> Any:
        return self.response.json()

    @property
    def rows(self) -> list[dict[str, Any]]:
        assert "data" in self.json, self.response.text
        return self.json["data"]

    @property
    def next(self) -> str | None:
        return self.json.get("paging", {}).get("next")

    @property
    def after(self) -> str:
        return self.json["paging"]["cursors"]["after"]

    @property
    def error(self) -> tuple[int, int | None]:
        """Code and subcode."""
        assert "error" in self.json, self.response.text
        return self.json["error"]["code"], self.json["error"].get("error_subcode")

    @property
    def message(self) -> str:
        return self.json["error"]["message"]

    def header(self, name: str) -> Any:
        return json.loads(self.response.headers[name])


@dataclass
class Api:
    """Calls with a token in the header."""

    base: str
    token: str
    session: requests.Session = field(default_factory=requests.Session)

    def call(self, method: str, path: str, version: str = VERSION, **options: Any) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        prefix = f"/{version}" if version else ""
        return Answer(
            self.session.request(
                method,
                f"{self.base}{prefix}{path}",
                headers=headers,
                timeout=20,
                allow_redirects=False,
                **options,
            )
        )

    def get(self, path: str, version: str = VERSION, **parameters: Any) -> Answer:
        return self.call("GET", path, version, params=parameters)

    def post(self, path: str, version: str = VERSION, **form: Any) -> Answer:
        return self.call("POST", path, version, data=form)

    def pages(self, path: str, **parameters: Any) -> list[list[dict[str, Any]]]:
        """All pages: on as long as `next` is there, by cursor."""
        found = []
        while True:
            answer = self.get(path, **parameters)
            found.append(answer.rows)
            if answer.next is None:
                return found
            parameters["after"] = answer.after
            assert len(found) < 200

    def all(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        return [row for page in self.pages(path, **parameters) for row in page]

    def daily(
        self, account: Account | str, first: date, last: date, fields: str, **more: Any
    ) -> list[dict[str, Any]]:
        """Rows by ad and day, deleted and archived ads included."""
        number = account if isinstance(account, str) else account.account_id
        asked = {"level": "ad", "time_increment": 1, "filtering": ALL_ADS, "limit": 500, **more}
        return self.all(f"/act_{number}/insights", fields=fields, time_range=span(first, last), **asked)
