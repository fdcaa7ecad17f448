"""Where files are, in a checkout and for an installed product (``make check-wheel`` installs one)."""

from __future__ import annotations

from pathlib import Path

import pytest

from calendar_app import places


def test_a_checkout_keeps_everything_beside_the_package() -> None:
    """The folders at the top are where they always were."""
    assert not places.PACKED
    assert Path(__file__).parents[1] == places.ROOT
    for name in ("rxconfig.py", "alembic.ini", "alembic/versions", "assets"):
        assert (places.ROOT / name).exists()
    assert places.default_data_dir() == Path(".data")
    assert places.sandbox_comes_along()


@pytest.mark.parametrize(
    ("given", "root", "platform", "folder"),
    [
        ({"HOME": "/home/ada"}, False, "linux", "/home/ada/.local/share/almanac"),
        ({"HOME": "/home/ada", "XDG_DATA_HOME": "/data/ada"}, False, "linux", "/data/ada/almanac"),
        ({"HOME": "/home/ada", "XDG_DATA_HOME": "data"}, False, "linux", "/home/ada/.local/share/almanac"),
        ({"HOME": "/Users/ada"}, False, "darwin", "/Users/ada/Library/Application Support/Almanac"),
        ({"HOME": "/root"}, True, "linux", "/var/lib/almanac"),
    ],
)
def test_an_installed_product_keeps_its_data_where_programs_do(
    given: dict[str, str], root: bool, platform: str, folder: str
) -> None:
    """By user and platform; a relative XDG_DATA_HOME is ignored, as its specification says."""
    assert places.data_dir_of_user(given, root=root, platform=platform) == Path(folder)
