"""Where a request says it comes from."""

from __future__ import annotations

import httpx
import pytest

from calendar_app.services.common import rate_limits
from tests.support.databases import Database


@pytest.mark.parametrize(
    "origin", ["http://[", "http://[::1", "http://[x]:1", "null", "http://localhost@evil.example"]
)
def test_an_origin_that_is_none_is_refused(api: httpx.Client, database: Database, origin: str) -> None:
    """A header that cannot be read is another site's, and no error of ours."""
    answer = api.post("/auth/sign-in", data={"email": "a@example.org"}, headers={"Origin": origin})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?error=cross_site")


def test_a_whole_network_counts_as_one() -> None:
    """Whoever has an IPv6 address has 2^64 of them, and not as many tries."""
    assert (
        rate_limits.network("2001:db8:1:2::1")
        == rate_limits.network("2001:db8:1:2:ffff::9")
        == "2001:db8:1:2::/64"
    )
    assert rate_limits.network("2001:db8:1:3::1") != rate_limits.network("2001:db8:1:2::1")
    assert rate_limits.network("::ffff:192.0.2.7") == rate_limits.network("192.0.2.7") == "192.0.2.7"
    assert rate_limits.network("unix:") == "unix:"
