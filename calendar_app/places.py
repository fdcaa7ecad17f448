"""Where the product's files are: its own, which are only read, and its data.

In a checkout the files that are no modules of the package (``rxconfig.py``, ``alembic/``, ``assets/``, the built pages)
stand beside the package; a wheel carries them inside it, in ``packed``, with the pages already built
(``pyproject.toml`` says which).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

PACKAGE = Path(str(files("calendar_app")))
PACKED = (PACKAGE / "packed").is_dir()
"""Whether this was installed from a wheel."""
ROOT = PACKAGE / "packed" if PACKED else PACKAGE.parent
"""The folder with ``rxconfig.py``, ``alembic.ini``, ``alembic/``, ``assets/`` and ``.web/``."""
COMMAND = "almanac" if PACKED else "python -m calendar_app"
"""How a person calls the product's commands here."""

SANDBOX = ("calendar_app.sandbox", "aiosmtpd", "radicale")
"""What the sandbox's processes import that production does not have."""
SANDBOX_EXTRA = "almanac-scheduling[sandbox]"


@cache
def sandbox_comes_along() -> bool:
    """Whether a start without any provider's credentials has the sandbox: in a wheel, where its extra is installed."""
    return not PACKED or all(find_spec(name) is not None for name in SANDBOX)


def default_data_dir() -> Path:
    """``DATA_DIR`` where nobody names one."""
    return data_dir_of_user(os.environ, root=os.geteuid() == 0) if PACKED else Path(".data")


def data_dir_of_user(given: Mapping[str, str], *, root: bool, platform: str = sys.platform) -> Path:
    """Where programs keep what they have for one user; for root, where the system's services keep it.

    ``/var/lib`` is by the Filesystem Hierarchy Standard 3.0 §5.8, ``~/.local/share`` by the XDG Base Directory
    Specification 0.8, which ignores a relative ``XDG_DATA_HOME``.
    """
    if root:
        return Path("/var/lib/almanac")
    home = Path(given["HOME"]) if given.get("HOME") else Path.home()
    if platform == "darwin":
        return home / "Library" / "Application Support" / "Almanac"
    named = Path(given.get("XDG_DATA_HOME") or "")
    return (named if named.is_absolute() else home / ".local" / "share") / "almanac"
