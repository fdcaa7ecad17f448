"""Proof Key for Code Exchange as the stand-ins' token endpoints check it."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from hmac import compare_digest


def proves(verifier: str, challenge: str, method: str = "S256") -> bool:
    """RFC 7636 §4.6, with ``S256`` or ``plain``; true as well where no challenge was sent."""
    if not challenge:
        return True
    proof = verifier
    if method == "S256":
        proof = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    return compare_digest(proof, challenge)
