"""Sites that may embed a page, as people write them and as browsers compare them."""

from __future__ import annotations

import pytest

from calendar_app.domain.sites import allows, parse_site, parse_sites
from calendar_app.errors import InvalidInput


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("example.com", "https://example.com"),
        (" https://WWW.Example.com/contact?x=1#y ", "https://www.example.com"),
        ("https://example.com:443/", "https://example.com"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("https://*.example.com", "https://*.example.com"),
        ("bücher.example", "https://xn--bcher-kva.example"),
        ("example.com.", "https://example.com"),
        ("127.0.0.1:3000", "https://127.0.0.1:3000"),
    ],
)
def test_sites_are_kept_as_origins(given: str, kept: str) -> None:
    """Scheme, host and a port that is not the usual one; what is kept is kept as it is."""
    assert parse_site(given) == kept
    assert parse_site(kept) == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        "*",
        "https://*",
        "https://*.com",
        "https://a.*.com",
        "ftp://example.com",
        "javascript:alert(1)",
        "https://user@example.com",
        "https://exa mple.com",
        "https://example.com; script-src *",
        "https://example.com:99999",
        "https://[::1]",
        "https://-a.example",
        "https://" + "a" * 300 + ".com",
        "https://例え。.。",
        "null",
        5,
    ],
)
def test_what_is_no_site_is_refused(given: object) -> None:
    """Nothing else gets into a header."""
    if given == "null":  # a host of one label is one, but not the origin of the same name
        assert not allows([parse_site(given)], "null")
        return
    with pytest.raises(InvalidInput) as refused:
        parse_site(given)
    assert refused.value.field == "allowed_origins"


def test_lists_are_short_and_name_each_once() -> None:
    """Twice the same is once; more than fifty, or text in the place of a list, is refused."""
    assert parse_sites(["b.example", "a.example", "https://b.example/"]) == [
        "https://b.example",
        "https://a.example",
    ]
    for wrong in (["a.example"] * 51, "a.example", None):
        with pytest.raises(InvalidInput):
            parse_sites(wrong)


def test_origins_are_compared_whole() -> None:
    """Scheme, host and port count; a star stands for hosts below, not for the host itself nor for others."""
    sites = ["https://example.com", "https://*.shop.example", "http://localhost:8080"]
    assert allows(sites, "https://example.com")
    assert allows(sites, "https://a.b.shop.example")
    assert allows(sites, "http://localhost:8080")
    for other in (
        "http://example.com",
        "https://example.com:444",
        "https://example.com.evil.example",
        "https://shop.example",
        "https://evilshop.example",
        "http://localhost",
        "null",
        "",
    ):
        assert not allows(sites, other)
    assert allows([], "https://anything.example")
