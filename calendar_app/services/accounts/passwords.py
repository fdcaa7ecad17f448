"""Passwords: Argon2id with the parameters of OWASP's password storage cheat sheet (19 MiB, two passes, one lane).

Checking against an account that does not exist costs the same as against one that does, so that answers' timing does
not tell which addresses are known.
"""

from __future__ import annotations

import threading
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from calendar_app.errors import InvalidInput

SHORTEST, LONGEST = 12, 200
"""Length of a password, in characters."""

COST = {"time_cost": 2, "memory_cost": 19_456, "parallelism": 1}
"""Passes, KiB of memory, lanes; https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html."""


def _hashing(time_cost: int, memory_cost: int, parallelism: int) -> PasswordHasher:
    return PasswordHasher(time_cost=time_cost, memory_cost=memory_cost, parallelism=parallelism)


_hasher = _hashing(**COST)
_at_once = threading.BoundedSemaphore(4)  # bounds the memory that a burst of sign-ins can take


def checked(password: str) -> str:
    """:raises InvalidInput: ``weak_password``, too short or absurdly long."""
    if len(password) < SHORTEST:
        raise InvalidInput(
            f"The password needs at least {SHORTEST} characters.", field="password", code="weak_password"
        )
    if len(password) > LONGEST:
        raise InvalidInput(
            f"The password may have at most {LONGEST} characters.", field="password", code="weak_password"
        )
    return password


def hashed(password: str) -> str:
    """The Argon2id string to keep."""
    with _at_once:
        return _hasher.hash(password)


def matches(kept: str | None, password: str) -> bool:
    """Whether ``password`` is the one behind ``kept``; ``None`` (no such account) takes as long and is false."""
    with _at_once:
        try:
            _hasher.verify(kept or _decoy(), password[: LONGEST + 1])
        except (VerificationError, InvalidHashError):
            return False
    return bool(kept)


def use_cost(time_cost: int, memory_cost: int, parallelism: int) -> None:
    """What hashing costs from now on in this process, for programs that make hundreds of accounts, such as tests."""
    global _hasher  # noqa: PLW0603  # one for the process
    _hasher = _hashing(time_cost, memory_cost, parallelism)
    _decoy.cache_clear()


@lru_cache(maxsize=1)
def _decoy() -> str:
    return _hasher.hash("nobody has this password")
