"""What is written for operators is true: unit files run the Procfile, variables exist, alarms have their runbook."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from honcho.environ import parse_procfile
from redis import Redis

from calendar_app.launcher import programs
from calendar_app.services.operations import metrics
from calendar_app.settings import Settings
from tests.support.databases import Database

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
RUNBOOK = ROOT / "docs" / "operations.md"
PROCFILE = dict(parse_procfile((ROOT / "Procfile").read_text()).processes)
COMMANDS = {name: "migrate" if name == "release" else name for name in PROCFILE}
"""Process of the Procfile -> the command of ``almanac`` that is it (tests/launcher/test_procfiles.py)."""
SETTINGS = {str(field.alias) for field in Settings.model_fields.values()}
BESIDES = {"REFLEX_REDIS_URL", "WEB_HOST", "WEB_CONCURRENCY", "WEB_DRAIN_SECONDS", "SANDBOX_PORT"}
"""Variables that processes read which are not the application's settings."""


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "prometheus-alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("name", PROCFILE)
def test_compose_runs_the_procfile(name: str) -> None:
    """Each process of the Procfile is a service with its command, which the image's entry point runs."""
    assert compose()["services"][name]["command"] == [COMMANDS[name]]
    assert 'ENTRYPOINT ["almanac"]' in (DEPLOY / "Dockerfile").read_text()


@pytest.mark.parametrize("name", PROCFILE)
def test_systemd_runs_the_procfile(name: str) -> None:
    """Each process of the Procfile is a unit with its command."""
    (unit,) = (DEPLOY / "systemd").glob(f"almanac-{name}*.service")
    (line,) = re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.M)
    assert line == f"/srv/almanac/bin/almanac {COMMANDS[name]}"
    assert "EnvironmentFile=/etc/almanac.env" in unit.read_text()


def test_there_is_no_unit_or_service_too_many() -> None:
    """What the Procfile does not have is somebody else's program."""
    units = {path.name.removeprefix("almanac-").rstrip() for path in (DEPLOY / "systemd").iterdir()}
    assert {name.removesuffix(".service").rstrip("@") for name in units} == set(PROCFILE)
    assert set(COMMANDS.values()) | {"run"} == set(programs.PROGRAMS)
    assert set(compose()["services"]) - set(PROCFILE) == {"postgres", "redis", "proxy"}


def test_many_machines_means_more_than_one_of_what_may_be_many() -> None:
    """Two web services and two workers, one clock."""
    services = compose()["services"]
    replicas = {name: services[name].get("deploy", {}).get("replicas", 1) for name in PROCFILE}
    assert replicas == {"release": 1, "web": 2, "writer": 1, "worker": 2, "cron": 1}


def test_variables_exist() -> None:
    """No misspelt variable: everything that is set is read by somebody."""
    set_here = set(compose()["x-app"]["environment"])
    example = (DEPLOY / "almanac.env.example").read_text()
    set_here |= set(re.findall(r"^([A-Z_]+)=", example, re.M))
    assert set_here <= SETTINGS | BESIDES
    assert {
        "SECRET_KEY",
        "ENCRYPTION_KEYS",
        "BASE_URL",
        "DATABASE_URL",
        "REDIS_URL",
        "ALMANAC_ENV",
    } <= set_here


def test_readme_knows_every_variable() -> None:
    """The configuration table is complete."""
    table = (ROOT / "README.md").read_text()
    assert [name for name in sorted(SETTINGS - {"SANDBOX_URL"}) if f"`{name}`" not in table] == []


def test_every_alarm_has_its_runbook_and_the_other_way_round() -> None:
    """Each rule leads to a section that exists; no section is left of a rule that is gone."""
    sections = re.findall(r"^### (Almanac\w+)$", RUNBOOK.read_text(), re.M)
    assert [rule["alert"] for rule in alerts()] == sections
    for rule in alerts():
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_alarms_and_runbook_speak_of_numbers_that_there_are(database: Database, redis_server: Redis) -> None:
    """Every metric that a rule or the runbook names is really shown."""
    shown = set(re.findall(r"^# TYPE (\w+) ", metrics.exposition().decode(), re.M))
    texts = [rule["expr"] for rule in alerts()] + [RUNBOOK.read_text()]
    named = {name for text in texts for name in re.findall(r"\balmanac_[a-z_]+", text)}
    named -= {"almanac_session", "almanac_scheduling"}
    assert len(named) > 15
    assert {name for name in named if name.removesuffix("_bucket") not in shown} == set()
