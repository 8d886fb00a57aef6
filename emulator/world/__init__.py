"""The synthetic truth of demos, tests and vendor emulators; knows no protocol and nothing of the pipelines.

    world = World(seed=7)
    account = world.accounts(world.tenants[0])[0]
    world.ads_known_on(account, day, known_on)      # figures of a day as reported at the end of a later one
    world.incidents(first_day, last_day)            # what was planted: the labels

`emulator.world.export` writes the files of `aegis import history`.
"""

from emulator.world.records import (
    Account,
    Ad,
    AdDay,
    AdSet,
    CalendarEvent,
    Campaign,
    Change,
    Incident,
    Order,
    OrderLine,
    Refund,
    ShopSessions,
    Tenant,
    Visit,
)
from emulator.world.synthetic import World

__all__ = [
    "Account",
    "Ad",
    "AdDay",
    "AdSet",
    "CalendarEvent",
    "Campaign",
    "Change",
    "Incident",
    "Order",
    "OrderLine",
    "Refund",
    "ShopSessions",
    "Tenant",
    "Visit",
    "World",
]
