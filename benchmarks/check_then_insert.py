"""The pattern that most booking software uses, as an HTTP service to measure against: look whether it is free, insert.

Nothing holds the time between the two statements. It answers ``POST /book`` with ``{"host_id", "start", "end"}``
(instants) by 201 or 409, and does nothing else that a booking asks for: no working hours, calendars, letters or audit.
"""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, func, insert, select

from calendar_app.db.session import get_engine

metadata = MetaData()
peer_booking = Table(
    "peer_booking",
    metadata,
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
    Column("host_id", String(26), nullable=False),
    Column("starts", BigInteger, nullable=False),
    Column("ends", BigInteger, nullable=False),
    Index("ix_peer_booking_span", "host_id", "starts", "ends"),
)


class Wanted(BaseModel):
    """``[start, end)`` in epoch seconds."""

    host_id: str
    start: int
    end: int


def create_app() -> FastAPI:
    """The service, on the database of the environment; the table must exist."""
    app = FastAPI(openapi_url=None)

    @app.post("/book")
    def book(wanted: Wanted) -> JSONResponse:
        table = peer_booking.c
        taken = select(func.count()).where(table.host_id == wanted.host_id)
        taken = taken.where(table.starts < wanted.end, table.ends > wanted.start)
        with get_engine().connect() as connection:
            if connection.scalar(taken):
                return JSONResponse({"code": "slot_unavailable"}, 409)
        row = {"host_id": wanted.host_id, "starts": wanted.start, "ends": wanted.end}
        with get_engine().begin() as connection:
            connection.execute(insert(peer_booking), [row])
        return JSONResponse({}, 201)

    return app
