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


_WEAKEST = 2
"""The lowest score of zxcvbn (0 to 4) that is accepted: it takes more than 10^6 guesses."""
_JUDGED = 64
"""Characters that are judged: the time it takes grows with their square, and more cannot make a password weaker."""


def checked(password: str, *known: str) -> str:
    """The one rule for passwords: their length, and no common or easily guessed one (OWASP ASVS 5.0, 6.2).

    ``known`` are words that whoever guesses would try first: the person's name and address.

    :raises InvalidInput: ``weak_password``.
    """
    if len(password) < SHORTEST:
        raise InvalidInput(
            f"The password needs at least {SHORTEST} characters.", field="password", code="weak_password"
        )
    if len(password) > LONGEST:
        raise InvalidInput(
            f"The password may have at most {LONGEST} characters.", field="password", code="weak_password"
        )
    words = [
        part for text in known for part in (text, *text.replace("@", " ").replace(".", " ").split()) if part
    ]
    # Its word lists take 12 MB, and most processes judge no password.
    from zxcvbn import zxcvbn

    if zxcvbn(password[:_JUDGED], user_inputs=words[:50])["score"] < _WEAKEST:
        raise InvalidInput(
            "This password is among the first that are guessed: choose another, such as a few unrelated words.",
            field="password",
            code="weak_password",
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
