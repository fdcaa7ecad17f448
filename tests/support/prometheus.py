"""What `promtool check metrics` says of an exposition."""

from __future__ import annotations

import re
import shutil
import subprocess

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

_TYPES = ("counter", "gauge", "histogram", "summary", "info", "stateset", "untyped")
_OTHER_UNITS = r"_(ms|milliseconds|minutes|hours|days|kb|mb|kilobytes|megabytes|percent)(_|$)"


def complaints(text: str) -> list[str]:
    """What is wrong with the exposition by the rules that promtool checks, and by promtool itself where there is one.

    The rules: github.com/prometheus/client_golang, prometheus/testutil/promlint/validations, and
    prometheus.io/docs/practices/naming.
    """
    found = [line for family in text_string_to_metric_families(text) for line in _of(family)]
    promtool = shutil.which("promtool")
    if promtool:
        said = subprocess.run(
            [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
        found += f"{said.stdout}{said.stderr}".splitlines()
        if said.returncode and not found:
            found.append(f"promtool ended with {said.returncode}")
    return found


def _of(family: Metric) -> list[str]:
    name, kind = family.name, family.type
    samples = {sample.name for sample in family.samples}
    labels = {label for sample in family.samples for label in sample.labels}
    whole = kind in ("histogram", "summary")
    wrong = {
        "has no help text": not family.documentation,
        "is a counter, and its sample does not end with _total": kind == "counter"
        and samples - {f"{name}_total"},
        "ends with _total, and is no counter": kind != "counter" and name.endswith("_total"),
        "ends as a part of a histogram or summary does": not whole
        and re.search("_(count|sum|bucket)$", name),
        "has a label `le`, and is no histogram": kind != "histogram" and "le" in labels,
        "has a label `quantile`, and is no summary": kind != "summary" and "quantile" in labels,
        "says its type in its name": set(name.split("_")) & set(_TYPES),
        "is not in lower case with underscores": not re.fullmatch("[a-z0-9_]+", name),
        "is not in a base unit": re.search(_OTHER_UNITS, name),
    }
    return [f"{name} {what}" for what, holds in wrong.items() if holds]
