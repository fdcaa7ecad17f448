"""Whether tests run in their long form: every variant on both databases, instead of the hardest ones on one."""

from __future__ import annotations

import os

LONG = os.environ.get("FAULTS") == "long"
"""``make faults`` sets it before tests are collected."""
