"""The cast: three demo tenants, their accounts and shops, and what each campaign is meant to be.

Everything here is data; all amounts are in the account's currency. The names of campaigns are what people
write, placeholders `{season}`, `{month}` and `{year}` are those of the campaign's first day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from emulator.world.records import Account, Tenant

CREEP_EVERY = 180


@dataclass(frozen=True)
class SetPlan:
    """An ad set (or asset group): its share of the campaign, how well it converts, how many ads it has."""

    name: str
    ads: int
    weight: float = 1.0
    cvr: float = 1.0


@dataclass(frozen=True)
class CampaignPlan:
    """One campaign slot.

    Evergreen, or started anew every `period` days for `life` days each (then `removed_after` days later
    deleted). A `limited` campaign always spends its budget; another one `pace` of it, more or less with
    demand. `roas` (value / spend) or `cpa` is what the platform reports in the long run. `pause` is (every,
    off): the last `off` of each `every` days are paused. With `creep` impressions grow dearer, up to that
    factor within `CREEP_EVERY` days, then the bids are reset.
    """

    slot: int
    account: str
    name: str
    role: str
    objective: str
    budget: float
    cpm: float
    ctr: float
    sets: tuple[SetPlan, ...]
    roas: float = 0.0
    cpa: float = 0.0
    aov: float = 0.0
    target_roas: float | None = None
    target_cpa: float | None = None
    pace: float = 0.8
    limited: bool = False
    phase: int = 0
    period: int | None = None
    life: int | None = None
    removed_after: int | None = None
    pause: tuple[int, int] | None = None
    refresh: int = 75
    fatigue: bool = False
    zero_share: float = 0.0
    budget_steps: tuple[float, ...] = (1.0,)
    budget_every: int = 60
    target_steps: tuple[float, ...] = (1.0,)
    rename_every: int | None = None
    weekend_cvr: float = 1.0
    creep: float = 1.0
    creep_phase: int = 0
    test_ads: bool = False
    shared_ads: bool = False
    asset_groups: bool = False

    @property
    def is_lead(self) -> bool:
        """True where the conversion is a lead, which has no value."""
        return self.target_cpa is not None

    @property
    def cvr(self) -> float:
        """Conversions per link click that yield the planned ROAS or CPA."""
        spend_per_click = self.cpm / 1000.0 / self.ctr
        return spend_per_click / self.cpa if self.is_lead else spend_per_click * self.roas / self.aov

    @property
    def conversions_a_day(self) -> float:
        """Conversions of an ordinary day."""
        spend = self.budget * (0.97 if self.limited else self.pace)
        return spend / self.cpa if self.is_lead else spend * self.roas / self.aov


@dataclass(frozen=True)
class Product:
    """One product of a shop; price in the shop's currency, without tax."""

    slug: str
    title: str
    price: float


@dataclass(frozen=True)
class TenantPlan:
    """One tenant with accounts (by key), campaigns, products and what its shop sells without ads."""

    tenant: Tenant
    accounts: dict[str, Account]
    shop: Account
    campaigns: tuple[CampaignPlan, ...]
    products: tuple[Product, ...]
    organic_orders: float
    tax: float
    shipping: float


def _accounts(tenant: Tenant, rows: list[tuple[str, str, str, str, str, str]]) -> dict[str, Account]:
    return {
        key: Account(tenant.tenant_id, platform, account_id, key, name, currency, timezone)
        for key, platform, account_id, name, currency, timezone in rows
    }


def _sets(*rows: tuple[Any, ...]) -> tuple[SetPlan, ...]:
    return tuple(SetPlan(*row) for row in rows)


_TORONTO, _NEW_YORK, _LOS_ANGELES = "America/Toronto", "America/New_York", "America/Los_Angeles"
_BERLIN, _LONDON, _TOKYO = "Europe/Berlin", "Europe/London", "Asia/Tokyo"

_OUTDOOR = Tenant(
    "0a11ce00-0000-4000-8000-000000000001", "outdoor", "Northwind Outdoor", "CAD", _TORONTO, "outdoor", "CA"
)
_HOME = Tenant(
    "0a11ce00-0000-4000-8000-000000000002", "home", "Birkenhain Wohnen", "EUR", _BERLIN, "home", "DE"
)
_BEAUTY = Tenant(
    "0a11ce00-0000-4000-8000-000000000003",
    "beauty",
    "Saltmarsh Skincare",
    "USD",
    _LOS_ANGELES,
    "beauty",
    "US",
)


def _outdoor() -> TenantPlan:
    campaigns = (
        CampaignPlan(
            0, "meta_us", "US | Prospecting | Tents & Shelters", "winner", "OUTCOME_SALES", 420, 13, 0.0155,
            _sets(("Broad 25-54", 3, 1.2), ("LAL 2% purchasers", 2), ("Interest – Hiking", 2, 0.7)),
            roas=5.3, aov=150, target_roas=2.8, limited=True, budget_steps=(1.0, 1.1, 0.95), budget_every=63,
        ),
        CampaignPlan(
            1, "meta", "CA | Retargeting | Site visitors 30d", "steady", "OUTCOME_SALES", 260, 17, 0.021,
            _sets(("Visitors 30d", 3, 1.3), ("Video viewers 50%", 2)),
            roas=5.0, aov=118, target_roas=4.0, pace=0.74, test_ads=True, creep=1.9, creep_phase=90,
        ),
        CampaignPlan(
            2, "meta", "CA | Prospecting | Backpacks – Video", "fatigue", "OUTCOME_SALES", 300, 12, 0.017,
            _sets(("Broad 18-44", 2, 1.2), ("LAL 1% add to cart", 2)),
            roas=3.9, aov=105, target_roas=3.0, pace=0.88, fatigue=True, refresh=84,
        ),
        CampaignPlan(
            3, "meta", "CA | Leads | Trip planner guide", "lead", "OUTCOME_LEADS", 150, 10, 0.016,
            _sets(("LAL 1% subscribers", 2, 0.65), ("Broad 18-65", 2, 0.35, 0.33)),
            cpa=11.0, target_cpa=12.0, pace=0.82,
        ),
        CampaignPlan(
            4, "meta_us", "US | Launch | {season} {year} collection", "launched", "OUTCOME_SALES", 180, 12.5, 0.015,
            _sets(("Broad 25-54", 3), ("LAL 3% visitors", 2, 0.8)),
            roas=3.2, aov=128, target_roas=2.8, phase=12, period=100, life=140,
        ),
        CampaignPlan(
            5, "tiktok", "CA | Broad | Trail shoes – Spark", "loser", "WEB_CONVERSIONS", 200, 7, 0.0105,
            _sets(("Broad 18-34", 3), ("Outdoor interests", 2)),
            roas=1.25, aov=98, target_roas=2.6, pace=0.9,
        ),
        CampaignPlan(
            6, "tiktok", "CA | Test | Creators {month} {year}", "learning", "WEB_CONVERSIONS", 70, 7.5, 0.011,
            _sets(("Creators A", 3),),
            roas=1.9, aov=88, target_roas=2.4, pace=0.7, phase=5, period=45, life=60, removed_after=30,
        ),
        CampaignPlan(
            7, "tiktok", "CA | Prospecting | Base layers", "steady", "WEB_CONVERSIONS", 260, 7, 0.0112,
            _sets(("Women 25-44", 2), ("Men 25-44", 2), ("LAL purchasers", 2, 0.8)),
            roas=2.75, aov=74, target_roas=2.6, pace=0.76, budget_steps=(1.0, 1.45), budget_every=52,
        ),
        CampaignPlan(
            8, "google", "Search | Brand | EN-CA", "brand", "SEARCH", 160, 75, 0.14,
            _sets(("Brand exact", 2, 1.5), ("Brand + category", 2)),
            roas=9.5, aov=126, target_roas=9.0, pace=0.6,
        ),
        CampaignPlan(
            9, "google", "Search | Generic | Camping gear", "steady", "SEARCH", 330, 80, 0.058,
            _sets(("Tents", 2, 1.2), ("Sleeping bags", 2), ("Stoves", 2, 0.6)),
            roas=3.1, aov=119, target_roas=3.0, limited=True, shared_ads=True, rename_every=150,
        ),
        CampaignPlan(
            10, "google", "PMax | All products | CA", "pmax", "PERFORMANCE_MAX", 380, 11, 0.011,
            _sets(("Tents & Shelters", 0, 1.2), ("Footwear", 0), ("Apparel", 0, 0.8)),
            roas=3.35, aov=112, target_roas=3.2, pace=0.85, asset_groups=True, target_steps=(1.0, 1.08),
        ),
        CampaignPlan(
            11, "google", "Search | Promo | {season} {year}", "ended", "SEARCH", 110, 78, 0.06,
            _sets(("Promo", 3),),
            roas=3.5, aov=110, target_roas=3.0, phase=30, period=120, life=45,
        ),
        CampaignPlan(
            12, "pinterest", "CA | Prospecting | Cabin interiors", "sinker", "WEB_CONVERSION", 115, 6.5, 0.0075,
            _sets(("Cabin & cottage", 3), ("Home decor interests", 2)),
            roas=0.6, aov=92, target_roas=2.6, pace=0.9,
        ),
        CampaignPlan(
            13, "pinterest", "US | Retargeting | Saved pins", "paused", "CATALOG_SALES", 90, 7, 0.0095,
            _sets(("Saved pins 60d", 3),),
            roas=3.5, aov=96, target_roas=2.5, pace=0.78, pause=(95, 26),
        ),
        CampaignPlan(
            14, "pinterest", "US | Always-on | Campfire recipes", "tiny", "CONSIDERATION", 9, 6, 0.008,
            _sets(("Recipes", 2),),
            roas=1.9, aov=60, pace=0.7, zero_share=0.15,
        ),
    )  # fmt: skip
    accounts = _accounts(
        _OUTDOOR,
        [
            ("meta", "meta", "238461750920317", "Northwind Outdoor CA", "CAD", _TORONTO),
            ("meta_us", "meta", "238461750944082", "Northwind Outdoor US", "USD", _NEW_YORK),
            ("tiktok", "tiktok", "7214460093125518337", "Northwind Outdoor", "CAD", _TORONTO),
            ("google", "google", "5184420937", "Northwind Outdoor Search", "CAD", _TORONTO),
            ("pinterest", "pinterest", "549761820443", "Northwind Outdoor", "USD", _NEW_YORK),
        ],
    )
    products = (
        Product("two-person-tent", "Two-person tent", 289.0),
        Product("trail-shoe", "Trail shoe", 139.0),
        Product("backpack-38l", "Backpack 38 l", 169.0),
        Product("merino-base-layer", "Merino base layer", 84.0),
        Product("gas-stove", "Gas stove", 64.0),
        Product("down-sleeping-bag", "Down sleeping bag", 259.0),
    )
    shop = Account(
        _OUTDOOR.tenant_id, "shopify", "61480029377", "shop", "Northwind Outdoor", "CAD", _TORONTO,
        "northwind-outdoor.example",
    )  # fmt: skip
    return TenantPlan(_OUTDOOR, accounts, shop, campaigns, products, 26.0, 0.13, 9.0)


def _home() -> TenantPlan:
    campaigns = (
        CampaignPlan(
            16, "google", "Suche | Generisch | Esstische", "winner", "SEARCH", 390, 66, 0.052,
            _sets(("Esstische Massivholz", 2, 1.3), ("Esstische ausziehbar", 2), ("Sitzbänke", 2, 0.6)),
            roas=6.6, aov=184, target_roas=3.5, limited=True, budget_steps=(1.0, 0.95, 1.1), budget_every=58,
        ),
        CampaignPlan(
            17, "google", "Suche | Marke | DE", "brand", "SEARCH", 150, 70, 0.15,
            _sets(("Marke exakt", 2, 1.4), ("Marke + Möbel", 2)),
            roas=10.5, aov=162, target_roas=10.0, pace=0.62,
        ),
        CampaignPlan(
            18, "google", "PMax | Alle Produkte | DE", "pmax", "PERFORMANCE_MAX", 420, 9.5, 0.0105,
            _sets(("Wohnzimmer", 0, 1.2), ("Esszimmer", 0), ("Leuchten", 0, 0.7)),
            roas=4.1, aov=158, target_roas=3.9, pace=0.84, asset_groups=True,
        ),
        CampaignPlan(
            19, "google", "Suche | Aktion | {season} {year}", "ended", "SEARCH", 120, 68, 0.055,
            _sets(("Aktion", 3),),
            roas=3.9, aov=150, target_roas=3.5, phase=70, period=120, life=45,
        ),
        CampaignPlan(
            20, "meta", "DE | Prospecting | Sofas & Sessel", "loser", "OUTCOME_SALES", 240, 9.5, 0.0135,
            _sets(("Breit 25-64", 3, 1.2), ("LAL 2% Käufer", 2)),
            roas=1.5, aov=165, target_roas=3.2, pace=0.9,
        ),
        CampaignPlan(
            21, "meta", "DE | Retargeting | Warenkorb 14 Tage", "steady", "OUTCOME_SALES", 230, 15, 0.022,
            _sets(("Warenkorb 14 Tage", 3, 1.2), ("Produktansicht 7 Tage", 2)),
            roas=5.2, aov=148, target_roas=5.0, pace=0.78, test_ads=True,
        ),
        CampaignPlan(
            22, "meta", "DE | Prospecting | Leuchten – Karussell", "fatigue", "OUTCOME_SALES", 280, 9, 0.016,
            _sets(("Breit 25-54", 2, 1.2), ("Interesse – Einrichten", 2)),
            roas=4.4, aov=96, target_roas=3.4, pace=0.86, fatigue=True, refresh=84, phase=28,
        ),
        CampaignPlan(
            23, "meta", "DE | Leads | Beratungstermin Showroom", "lead", "OUTCOME_LEADS", 140, 9, 0.014,
            _sets(("Umkreis 50 km", 2), ("LAL 1% Termine", 2, 0.9)),
            cpa=12.5, target_cpa=13.0, pace=0.85, weekend_cvr=0.30,
        ),
        CampaignPlan(
            24, "meta", "DE | Launch | Kollektion {season} {year}", "launched", "OUTCOME_SALES", 170, 9.5, 0.014,
            _sets(("Breit 25-54", 3), ("LAL 3% Besucher", 2, 0.8)),
            roas=3.6, aov=140, target_roas=3.2, phase=45, period=100, life=140,
        ),
        CampaignPlan(
            25, "tiktok", "UK | Broad | Small-space living", "sinker", "WEB_CONVERSIONS", 120, 5.5, 0.010,
            _sets(("Broad 18-44", 3), ("Home interests", 2)),
            roas=0.7, aov=88, target_roas=2.8, pace=0.9,
        ),
        CampaignPlan(
            26, "tiktok", "UK | Test | Creators {month} {year}", "learning", "WEB_CONVERSIONS", 60, 5.8, 0.0105,
            _sets(("Creators A", 3),),
            roas=2.0, aov=80, target_roas=2.5, pace=0.7, phase=20, period=45, life=60, removed_after=30,
        ),
        CampaignPlan(
            27, "tiktok", "UK | Retargeting | Video viewers", "paused", "WEB_CONVERSIONS", 90, 7, 0.014,
            _sets(("Viewers 75%", 2), ("Engagers 30d", 2)),
            roas=3.7, aov=82, target_roas=2.8, pace=0.8, pause=(95, 26), phase=15,
        ),
        CampaignPlan(
            28, "pinterest", "DE | Shopping | Katalog Wohnzimmer", "steady", "CATALOG_SALES", 290, 4.6, 0.0088,
            _sets(("Katalog breit", 3, 1.2), ("Katalog Retargeting", 2)),
            roas=3.9, aov=124, target_roas=3.7, pace=0.8, budget_steps=(1.0, 1.45), budget_every=52,
        ),
        CampaignPlan(
            29, "pinterest", "DE | Prospecting | Skandinavisch wohnen", "steady", "WEB_CONVERSION", 280, 4.8, 0.0082,
            _sets(("Interesse – Skandi", 3), ("Actalike Besucher", 2)),
            roas=3.5, aov=118, target_roas=3.3, limited=True, rename_every=150,
        ),
        CampaignPlan(
            30, "pinterest", "DE | Always-on | Pflegetipps", "tiny", "CONSIDERATION", 8, 4.5, 0.009,
            _sets(("Pflegetipps", 2),),
            roas=1.8, aov=55, pace=0.7, zero_share=0.15,
        ),
    )  # fmt: skip
    accounts = _accounts(
        _HOME,
        [
            ("meta", "meta", "238490113377405", "Birkenhain Wohnen", "EUR", _BERLIN),
            ("tiktok", "tiktok", "7229815530041770241", "Birkenhain UK", "GBP", _LONDON),
            ("google", "google", "5730916684", "Birkenhain Wohnen", "EUR", _BERLIN),
            ("pinterest", "pinterest", "549764915208", "Birkenhain Wohnen", "EUR", _BERLIN),
        ],
    )
    products = (
        Product("esstisch-eiche", "Esstisch Eiche", 649.0),
        Product("stehleuchte-bogen", "Bogenstehleuchte", 159.0),
        Product("sessel-bouclé", "Sessel Bouclé", 329.0),
        Product("kissen-leinen", "Leinenkissen", 39.0),
        Product("regal-modular", "Modulares Regal", 199.0),
        Product("teppich-wolle", "Wollteppich", 249.0),
    )
    shop = Account(
        _HOME.tenant_id, "shopify", "61733415120", "shop", "Birkenhain Wohnen", "EUR", _BERLIN,
        "birkenhain-wohnen.example",
    )  # fmt: skip
    return TenantPlan(_HOME, accounts, shop, campaigns, products, 19.0, 0.19, 14.0)


def _beauty() -> TenantPlan:
    campaigns = (
        CampaignPlan(
            32, "tiktok", "US | Prospecting | Vitamin C serum – UGC", "winner", "WEB_CONVERSIONS", 520, 6.8, 0.0115,
            _sets(("Women 25-44 broad", 3, 1.2), ("Skincare interests", 2), ("LAL 2% purchasers", 2)),
            roas=4.3, aov=62, target_roas=2.2, limited=True, budget_steps=(1.0, 1.1, 0.95), budget_every=66,
        ),
        CampaignPlan(
            33, "tiktok", "US | Retargeting | Engagers 30d", "steady", "WEB_CONVERSIONS", 210, 9, 0.015,
            _sets(("Engagers 30d", 2), ("Profile visitors", 2, 0.8)),
            roas=3.8, aov=58, target_roas=3.0, pace=0.77, creep=1.9,
        ),
        CampaignPlan(
            34, "tiktok", "US | Test | Creators {month} {year}", "learning", "WEB_CONVERSIONS", 80, 7, 0.011,
            _sets(("Creators A", 3),),
            roas=1.6, aov=54, target_roas=2.0, pace=0.7, phase=33, period=45, life=60, removed_after=30,
        ),
        CampaignPlan(
            35, "tiktok_jp", "JP | Prospecting | Sunscreen", "steady", "WEB_CONVERSIONS", 42000, 620, 0.0108,
            _sets(("Women 20-39", 3), ("Beauty interests", 2)),
            roas=2.5, aov=7400, target_roas=2.4, pace=0.8,
        ),
        CampaignPlan(
            36, "google", "Search | Generic | Retinol & serums", "loser", "SEARCH", 230, 95, 0.05,
            _sets(("Retinol", 2, 1.2), ("Face serum", 2)),
            roas=1.15, aov=64, target_roas=2.5, pace=0.88, shared_ads=True,
        ),
        CampaignPlan(
            37, "google", "Search | Brand | US", "brand", "SEARCH", 120, 80, 0.16,
            _sets(("Brand exact", 2, 1.4), ("Brand + product", 2)),
            roas=8.0, aov=66, target_roas=7.5, pace=0.6,
        ),
        CampaignPlan(
            38, "google", "PMax | Bestsellers | US", "pmax", "PERFORMANCE_MAX", 340, 12, 0.0115,
            _sets(("Serums", 0, 1.2), ("Cleansers", 0), ("Gift sets", 0, 0.6)),
            roas=2.8, aov=63, target_roas=2.7, pace=0.83, asset_groups=True, target_steps=(1.0, 1.08),
        ),
        CampaignPlan(
            39, "meta", "US | Prospecting | Cleanser – Before/After", "fatigue", "OUTCOME_SALES", 320, 14, 0.0145,
            _sets(("Women 25-54", 2, 1.2), ("LAL 1% purchasers", 2)),
            roas=3.1, aov=60, target_roas=2.4, pace=0.87, fatigue=True, refresh=84, phase=56,
        ),
        CampaignPlan(
            40, "meta", "US | Retargeting | Add to cart 7d", "steady", "OUTCOME_SALES", 210, 19, 0.022,
            _sets(("ATC 7d", 3, 1.3), ("Viewed content 14d", 2)),
            roas=3.6, aov=61, target_roas=3.5, pace=0.78, test_ads=True, rename_every=150,
        ),
        CampaignPlan(
            41, "meta", "US | Leads | Skin quiz", "lead", "OUTCOME_LEADS", 160, 12, 0.019,
            _sets(("Broad 18-45", 2), ("LAL 2% quiz takers", 2)),
            cpa=6.2, target_cpa=6.5, pace=0.84,
        ),
        CampaignPlan(
            42, "meta", "US | Launch | {season} {year} set", "launched", "OUTCOME_SALES", 190, 14, 0.0142,
            _sets(("Broad 25-54", 3), ("LAL 3% visitors", 2, 0.8)),
            roas=2.6, aov=68, target_roas=2.3, phase=78, period=100, life=140,
        ),
        CampaignPlan(
            43, "meta", "US | Promo | {season} {year} sale", "ended", "OUTCOME_SALES", 130, 15, 0.017,
            _sets(("Past purchasers", 2), ("Broad 25-54", 2)),
            roas=3.0, aov=57, target_roas=2.6, phase=105, period=120, life=45,
        ),
        CampaignPlan(
            44, "pinterest", "US | Prospecting | Clean beauty", "sinker", "WEB_CONVERSION", 110, 7, 0.008,
            _sets(("Clean beauty", 3), ("Wedding prep", 2)),
            roas=0.5, aov=59, target_roas=2.3, pace=0.9,
        ),
        CampaignPlan(
            45, "pinterest", "US | Shopping | Catalog", "paused", "CATALOG_SALES", 100, 6, 0.010,
            _sets(("Catalog broad", 3),),
            roas=3.0, aov=57, target_roas=2.2, pace=0.8, pause=(95, 26), phase=40,
        ),
        CampaignPlan(
            46, "google", "Search | Always-on | Ingredient glossary", "tiny", "SEARCH", 10, 60, 0.06,
            _sets(("Glossary", 2),),
            roas=1.6, aov=58, pace=0.7, zero_share=0.15,
        ),
    )  # fmt: skip
    accounts = _accounts(
        _BEAUTY,
        [
            ("meta", "meta", "238502661840129", "Saltmarsh Skincare", "USD", _LOS_ANGELES),
            ("tiktok", "tiktok", "7233047716620031489", "Saltmarsh US", "USD", _LOS_ANGELES),
            ("tiktok_jp", "tiktok", "7233047716620057601", "Saltmarsh Japan", "JPY", _TOKYO),
            ("google", "google", "5926603318", "Saltmarsh Skincare", "USD", _LOS_ANGELES),
            ("pinterest", "pinterest", "549766304871", "Saltmarsh Skincare", "USD", _LOS_ANGELES),
        ],
    )
    products = (
        Product("vitamin-c-serum", "Vitamin C serum", 48.0),
        Product("gentle-cleanser", "Gentle cleanser", 26.0),
        Product("barrier-cream", "Barrier cream", 39.0),
        Product("mineral-sunscreen", "Mineral sunscreen", 34.0),
        Product("retinol-night-oil", "Retinol night oil", 56.0),
        Product("starter-set", "Starter set", 89.0),
    )
    shop = Account(
        _BEAUTY.tenant_id, "shopify", "61902277845", "shop", "Saltmarsh Skincare", "USD", _LOS_ANGELES,
        "saltmarsh-skincare.example",
    )  # fmt: skip
    return TenantPlan(_BEAUTY, accounts, shop, campaigns, products, 40.0, 0.0825, 6.0)


DEMO: tuple[TenantPlan, ...] = (_outdoor(), _home(), _beauty())

FORMATS: dict[str, tuple[str, ...]] = {
    "meta": ("Video 15s", "Carousel", "Static", "Reel 9:16"),
    "tiktok": ("UGC hook", "Creator demo", "Trend cut", "Unboxing"),
    "google": ("RSA A", "RSA B", "RSA C", "RSA D"),
    "pinterest": ("Static pin", "Video pin", "Collection", "Idea pin"),
}
