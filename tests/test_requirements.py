"""The locked requirements: whole, whichever program installs them. ``make check-setup`` installs them."""

from __future__ import annotations

import json
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PRODUCT = ("requirements.txt",)
WITH_SANDBOX = (*PRODUCT, "requirements-sandbox.txt")
WITH_TESTS = (*WITH_SANDBOX, "requirements-dev.txt")


def locked(*names: str) -> dict[str, set[str]]:
    """Name -> extras of every line that applies to this Python and system."""
    found: dict[str, set[str]] = {}
    for name in names:
        for line in (ROOT / name).read_text().splitlines():
            if line[:1].isalnum():
                requirement = Requirement(line.removesuffix("\\"))
                assert [each.operator for each in requirement.specifier] == ["=="], line
                if requirement.marker is None or requirement.marker.evaluate():
                    found.setdefault(canonicalize_name(requirement.name), set()).update(requirement.extras)
    return found


def wanted(name: str, extras: set[str]) -> list[Requirement]:
    """What the installed distribution requires here, with these extras."""
    try:
        requires = distribution(name).requires or []
    except PackageNotFoundError:
        return []
    return [
        requirement
        for requirement in map(Requirement, requires)
        if requirement.marker is None
        or any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    ]


@pytest.mark.parametrize("files", [PRODUCT, WITH_SANDBOX, WITH_TESTS], ids=["product", "sandbox", "dev"])
def test_every_requirement_is_locked_with_its_extras(files: tuple[str, ...]) -> None:
    """Where `granian[reload]` is required, the lock says so: pip before 24 takes a line without the extra for
    another requirement, finds a newer release and refuses it, because that has no hash."""
    lock = locked(*files)
    missing = {
        f"{requirement.name}[{','.join(sorted(requirement.extras))}] (required by {name})"
        for name, extras in lock.items()
        for requirement in wanted(name, extras)
        if not requirement.extras <= lock.get(canonicalize_name(requirement.name), {"not locked"})
    }
    assert not missing


def test_the_installer_itself_is_locked() -> None:
    """uv comes in one version, by hash, as everything that it installs."""
    assert list(locked("requirements-setup.txt")) == ["uv"]


def releases(name: str) -> dict[str, set[str]]:
    """Name -> every release that the file locks for some Python or system: its version and its hashes."""
    found: dict[str, set[str]] = {}
    for line, hashes in re.findall(r"^(\w.*)((?:\n    --hash=.*)+)", (ROOT / name).read_text(), re.M):
        requirement = Requirement(line.removesuffix("\\"))
        release = " ".join([str(requirement.specifier), *re.findall(r"sha256:\w+", hashes)])
        found.setdefault(canonicalize_name(requirement.name), set()).add(release)
    return found


def test_files_that_are_installed_together_agree() -> None:
    """A package that several files lock is locked in the same releases, with the same hashes."""
    product, sandbox, tests = map(releases, WITH_TESTS)
    assert product
    assert sandbox
    for name, locked_releases in [*sandbox.items(), *tests.items()]:
        known = product.get(name) or sandbox.get(name) or locked_releases
        assert locked_releases == known, name


def test_production_installs_nothing_that_only_the_sandbox_needs() -> None:
    """Stand-ins for a mail server and a CalDAV server are in a file of their own."""
    product, sandbox = set(locked("requirements.txt")), set(locked("requirements-sandbox.txt"))
    assert {"aiosmtpd", "radicale"} <= sandbox - product


@pytest.mark.parametrize(
    "name", ["requirements.txt", "requirements-sandbox.txt", "requirements-dev.txt", "requirements-setup.txt"]
)
def test_every_locked_release_has_a_hash(name: str) -> None:
    """`--require-hashes` works with each file alone."""
    lines = (ROOT / name).read_text().splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line[:1].isalnum():
            assert line.endswith("\\"), line
            assert following.lstrip().startswith("--hash=sha256:"), line


@pytest.mark.parametrize("name", ["reflex.lock", "tests/providers/emulate"])
def test_every_npm_package_has_a_hash_and_no_address(name: str) -> None:
    """npm takes each package by version and hash from the registry that the machine is configured for."""
    packages = json.loads((ROOT / name / "package-lock.json").read_text())["packages"]
    own = packages.pop("")
    assert own.get("dependencies") == json.loads((ROOT / name / "package.json").read_text())["dependencies"]
    assert packages
    for where, package in packages.items():
        assert package["integrity"].startswith("sha512-"), where
        assert "resolved" not in package, where
