"""One emulator for all tests of this folder, put back to its start before each.

Fixtures
    server      the running server, figures known up to AS_OF
    meta        the vendor object behind it
    api         a client: api.get("/act_…/ads", fields="id") -> Answer; its token may read everything
    account     one ad account
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from meta_client import AS_OF, Api

from emulator.meta import Meta
from emulator.server import Server, running
from emulator.world import Account


@pytest.fixture(scope="session")
def running_server() -> Iterator[Server]:
    with running(as_of=AS_OF) as server:
        yield server


@pytest.fixture
def server(running_server: Server) -> Server:
    running_server.emulator.reset()
    return running_server


@pytest.fixture
def meta(server: Server) -> Meta:
    return server.emulator.meta


@pytest.fixture
def api(server: Server, meta: Meta) -> Api:
    scopes = ("ads_read", "business_management")
    return Api(server.url("meta"), meta.tokens.issue("agency", scopes=scopes))


@pytest.fixture
def account(meta: Meta) -> Account:
    """The account in Berlin: sales and leads, videos, deleted and archived ads, a withdrawn test ad."""
    return next(each for each in meta.accounts.values() if each.timezone == "Europe/Berlin")
