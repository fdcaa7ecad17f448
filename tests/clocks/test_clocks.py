"""Which clocks the suite runs under, and that whatever runs there believes it."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_app.db.session import clock
from tests.clocks.__main__ import CLOCKS, MISSING, ROOT, environment, library, main, moment
from tests.support.databases import Database


@given(seconds=st.integers(1_790_000_000, 2_800_000_000))
def test_each_clock_shows_its_day_within_a_year(seconds: int) -> None:
    """Month ends at 23:50, the Sundays on which Europe's clocks change, and a Saturday; always still to come."""
    now = datetime.fromtimestamp(seconds, UTC)
    found = {name: moment(name, now) for name in CLOCKS}
    assert all(now < at <= now + timedelta(days=372) for at in found.values())
    assert {(found[name].month, found[name].day) for name in ("january", "december")} == {(1, 31), (12, 31)}
    for name, month in (("march", 3), ("october", 10)):
        assert (found[name].weekday(), found[name].month) == (6, month)
        assert (found[name] + timedelta(days=7)).month == month + 1
    assert found["saturday"].weekday() == 5
    assert all(f"{at:%H:%M}" == "23:50" for name, at in found.items() if name != "saturday")


def test_the_database_has_the_clock_of_the_tests(database: Database) -> None:
    """Also under another clock: the embedded PostgreSQL runs under the same."""
    assert abs(clock() - datetime.now(UTC)) < timedelta(seconds=30)


@pytest.mark.skipif(library() is None or "TEST_CLOCK" in os.environ, reason="needs libfaketime, once")
def test_programs_under_another_clock_see_it_and_measure_real_time() -> None:
    """The date is another, also in a child; sleeping and waiting take as long as they say."""
    now, found = datetime.now(UTC), library()
    assert found is not None
    script = (
        "import datetime, subprocess, sys, threading, time\n"
        "begun = time.monotonic()\n"
        "time.sleep(0.1); threading.Event().wait(0.1); time.sleep(0)\n"
        "assert 0.2 <= time.monotonic() - begun < 20\n"
        "print(datetime.datetime.now(datetime.UTC).isoformat())\n"
        "if len(sys.argv) == 1: subprocess.run([sys.executable, __file__, 'child'], check=True)\n"
    )
    path = os.path.join(os.environ["DATA_DIR"], "clock.py")
    with open(path, "w") as file:
        file.write(script)
    answer = subprocess.run(
        [sys.executable, path],
        env=environment("january", found, now),
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    seen = [datetime.fromisoformat(line) for line in answer.stdout.split()]
    assert len(seen) == 2
    assert all(moment("january", now) <= at < moment("january", now) + timedelta(minutes=2) for at in seen)


def test_a_clock_that_does_not_exist_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2 and the names that there are."""
    assert main(["february"]) == 2
    assert "january, march, october, december, saturday" in capsys.readouterr().err


def test_a_machine_without_libfaketime_is_told_what_to_install(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1, one sentence, and no test was run."""
    assert main(["january", "--", "tests"], ()) == 1
    assert capsys.readouterr().err.strip() == MISSING
    assert main(["--if-possible", "january"], ()) == 0
    assert capsys.readouterr().err.strip() == MISSING
