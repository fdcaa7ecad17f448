"""Settings that cannot work are refused at the start, with a sentence that names the variable."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from calendar_app.settings import SettingsError, load_settings


@pytest.mark.parametrize(
    "url", ["ftp://x", "calendar.example.com", "https://", "https://x.example/app", "//x"]
)
def test_an_address_that_no_browser_can_open_is_refused(tmp_path: Path, url: str) -> None:
    """Links, cookies and redirects are made from ``BASE_URL``."""
    with pytest.raises(SettingsError, match=r"(?i)base_url"):
        load_settings(data_dir=tmp_path, base_url=url)


@pytest.mark.parametrize("url", ["", "http://localhost:3000", "https://calendar.example.com/"])
def test_an_address_of_this_site_is_taken(tmp_path: Path, url: str) -> None:
    """A trailing slash does no harm."""
    assert not load_settings(data_dir=tmp_path, base_url=url).public_url.endswith("/")


def test_a_key_that_encrypts_nothing_is_refused(tmp_path: Path) -> None:
    """Not at the first connection, and without repeating the key."""
    keys = f"{Fernet.generate_key().decode()},hunter2"
    with pytest.raises(SettingsError, match=r"(?i)encryption_keys.*Fernet") as refused:
        load_settings(data_dir=tmp_path, encryption_keys=keys)
    assert "hunter2" not in str(refused.value)


def test_a_file_in_place_of_the_directory_is_one_sentence(tmp_path: Path) -> None:
    """``DATA_DIR`` that is a file: said so, no stack."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="it is not a directory"):
        load_settings(data_dir=tmp_path / "file")


def test_a_secret_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    """A directory where the secret's file should be."""
    (tmp_path / "secret_key").mkdir()
    with pytest.raises(SettingsError, match="secret_key"):
        load_settings(data_dir=tmp_path)


def test_proxies_are_believed_in_production_only(tmp_path: Path) -> None:
    """On a developer's machine every client is local, and none may pass for somebody else."""
    assert load_settings(data_dir=tmp_path).trusted_proxies == ""
    production = load_settings(
        environment="production",
        base_url="https://calendar.example.com",
        secret_key="s" * 32,
        encryption_keys=Fernet.generate_key().decode(),
    )
    assert production.trusted_proxies == "127.0.0.1"
    assert load_settings(data_dir=tmp_path, forwarded_allow_ips="10.0.0.0/8").trusted_proxies == "10.0.0.0/8"
