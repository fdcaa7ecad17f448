"""Types of parameters that several routers share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, StringConstraints


def _storable(text: str) -> str:
    """PostgreSQL's text cannot hold NUL."""
    if "\x00" in text:
        raise ValueError("must not contain NUL characters")
    return text


Key = Annotated[str, StringConstraints(max_length=128), AfterValidator(_storable)]
"""An opaque id as a caller sends it; whether there is such an object is for services to say."""

Words = Annotated[str, StringConstraints(max_length=200), AfterValidator(_storable)]
"""What somebody types in to search."""
