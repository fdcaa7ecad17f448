"""the first tables."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import EncryptedText, Json, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


NO_OVERLAP = "host_reservation_no_overlap"


def forbid_overlap() -> None:
    """No two reservations of one host may overlap; on SQLite, which has no exclusion constraints, triggers say so."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
        op.execute(
            f"ALTER TABLE host_reservation ADD CONSTRAINT {NO_OVERLAP} "
            "EXCLUDE USING gist (host_id WITH =, int8range(starts, ends) WITH &&)"
        )
        return
    for name, when in (("insert", "INSERT"), ("update", "UPDATE OF host_id, starts, ends")):
        op.execute(
            f"CREATE TRIGGER {NO_OVERLAP}_{name} BEFORE {when} ON host_reservation BEGIN "  # noqa: S608  # constants
            f"SELECT RAISE(ABORT, '{NO_OVERLAP}') WHERE EXISTS (SELECT 1 FROM host_reservation AS other "
            "WHERE other.host_id = NEW.host_id AND other.id <> NEW.id "
            "AND other.starts < NEW.ends AND other.ends > NEW.starts); END"
        )


def upgrade() -> None:
    op.create_table(
        "idempotency_record",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("response", Json, nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency_record")),
        sa.UniqueConstraint("scope", "key", name=op.f("uq_idempotency_record_scope_key")),
    )
    op.create_index(
        op.f("ix_idempotency_record_created_at"), "idempotency_record", ["created_at"], unique=False
    )
    op.create_table(
        "person",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("calendar_sync_enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
        sa.UniqueConstraint("email", name=op.f("uq_person_email")),
    )
    op.create_table(
        "workspace",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("auto_sync_bookings", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workspace")),
        sa.UniqueConstraint("slug", name=op.f("uq_workspace_slug")),
    )
    op.create_table(
        "api_token",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("person_id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", Json, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_api_token_person_id_person"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_token_token_hash")),
    )
    op.create_index(op.f("ix_api_token_person_id"), "api_token", ["person_id"], unique=False)
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("person_id", sa.String(length=26), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject_type", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("detail", Json, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_audit_entry_person_id_person"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspace.id"],
            name=op.f("fk_audit_entry_workspace_id_workspace"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
    )
    op.create_index(
        "ix_audit_entry_subject", "audit_entry", ["subject_type", "subject_id", "at"], unique=False
    )
    op.create_index(op.f("ix_audit_entry_workspace_id"), "audit_entry", ["workspace_id"], unique=False)
    op.create_table(
        "auth_session",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("person_id", sa.String(length=26), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_agent", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("last_seen_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_auth_session_person_id_person"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_session")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_auth_session_token_hash")),
    )
    op.create_index(op.f("ix_auth_session_person_id"), "auth_session", ["person_id"], unique=False)
    op.create_table(
        "connection",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("person_id", sa.String(length=26), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("account_email", sa.String(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("scopes", Json, nullable=False),
        sa.Column("access_token", EncryptedText(), nullable=True),
        sa.Column("refresh_token", EncryptedText(), nullable=True),
        sa.Column("access_expires_at", UtcDateTime(), nullable=True),
        sa.Column("token_version", sa.Integer(), nullable=False),
        sa.Column("refresh_lease_until", UtcDateTime(), nullable=True),
        sa.Column("last_sync_at", UtcDateTime(), nullable=True),
        sa.Column("last_error_code", sa.String(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("last_error_at", UtcDateTime(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("disconnected_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_connection_person_id_person"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspace.id"],
            name=op.f("fk_connection_workspace_id_workspace"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connection")),
        sa.UniqueConstraint(
            "workspace_id",
            "person_id",
            "provider",
            "account_id",
            name=op.f("uq_connection_workspace_id_person_id_provider_account_id"),
        ),
    )
    op.create_index(
        op.f("ix_connection_access_expires_at"), "connection", ["access_expires_at"], unique=False
    )
    op.create_index(op.f("ix_connection_person_id"), "connection", ["person_id"], unique=False)
    op.create_index(op.f("ix_connection_status"), "connection", ["status"], unique=False)
    op.create_index(op.f("ix_connection_workspace_id"), "connection", ["workspace_id"], unique=False)
    op.create_table(
        "customer_order",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("confirmed_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspace.id"],
            name=op.f("fk_customer_order_workspace_id_workspace"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_order")),
    )
    op.create_index(op.f("ix_customer_order_workspace_id"), "customer_order", ["workspace_id"], unique=False)
    op.create_table(
        "event_type",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("color", sa.String(), nullable=False),
        sa.Column("durations", Json, nullable=False),
        sa.Column("buffer_before", sa.Integer(), nullable=False),
        sa.Column("buffer_after", sa.Integer(), nullable=False),
        sa.Column("minimum_notice", sa.Integer(), nullable=False),
        sa.Column("horizon_days", sa.Integer(), nullable=False),
        sa.Column("step_minutes", sa.Integer(), nullable=False),
        sa.Column("daily_cap", sa.Integer(), nullable=False),
        sa.Column("weekly_cap", sa.Integer(), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("requires_approval", sa.Boolean(), nullable=False),
        sa.Column("category", sa.String(length=32), nullable=False),
        sa.Column("priority", sa.String(length=16), nullable=False),
        sa.Column("reminders", Json, nullable=False),
        sa.Column("hosting", sa.String(length=16), nullable=False),
        sa.Column("questions", Json, nullable=False),
        sa.Column("cancel_notice", sa.Integer(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspace.id"],
            name=op.f("fk_event_type_workspace_id_workspace"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_type")),
        sa.UniqueConstraint("workspace_id", "slug", name=op.f("uq_event_type_workspace_id_slug")),
    )
    op.create_index(op.f("ix_event_type_workspace_id"), "event_type", ["workspace_id"], unique=False)
    op.create_table(
        "membership",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("person_id", sa.String(length=26), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_membership_person_id_person"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspace.id"],
            name=op.f("fk_membership_workspace_id_workspace"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_membership")),
        sa.UniqueConstraint("workspace_id", "person_id", name=op.f("uq_membership_workspace_id_person_id")),
    )
    op.create_index(op.f("ix_membership_person_id"), "membership", ["person_id"], unique=False)
    op.create_index(op.f("ix_membership_workspace_id"), "membership", ["workspace_id"], unique=False)
    op.create_table(
        "oauth_attempt",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("state_hash", sa.String(length=64), nullable=False),
        sa.Column("binding", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("person_id", sa.String(length=26), nullable=False),
        sa.Column("connection_id", sa.String(length=26), nullable=True),
        sa.Column("code_verifier", EncryptedText(), nullable=False),
        sa.Column("next_path", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_oauth_attempt_person_id_person"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspace.id"],
            name=op.f("fk_oauth_attempt_workspace_id_workspace"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_attempt")),
        sa.UniqueConstraint("state_hash", name=op.f("uq_oauth_attempt_state_hash")),
    )
    op.create_index(op.f("ix_oauth_attempt_expires_at"), "oauth_attempt", ["expires_at"], unique=False)
    op.create_index(op.f("ix_oauth_attempt_person_id"), "oauth_attempt", ["person_id"], unique=False)
    op.create_index(op.f("ix_oauth_attempt_workspace_id"), "oauth_attempt", ["workspace_id"], unique=False)
    op.create_table(
        "schedule",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("person_id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("weekly", Json, nullable=False),
        sa.Column("overrides", Json, nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_schedule_person_id_person"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspace.id"],
            name=op.f("fk_schedule_workspace_id_workspace"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule")),
    )
    op.create_index(op.f("ix_schedule_person_id"), "schedule", ["person_id"], unique=False)
    op.create_index(op.f("ix_schedule_workspace_id"), "schedule", ["workspace_id"], unique=False)
    op.create_table(
        "booking",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("event_type_id", sa.String(length=26), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("start_at", UtcDateTime(), nullable=False),
        sa.Column("end_at", UtcDateTime(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("answers", Json, nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("color", sa.String(), nullable=False),
        sa.Column("order_id", sa.String(length=26), nullable=True),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("cancelled_at", UtcDateTime(), nullable=True),
        sa.Column("cancelled_by", sa.String(), nullable=False),
        sa.Column("cancel_reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_type_id"],
            ["event_type.id"],
            name=op.f("fk_booking_event_type_id_event_type"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["customer_order.id"],
            name=op.f("fk_booking_order_id_customer_order"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspace.id"],
            name=op.f("fk_booking_workspace_id_workspace"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_booking")),
        sa.UniqueConstraint("uid", name=op.f("uq_booking_uid")),
    )
    op.create_index(op.f("ix_booking_email"), "booking", ["email"], unique=False)
    op.create_index(op.f("ix_booking_event_type_id"), "booking", ["event_type_id"], unique=False)
    op.create_index(op.f("ix_booking_order_id"), "booking", ["order_id"], unique=False)
    op.create_index("ix_booking_workspace_start", "booking", ["workspace_id", "start_at"], unique=False)
    op.create_table(
        "calendar",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("connection_id", sa.String(length=26), nullable=False),
        sa.Column("remote_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("color", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("access_role", sa.String(length=16), nullable=False),
        sa.Column("is_primary", sa.Boolean(), nullable=False),
        sa.Column("checks_conflicts", sa.Boolean(), nullable=False),
        sa.Column("receives_bookings", sa.Boolean(), nullable=False),
        sa.Column("stale_policy", sa.String(length=16), nullable=False),
        sa.Column("sync_cursor", sa.Text(), nullable=True),
        sa.Column("sync_fence", sa.Integer(), nullable=False),
        sa.Column("sync_lease_until", UtcDateTime(), nullable=True),
        sa.Column("sync_requested_at", UtcDateTime(), nullable=True),
        sa.Column("sync_started_at", UtcDateTime(), nullable=True),
        sa.Column("sync_retry_at", UtcDateTime(), nullable=True),
        sa.Column("sync_progress", sa.Integer(), nullable=False),
        sa.Column("removals_accepted", sa.Boolean(), nullable=False),
        sa.Column("synced_at", UtcDateTime(), nullable=True),
        sa.Column("full_synced_at", UtcDateTime(), nullable=True),
        sa.Column("last_error_code", sa.String(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connection.id"],
            name=op.f("fk_calendar_connection_id_connection"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspace.id"],
            name=op.f("fk_calendar_workspace_id_workspace"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar")),
        sa.UniqueConstraint("connection_id", "remote_id", name=op.f("uq_calendar_connection_id_remote_id")),
    )
    op.create_index(op.f("ix_calendar_connection_id"), "calendar", ["connection_id"], unique=False)
    op.create_index(op.f("ix_calendar_synced_at"), "calendar", ["synced_at"], unique=False)
    op.create_index(op.f("ix_calendar_workspace_id"), "calendar", ["workspace_id"], unique=False)
    op.create_table(
        "event_type_host",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("event_type_id", sa.String(length=26), nullable=False),
        sa.Column("person_id", sa.String(length=26), nullable=False),
        sa.Column("schedule_id", sa.String(length=26), nullable=True),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_type_id"],
            ["event_type.id"],
            name=op.f("fk_event_type_host_event_type_id_event_type"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_event_type_host_person_id_person"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"],
            ["schedule.id"],
            name=op.f("fk_event_type_host_schedule_id_schedule"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_type_host")),
        sa.UniqueConstraint(
            "event_type_id", "person_id", name=op.f("uq_event_type_host_event_type_id_person_id")
        ),
    )
    op.create_index(
        op.f("ix_event_type_host_event_type_id"), "event_type_host", ["event_type_id"], unique=False
    )
    op.create_index(op.f("ix_event_type_host_person_id"), "event_type_host", ["person_id"], unique=False)
    op.create_table(
        "hold",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("event_type_id", sa.String(length=26), nullable=False),
        sa.Column("visitor", sa.String(length=64), nullable=False),
        sa.Column("start_at", UtcDateTime(), nullable=False),
        sa.Column("end_at", UtcDateTime(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_type_id"],
            ["event_type.id"],
            name=op.f("fk_hold_event_type_id_event_type"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
    )
    op.create_index(op.f("ix_hold_event_type_id"), "hold", ["event_type_id"], unique=False)
    op.create_index(op.f("ix_hold_expires_at"), "hold", ["expires_at"], unique=False)
    op.create_index(op.f("ix_hold_visitor"), "hold", ["visitor"], unique=False)
    op.create_table(
        "order_line",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("order_id", sa.String(length=26), nullable=False),
        sa.Column("event_type_id", sa.String(length=26), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("start_at", UtcDateTime(), nullable=False),
        sa.Column("duration", sa.Integer(), nullable=False),
        sa.Column("answers", Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["event_type_id"],
            ["event_type.id"],
            name=op.f("fk_order_line_event_type_id_event_type"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["customer_order.id"],
            name=op.f("fk_order_line_order_id_customer_order"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_line")),
    )
    op.create_index(op.f("ix_order_line_event_type_id"), "order_line", ["event_type_id"], unique=False)
    op.create_index(op.f("ix_order_line_order_id"), "order_line", ["order_id"], unique=False)
    op.create_table(
        "calendar_write",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("booking_id", sa.String(length=26), nullable=False),
        sa.Column("calendar_id", sa.String(length=26), nullable=False),
        sa.Column("remote_id", sa.String(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.Column("desired_version", sa.Integer(), nullable=False),
        sa.Column("applied_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("etag", sa.String(), nullable=False),
        sa.Column("html_link", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("last_error_code", sa.String(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("written_at", UtcDateTime(), nullable=True),
        sa.Column("verified_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["booking_id"],
            ["booking.id"],
            name=op.f("fk_calendar_write_booking_id_booking"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["calendar_id"],
            ["calendar.id"],
            name=op.f("fk_calendar_write_calendar_id_calendar"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_write")),
        sa.UniqueConstraint(
            "booking_id", "calendar_id", name=op.f("uq_calendar_write_booking_id_calendar_id")
        ),
    )
    op.create_index(op.f("ix_calendar_write_booking_id"), "calendar_write", ["booking_id"], unique=False)
    op.create_index("ix_calendar_write_due", "calendar_write", ["state", "next_attempt_at"], unique=False)
    op.create_index("ix_calendar_write_remote", "calendar_write", ["calendar_id", "remote_id"], unique=False)
    op.create_table(
        "channel",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("calendar_id", sa.String(length=26), nullable=False),
        sa.Column("resource_id", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("last_message", sa.Integer(), nullable=False),
        sa.Column("last_push_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("stopped_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["calendar_id"], ["calendar.id"], name=op.f("fk_channel_calendar_id_calendar"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel")),
    )
    op.create_index(op.f("ix_channel_calendar_id"), "channel", ["calendar_id"], unique=False)
    op.create_index(op.f("ix_channel_expires_at"), "channel", ["expires_at"], unique=False)
    op.create_table(
        "event",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("calendar_id", sa.String(length=26), nullable=False),
        sa.Column("remote_id", sa.String(), nullable=False),
        sa.Column("master_id", sa.String(), nullable=True),
        sa.Column("is_recurring", sa.Boolean(), nullable=False),
        sa.Column("booking_id", sa.String(length=26), nullable=True),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("etag", sa.String(), nullable=False),
        sa.Column("payload", Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["calendar_id"], ["calendar.id"], name=op.f("fk_event_calendar_id_calendar"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sa.UniqueConstraint("calendar_id", "remote_id", name=op.f("uq_event_calendar_id_remote_id")),
    )
    op.create_index(op.f("ix_event_booking_id"), "event", ["booking_id"], unique=False)
    op.create_index("ix_event_master", "event", ["calendar_id", "master_id"], unique=False)
    op.create_table(
        "host_reservation",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("host_id", sa.String(length=26), nullable=False),
        sa.Column("event_type_id", sa.String(length=26), nullable=False),
        sa.Column("starts", sa.BigInteger(), nullable=False),
        sa.Column("ends", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("hold_id", sa.String(length=26), nullable=True),
        sa.Column("expires", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("starts < ends", name=op.f("ck_host_reservation_ordered")),
        sa.ForeignKeyConstraint(
            ["event_type_id"],
            ["event_type.id"],
            name=op.f("fk_host_reservation_event_type_id_event_type"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["hold_id"], ["hold.id"], name=op.f("fk_host_reservation_hold_id_hold"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["host_id"], ["person.id"], name=op.f("fk_host_reservation_host_id_person"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host_reservation")),
    )
    op.create_index("ix_host_reservation_expires", "host_reservation", ["expires"], unique=False)
    op.create_index(op.f("ix_host_reservation_hold_id"), "host_reservation", ["hold_id"], unique=False)
    op.create_index(
        "ix_host_reservation_span", "host_reservation", ["host_id", "starts", "ends"], unique=False
    )
    op.create_table(
        "mail",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("booking_id", sa.String(length=26), nullable=True),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("dedupe", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(length=320), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("ics", sa.Text(), nullable=False),
        sa.Column("ics_method", sa.String(length=16), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["booking.id"], name=op.f("fk_mail_booking_id_booking"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspace.id"],
            name=op.f("fk_mail_workspace_id_workspace"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail")),
        sa.UniqueConstraint("dedupe", name=op.f("uq_mail_dedupe")),
    )
    op.create_index(op.f("ix_mail_booking_id"), "mail", ["booking_id"], unique=False)
    op.create_index("ix_mail_due", "mail", ["state", "next_attempt_at"], unique=False)
    op.create_index(op.f("ix_mail_workspace_id"), "mail", ["workspace_id"], unique=False)
    op.create_table(
        "booking_host",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("booking_id", sa.String(length=26), nullable=False),
        sa.Column("person_id", sa.String(length=26), nullable=False),
        sa.Column("reservation_id", sa.String(length=26), nullable=True),
        sa.ForeignKeyConstraint(
            ["booking_id"],
            ["booking.id"],
            name=op.f("fk_booking_host_booking_id_booking"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_booking_host_person_id_person"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["reservation_id"],
            ["host_reservation.id"],
            name=op.f("fk_booking_host_reservation_id_host_reservation"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_booking_host")),
        sa.UniqueConstraint("booking_id", "person_id", name=op.f("uq_booking_host_booking_id_person_id")),
    )
    op.create_index(op.f("ix_booking_host_booking_id"), "booking_host", ["booking_id"], unique=False)
    op.create_index(op.f("ix_booking_host_person_id"), "booking_host", ["person_id"], unique=False)
    op.create_index(op.f("ix_booking_host_reservation_id"), "booking_host", ["reservation_id"], unique=False)
    op.create_table(
        "occurrence",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("calendar_id", sa.String(length=26), nullable=False),
        sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("starts", sa.BigInteger(), nullable=False),
        sa.Column("ends", sa.BigInteger(), nullable=False),
        sa.Column("original", sa.BigInteger(), nullable=False),
        sa.Column("all_day", sa.Boolean(), nullable=False),
        sa.Column("busy", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["calendar_id"],
            ["calendar.id"],
            name=op.f("fk_occurrence_calendar_id_calendar"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.id"], name=op.f("fk_occurrence_event_id_event"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_occurrence")),
    )
    op.create_index("ix_occurrence_event", "occurrence", ["event_id"], unique=False)
    op.create_index(
        "ix_occurrence_span", "occurrence", ["calendar_id", "ends", "starts", "busy"], unique=False
    )
    forbid_overlap()


def downgrade() -> None:
    op.drop_index("ix_occurrence_span", table_name="occurrence")
    op.drop_index("ix_occurrence_event", table_name="occurrence")
    op.drop_table("occurrence")
    op.drop_index(op.f("ix_booking_host_reservation_id"), table_name="booking_host")
    op.drop_index(op.f("ix_booking_host_person_id"), table_name="booking_host")
    op.drop_index(op.f("ix_booking_host_booking_id"), table_name="booking_host")
    op.drop_table("booking_host")
    op.drop_index(op.f("ix_mail_workspace_id"), table_name="mail")
    op.drop_index("ix_mail_due", table_name="mail")
    op.drop_index(op.f("ix_mail_booking_id"), table_name="mail")
    op.drop_table("mail")
    op.drop_index("ix_host_reservation_span", table_name="host_reservation")
    op.drop_index(op.f("ix_host_reservation_hold_id"), table_name="host_reservation")
    op.drop_index("ix_host_reservation_expires", table_name="host_reservation")
    op.drop_table("host_reservation")
    op.drop_index("ix_event_master", table_name="event")
    op.drop_index(op.f("ix_event_booking_id"), table_name="event")
    op.drop_table("event")
    op.drop_index(op.f("ix_channel_expires_at"), table_name="channel")
    op.drop_index(op.f("ix_channel_calendar_id"), table_name="channel")
    op.drop_table("channel")
    op.drop_index("ix_calendar_write_remote", table_name="calendar_write")
    op.drop_index("ix_calendar_write_due", table_name="calendar_write")
    op.drop_index(op.f("ix_calendar_write_booking_id"), table_name="calendar_write")
    op.drop_table("calendar_write")
    op.drop_index(op.f("ix_order_line_order_id"), table_name="order_line")
    op.drop_index(op.f("ix_order_line_event_type_id"), table_name="order_line")
    op.drop_table("order_line")
    op.drop_index(op.f("ix_hold_visitor"), table_name="hold")
    op.drop_index(op.f("ix_hold_expires_at"), table_name="hold")
    op.drop_index(op.f("ix_hold_event_type_id"), table_name="hold")
    op.drop_table("hold")
    op.drop_index(op.f("ix_event_type_host_person_id"), table_name="event_type_host")
    op.drop_index(op.f("ix_event_type_host_event_type_id"), table_name="event_type_host")
    op.drop_table("event_type_host")
    op.drop_index(op.f("ix_calendar_workspace_id"), table_name="calendar")
    op.drop_index(op.f("ix_calendar_synced_at"), table_name="calendar")
    op.drop_index(op.f("ix_calendar_connection_id"), table_name="calendar")
    op.drop_table("calendar")
    op.drop_index("ix_booking_workspace_start", table_name="booking")
    op.drop_index(op.f("ix_booking_order_id"), table_name="booking")
    op.drop_index(op.f("ix_booking_event_type_id"), table_name="booking")
    op.drop_index(op.f("ix_booking_email"), table_name="booking")
    op.drop_table("booking")
    op.drop_index(op.f("ix_schedule_workspace_id"), table_name="schedule")
    op.drop_index(op.f("ix_schedule_person_id"), table_name="schedule")
    op.drop_table("schedule")
    op.drop_index(op.f("ix_oauth_attempt_workspace_id"), table_name="oauth_attempt")
    op.drop_index(op.f("ix_oauth_attempt_person_id"), table_name="oauth_attempt")
    op.drop_index(op.f("ix_oauth_attempt_expires_at"), table_name="oauth_attempt")
    op.drop_table("oauth_attempt")
    op.drop_index(op.f("ix_membership_workspace_id"), table_name="membership")
    op.drop_index(op.f("ix_membership_person_id"), table_name="membership")
    op.drop_table("membership")
    op.drop_index(op.f("ix_event_type_workspace_id"), table_name="event_type")
    op.drop_table("event_type")
    op.drop_index(op.f("ix_customer_order_workspace_id"), table_name="customer_order")
    op.drop_table("customer_order")
    op.drop_index(op.f("ix_connection_workspace_id"), table_name="connection")
    op.drop_index(op.f("ix_connection_status"), table_name="connection")
    op.drop_index(op.f("ix_connection_person_id"), table_name="connection")
    op.drop_index(op.f("ix_connection_access_expires_at"), table_name="connection")
    op.drop_table("connection")
    op.drop_index(op.f("ix_auth_session_person_id"), table_name="auth_session")
    op.drop_table("auth_session")
    op.drop_index(op.f("ix_audit_entry_workspace_id"), table_name="audit_entry")
    op.drop_index("ix_audit_entry_subject", table_name="audit_entry")
    op.drop_table("audit_entry")
    op.drop_index(op.f("ix_api_token_person_id"), table_name="api_token")
    op.drop_table("api_token")
    op.drop_table("workspace")
    op.drop_table("person")
    op.drop_index(op.f("ix_idempotency_record_created_at"), table_name="idempotency_record")
    op.drop_table("idempotency_record")
