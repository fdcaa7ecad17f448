"""All that can be found out about the installation at once, each part in a thread and within a time limit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from calendar_app.providers import registry
from calendar_app.services.accounts import operators
from calendar_app.services.common import rate_limits
from calendar_app.services.common.permissions import Actor
from calendar_app.services.doctor import machine, processes, reachability, secrets
from calendar_app.services.doctor.findings import Finding, error

log = logging.getLogger(__name__)

PATIENCE_S = 45.0
TEST_MAILS = "10/hour"
Part = Callable[[], list[Finding]]


def parts(send_mail_to: str = "") -> dict[str, Part]:
    """What is looked at, in the order in which it is told. ``send_mail_to``: an address that gets an e-mail."""
    return {
        "processes": processes.processes,
        "database": machine.database,
        "disk": machine.disk,
        "redis": machine.redis,
        "clock": machine.clocks,
        "keys": secrets.keys,
        "address": reachability.reachability,
        "mail": lambda: secrets.mail(send_mail_to),
        "providers": secrets.providers,
    }


def examine(chosen: dict[str, Part] | None = None, *, patience_s: float = PATIENCE_S) -> list[Finding]:
    """Look at everything; a part that fails or hangs is a finding, and hides no other."""
    works = chosen or parts()
    pool = ThreadPoolExecutor(len(works), "doctor")
    try:
        futures = {name: pool.submit(work) for name, work in works.items()}
        wait(futures.values(), timeout=patience_s)
        found: list[Finding] = []
        for name, future in futures.items():
            if not future.done():
                found.append(
                    error(name, f"There was no answer within {patience_s:g} s.", "Try again; see the logs.")
                )
            elif trouble := future.exception():
                log.error("a part of the examination failed", exc_info=trouble, extra={"part": name})
                found.append(
                    error(name, f"This could not be looked at ({type(trouble).__name__}).", "See the logs.")
                )
            else:
                found += future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return found


def examine_for(actor: Actor) -> Sequence[Finding]:
    """As :func:`examine`, and nothing is sent. :raises Forbidden: the person is no operator."""
    operators.require(actor)
    return examine()


def examine_provider(actor: Actor, key: str) -> Finding:
    """Whether a provider takes our client id and secret, as :func:`secrets.provider`.

    :raises Forbidden: the person is no operator. :raises NotFound: no such provider.
    """
    operators.require(actor)
    return secrets.provider(registry.kind(key))


def send_test_mail(actor: Actor) -> Finding:
    """Send an e-mail to the person who asks.

    :raises Forbidden: they are no operator. :raises TooManyRequests: they did so often.
    """
    operators.require(actor)
    rate_limits.check("test-mail", actor.person_id, TEST_MAILS)
    (found,) = secrets.mail(actor.email)
    return found
