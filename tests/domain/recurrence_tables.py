"""Where the recurrence tests find other projects' tables of expected occurrences."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TESTDATA = Path(os.environ.get("SHARED_DIR", REPOSITORY.parent / "shared")) / "testdata"
CALENDARS = TESTDATA / "ics" / "recurring-ical-events" / "recurring_ical_events" / "test" / "calendars"

needs_tables = pytest.mark.skipif(
    not TESTDATA.is_dir(),
    reason=f"the shared test data is not at {TESTDATA}: set SHARED_DIR to the folder that holds it",
)


def rows(name: str) -> list[dict[str, Any]]:
    """The cases of one table, none where the shared data is absent."""
    path = TESTDATA / "recurrence" / name
    return json.loads(path.read_text(encoding="utf-8"))["cases"] if path.is_file() else []


def ics_files() -> list[Path]:
    """Every shared calendar file."""
    return sorted((TESTDATA / "ics").rglob("*.ics"))
