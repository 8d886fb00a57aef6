"""Status words of every platform, in any case, as the five of the contract."""

from __future__ import annotations

import re

ACTIVE, PAUSED, ENDED, REMOVED, OTHER = "active", "paused", "ended", "removed", "other"

# Words without their prefix (CAMPAIGN_STATUS_, ADGROUP_, …) and without anything but letters.
# fmt: off
_WORDS = {
    ACTIVE: (
        "active", "enabled", "enable", "on", "running", "live", "delivering", "delivery", "deliveryok", "eligible",
        "serving", "learning", "learninglimited", "limited", "approved", "recentlyedited", "preapproved", "withissues",
        "eligiblelimited",
    ),
    PAUSED: (
        "paused", "pause", "disabled", "disable", "off", "inactive", "stopped", "suspended", "campaignpaused",
        "adsetpaused",        "adgrouppaused", "campaigndisable", "adgroupdisable", "notdelivering", "onhold", "halted",
    ),
    ENDED: ("ended", "completed", "complete", "finished", "done", "timedone", "expired", "past"),
    REMOVED: (
        "removed", "deleted", "delete", "archived", "archive", "campaigndelete", "adgroupdelete", "adstatusdelete",
    ),
}
# fmt: on
_BY_WORD = {word: status for status, words in _WORDS.items() for word in words}
_PREFIX = re.compile(
    r"^(?:campaign|ad_?group|ad_?set|ad|advertiser|entity)_(?:status|state|delivery_status)_"
)


def status_word(text: str) -> str:
    """One of active, paused, ended, removed, other."""
    lowered = _PREFIX.sub("", re.sub(r"[\s\-]+", "_", text.strip().casefold()))
    return _BY_WORD.get(re.sub(r"[^a-z]", "", lowered), OTHER)
