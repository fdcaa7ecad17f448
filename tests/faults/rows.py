"""Faults and attacks that the product survives, each with the tests that bring it about.

``python -m tests.faults`` runs them and prints the table; a row holds when every one of its tests ran and passed. A
test may say more with ``record_property("count", "10 callers, 1 refresh")``.
"""

from __future__ import annotations

STORMS, MACHINE = "tests/concurrency/test_storms.py", "tests/services/bookings/test_transitions_histories.py"
HISTORY = "tests/faults/test_history.py"
CRASHES, PROVIDER = "tests/faults/test_crashes.py", "tests/faults/test_provider.py"
WRITES, GRANTS, SYNC = (
    f"tests/services/{name}.py"
    for name in ("calendar_writes/test_outbox", "connections/test_tokens", "calendar_sync/test_run")
)
JOBS, WORKERS = "tests/worker/test_jobs.py", "tests/worker/test_processes.py"
CHANNELS, OAUTH = (
    "tests/services/calendar_sync/test_push_channels.py",
    "tests/services/connection_lifecycle/test_oauth.py",
)
KEYS, HTTP, GUARD = (
    "tests/api/test_idempotency.py",
    "tests/providers/test_http.py",
    "tests/providers/test_guard.py",
)
ATTACKS = "tests/attacks"
PUSH, CLOCKS, MAILBOX = (f"tests/faults/test_{name}.py" for name in ("push", "clocks", "mailbox"))
ADDRESSES, FILES = f"{ATTACKS}/test_typed_addresses.py", f"{ATTACKS}/test_hostile_files.py"
CASES = "tests/api/test_calendar_cases.py"
RIGHTS = "tests/faults/test_rights.py"
CODES = f"{ATTACKS}/test_oauth.py"
LISTINGS = "tests/providers/test_caldav_listing.py"
LINES = "tests/faults/test_lines.py"

ROWS: dict[int, tuple[str, tuple[str, ...]]] = {
    1: ("Everybody wants one slot at once", (f"{STORMS}::test_one_slot_one_winner", HISTORY)),
    2: (
        "Overlapping starts, buffers, event types of one host",
        (f"{STORMS}::test_staggered_starts_lengths_buffers_and_types", HISTORY),
    ),
    3: (
        "Deadlocks are retried and never shown",
        (
            f"{STORMS}::test_hosts_in_opposite_orders",
            "tests/services/bookings/test_reservations.py::test_transient_refusals_are_retried_a_few_times",
            "tests/services/bookings/test_reservations.py::test_parallel_claims_without_locks_never_overlap",
        ),
    ),
    4: (
        "Answers to pending requests at once",
        ("tests/services/bookings/test_create.py::test_two_answers_to_one_request", MACHINE),
    ),
    5: (
        "Move, cancel and new booking have a serial order",
        (f"{STORMS}::test_bookings_moves_and_cancellations_have_a_serial_order", HISTORY, MACHINE),
    ),
    6: (
        "Collective and round-robin hosts in opposite orders",
        (f"{STORMS}::test_hosts_in_opposite_orders", f"{STORMS}::test_a_round_robin_fills_every_host"),
    ),
    7: (
        "The same Idempotency-Key again",
        (
            KEYS,
            "tests/api/test_bookings.py::test_a_repetition_gets_the_first_answer",
            "tests/api/test_bookings.py::test_two_repetitions_in_flight_make_one_booking",
        ),
    ),
    8: (
        "kill -9 of a web process around the commit of a booking",
        (
            f"{CRASHES}::test_a_web_process_killed_while_it_books",
            f"{STORMS}::test_a_web_process_that_is_killed_leaves_whole_bookings_or_none",
        ),
    ),
    9: ("Writers queue up on SQLite", ("tests/db/test_session.py::test_writers_queue_up", STORMS)),
    10: (
        "An event that arrived after the page was loaded",
        (
            f"{PROVIDER}::test_what_is_true_at_the_provider_wins_at_submit",
            "tests/services/bookings/test_create.py::test_an_event_that_came_after_the_last_sync_is_found",
        ),
    ),
    11: (
        "Clock changes, odd zones, the date line",
        ("tests/domain/test_slots_property.py", "tests/domain/test_schedule_zones.py"),
    ),
    12: (
        "Clocks that differ",
        (
            CLOCKS,
            f"{SYNC}::test_clock_of_another_machine_is_ahead",
            "tests/services/bookings/test_reservations.py::test_expired_holds_give_way_under_the_lock",
            "tests/services/bookings/test_create.py::test_the_past_is_refused_in_words",
        ),
    ),
    13: (
        "Redis down at commit",
        (
            f"{JOBS}::test_redis_down_at_commit",
            "tests/services/mail/test_outbox.py::test_without_redis_the_sweep_delivers",
        ),
    ),
    14: (
        "FLUSHALL",
        (
            f"{JOBS}::test_flushall_loses_nothing",
            f"{WORKERS}::test_redis_flushed_under_a_running_worker",
            f"{WRITES}::test_the_sweeper_finds_what_a_lost_queue_forgot",
        ),
    ),
    15: (
        "kill -9 of a worker at every step",
        (
            f"{CRASHES}::test_a_worker_killed_at_every_step_of_a_write",
            f"{CRASHES}::test_a_worker_killed_between_the_answer_and_its_record",
            f"{CRASHES}::test_a_worker_killed_before_it_claims",
            f"{CRASHES}::test_a_worker_killed_while_it_reads",
            f"{CRASHES}::test_a_worker_killed_before_it_commits_what_it_read",
            f"{CRASHES}::test_a_worker_killed_after_it_committed_what_it_read",
            f"{CRASHES}::test_a_worker_killed_while_it_refreshes",
            f"{CRASHES}::test_a_worker_killed_before_it_saves_new_tokens",
            f"{CRASHES}::test_a_worker_killed_after_it_saved_new_tokens",
            f"{WRITES}::test_every_crash_point_ends_in_one_event",
        ),
    ),
    16: (
        "A worker stopped past its time, then going on",
        (
            f"{CRASHES}::test_a_worker_that_sleeps_through_its_claim",
            f"{WRITES}::test_a_late_worker_is_fenced_and_its_call_made_good",
        ),
    ),
    17: (
        "One job delivered many times",
        (
            f"{CRASHES}::test_one_job_delivered_many_times",
            f"{WRITES}::test_the_same_job_many_times_at_once_is_one_event",
            "tests/services/mail/test_outbox.py::test_two_workers_send_one_letter",
        ),
    ),
    18: (
        "Operations in reverse order",
        (
            f"{WRITES}::test_create_and_cancel_in_reverse_order",
            f"{WRITES}::test_a_late_call_during_the_takers_own_is_made_good",
        ),
    ),
    19: (
        "A job that never succeeds",
        (f"{PROVIDER}::test_tries_have_an_end", f"{WRITES}::test_a_job_that_kills_its_workers_is_parked"),
    ),
    20: (
        "A transaction that rolls back",
        (
            f"{JOBS}::test_rolled_back_transaction_queues_nothing",
            "tests/services/mail/test_outbox.py::test_a_transaction_that_rolls_back_mails_nothing",
        ),
    ),
    21: (
        "429 with seconds, with a date, without",
        (
            f"{PROVIDER}::test_a_rate_limited_write_waits_as_long_as_told",
            f"{PROVIDER}::test_tries_have_an_end",
            HTTP,
        ),
    ),
    22: ("403 as a limit and as a refusal", (f"{PROVIDER}::test_a_403_is_a_limit_or_a_refusal",)),
    23: (
        "5xx, silence, cut, malformed and dripping answers",
        (
            f"{PROVIDER}::test_a_write_whose_answer_fails_makes_one_event",
            f"{PROVIDER}::test_a_page_that_fails_stores_nothing",
            f"{PROVIDER}::test_changes_that_cannot_be_read_move_nothing_on",
        ),
    ),
    24: (
        "410 for a sync token",
        (
            f"{PROVIDER}::test_a_lost_sync_token_keeps_times_closed",
            f"{SYNC}::test_refused_cursor_lists_everything_and_removes_what_vanished",
        ),
    ),
    25: (
        "A page of a listing fails",
        (
            f"{PROVIDER}::test_a_page_that_fails_stores_nothing",
            f"{PROVIDER}::test_the_coming_weeks_of_a_large_calendar_are_read_first",
        ),
    ),
    26: ("409 for our own id", (f"{PROVIDER}::test_an_id_that_exists_already_is_our_own_event",)),
    27: (
        "412 because the owner changed the event",
        (
            f"{PROVIDER}::test_a_changed_event_is_merged",
            f"{WRITES}::test_what_the_owner_changed_in_the_event_stays",
        ),
    ),
    28: (
        "401 in the middle of a sync; a grant that is gone",
        (
            f"{PROVIDER}::test_a_token_that_ends_in_the_middle_of_a_listing",
            f"{PROVIDER}::test_a_revoked_grant_is_said_and_fails_closed",
            f"{PROVIDER}::test_one_refusal_of_a_password_is_not_believed",
        ),
    ),
    29: (
        "Many that need a new token at once",
        (
            f"{PROVIDER}::test_many_that_need_a_token_refresh_it_once",
            f"{PROVIDER}::test_a_refresh_that_gets_no_answer",
            f"{GRANTS}::test_processes_share_one_refresh",
        ),
    ),
    30: (
        "Push lost, doubled, late, out of order",
        (
            PUSH,
            f"{PROVIDER}::test_polling_finds_what_no_push_told",
            f"{SYNC}::test_polling_finds_what_push_missed",
            f"{CHANNELS}::test_push_is_queued_once_and_read",
            f"{CHANNELS}::test_push_without_a_usable_number_is_ignored",
            "tests/services/calendar_sync/test_push_trust.py",
            "tests/services/calendar_sync/test_run_histories.py",
        ),
    ),
    31: (
        "Channels that end",
        (
            f"{CHANNELS}::test_renewal_opens_the_new_channel_first",
            f"{CHANNELS}::test_failed_renewal_leaves_the_old_channel",
            "tests/services/calendar_sync/test_push_trust.py::test_a_channel_that_dies_unseen_leaves_no_gap",
            "tests/services/calendar_sync/test_push_channels_at_microsoft.py",
        ),
    ),
    32: (
        "Too many calls to one mailbox at once",
        (MAILBOX, "tests/services/connections/test_concurrency.py"),
    ),
    33: (
        "The provider cannot be reached when times are asked for",
        (
            f"{PROVIDER}::test_an_unreachable_provider_never_means_free",
            "tests/services/availability/test_conflict_calendars.py",
        ),
    ),
    34: (
        "CalDAV servers as they are",
        (
            f"{PROVIDER}::test_a_calendar_that_comes_in_parts",
            f"{PROVIDER}::test_a_server_with_weak_entity_tags",
            "tests/providers/test_caldav*",
        ),
    ),
    35: ("OAuth: state, session, issuer, PKCE", (CODES, OAUTH)),
    36: (
        "Redirects to elsewhere",
        (
            f"{CODES}::test_nobody_is_sent_elsewhere",
            "tests/api/test_auth.py::test_next_stays_on_this_site",
            f"{OAUTH}::test_only_local_paths_are_followed",
        ),
    ),
    37: ("Forged webhooks", (f"{ATTACKS}/test_forged.py", f"{CHANNELS}::test_forged_push_does_nothing")),
    38: (
        "Calendly webhooks: bad, old, replayed signatures",
        (
            "tests/api/test_calendly_story.py::test_a_webhook_brings_a_booking_at_once_and_only_once",
            "tests/providers/test_calendly*",
        ),
    ),
    39: (
        "Addresses that lead inside",
        (
            f"{ADDRESSES}::test_addresses_inside_are_refused",
            f"{ADDRESSES}::test_redirects_lead_nowhere_inside",
            f"{ADDRESSES}::test_a_password_reaches_no_other_host",
            GUARD,
        ),
    ),
    40: (
        "Hostile calendar files",
        (FILES, "tests/domain/test_recurrence_bounds.py", "tests/domain/test_ics_reader.py"),
    ),
    41: (
        "Hostile XML and compression",
        (
            f"{ADDRESSES}::test_bombs_are_bounded",
            "tests/providers/test_caldav*",
            f"{GUARD}::test_bodies_are_bounded",
        ),
    ),
    42: (
        "Injection",
        (
            f"{ATTACKS}/test_injection.py",
            "tests/e2e/test_attacks.py::test_markup_is_shown_and_never_run",
            "tests/domain/test_ics_writer.py",
            "tests/services/booking_emails/test_occasions.py::test_hostile_texts_stay_texts",
            f"{ATTACKS}/test_schema.py",
            "tests/providers/test_mail.py::test_no_text_becomes_a_header",
        ),
    ),
    43: ("Other people's objects", (f"{ATTACKS}/test_access.py", f"{ATTACKS}/test_schema.py")),
    44: (
        "Secrets in clear",
        (
            f"{ATTACKS}/test_secrets.py",
            "tests/worker/test_secrets.py",
            "tests/test_logs.py",
            "tests/db/test_session.py::test_tokens_are_encrypted_and_keys_rotate",
        ),
    ),
    45: (
        "Floods of bookings and holds",
        (
            f"{ATTACKS}/test_floods.py",
            "tests/services/bookings/test_create.py::test_nobody_keeps_a_whole_calendar_with_holds",
            "tests/api/test_bookings.py::test_one_address_cannot_book_without_end",
            "tests/services/bookings/test_create.py::test_holds_are_replaced_released_and_swept",
        ),
    ),
    46: (
        "One tab, one person after another",
        (
            "tests/ui/test_sockets.py",
            "tests/e2e/test_sessions.py::test_nothing_of_the_person_before_is_shown_in_the_same_tab",
        ),
    ),
    47: (
        "The stored state of an open staff page is gone",
        (
            "tests/e2e/test_lost_states.py",
            "tests/ui/test_sockets.py::test_an_event_on_a_lost_state_is_not_carried_out",
        ),
    ),
    55: (
        "A grant is withdrawn and given again",
        (
            "tests/services/connection_lifecycle/test_oauth.py::test_push_works_again_as_soon_as_the_account_is_connected",
        ),
    ),
    56: (
        "409 and 410 on create, update, delete",
        (
            f"{PROVIDER}::test_what_stands_there_decides_after_409_and_410",
            f"{PROVIDER}::test_a_refusal_without_end_is_said_in_words_of_a_write",
        ),
    ),
    57: (
        "500 waiting external changes before one that is due",
        (
            "tests/services/external_changes/test_resolve.py::test_what_waits_does_not_hide_what_is_due",
            "tests/services/external_changes/test_drift_report.py::test_writes_that_were_given_up_do_not_hide_others",
        ),
    ),
    58: (
        "A backup put back that is older than bookings made since",
        (
            "tests/services/external_changes/test_orphaned_events.py",
            "tests/services/operations/test_backup.py",
            "tests/faults/test_restore.py",
        ),
    ),
    59: (
        "Power lost after an answer, a damaged database",
        (
            "tests/faults/test_power.py::test_an_acknowledged_booking_is_on_the_disk",
            "tests/api/test_health.py::test_a_database_that_does_not_sync_is_named",
            "tests/services/operations/test_storage.py",
        ),
    ),
    50: (
        "A CalDAV server denies what it has just listed",
        (
            f"{LISTINGS}::test_what_was_listed_and_is_then_denied_is_asked_for",
            f"{LISTINGS}::test_what_sync_collection_names_and_multiget_denies_is_asked_for",
        ),
    ),
    51: (
        "A calendar is made again under its address, its tokens start over",
        (
            f"{LISTINGS}::test_a_calendar_made_again_is_listed_anew",
            "tests/providers/test_caldav_servers.py::test_a_calendar_made_again_is_listed_anew",
        ),
    ),
    48: (
        "A customer's line breaks while they fill in the form",
        (
            f"{LINES}::test_lines_are_cut_at_every_step",
            "tests/e2e/test_customers.py::test_a_line_that_breaks_keeps_the_form",
            "tests/services/bookings/test_holds.py::test_what_is_sent_twice_makes_one_booking",
        ),
    ),
    49: (
        "Redis is flushed, or gone, while customers fill in forms",
        (
            f"{LINES}::test_redis_is_flushed_while_customers_fill_in_forms",
            f"{LINES}::test_redis_goes_away_while_a_form_is_filled_in",
        ),
    ),
    52: (
        "A CalDAV server's free/busy counts what takes no time",
        (
            "tests/services/availability/test_live_check.py",
            "tests/providers/test_caldav_servers.py::test_what_free_busy_should_not_count",
            "tests/domain/test_ics_reader.py::test_every_address_of_the_owner_counts",
            "tests/domain/test_ics_reader.py::test_outlooks_status_and_transp",
        ),
    ),
    62: (
        "A webhook's receiver is down, slow, leads inside, answers too much, or is gone",
        (
            "tests/services/webhooks/test_sending.py",
            "tests/faults/test_webhooks.py::test_a_soak",
            "tests/providers/test_webhooks.py",
            "tests/services/webhooks/test_subscriptions.py::test_addresses_that_may_not_be_called_are_refused",
        ),
    ),
    63: (
        "A clock is set by hours, forth and back",
        (
            f"{JOBS}::test_a_clock_that_is_set_stops_no_periodic_job",
            "tests/api/test_health.py::test_a_sign_of_life_from_the_future_is_none",
            f"{SYNC}::test_a_calendar_read_in_the_future_is_due",
            f"{CLOCKS}::test_clocks_that_differ_by_hours",
        ),
    ),
    64: (
        "One Idempotency-Key at web processes whose clocks differ",
        (f"{CLOCKS}::test_one_key_at_processes_whose_clocks_differ",),
    ),
    65: (
        "The right to write is taken and given back, or the calendar deleted",
        (RIGHTS, "tests/services/calendar_writes/test_write_access.py"),
    ),
    53: (
        "Rules refused, too dense or badly written, and several events under one UID",
        (
            "tests/domain/test_cautious.py",
            "tests/domain/test_recurrence.py::test_badly_written_rules_are_read_where_they_are_clear",
            "tests/domain/test_ics_reader.py::test_components_of_one_uid_are_versions_or_different_events",
            f"{CASES}::test_rules_that_nobody_can_follow_never_free_time",
            "tests/services/calendar_mirror/test_unreadable_events.py",
        ),
    ),
    54: (
        "Time zones known only by their definition, times without a zone",
        (
            "tests/domain/test_zone_definitions.py",
            f"{CASES}::test_every_file_blocks_its_time",
            "tests/services/connections/test_calendar_time_zones.py",
        ),
    ),
    60: (
        "A customer's address outside ASCII",
        (
            "tests/providers/test_mail.py::test_a_recipient_outside_ascii_gets_the_letter",
            "tests/providers/test_mail.py::test_a_server_without_such_addresses_refuses_only_what_is_for_them",
        ),
    ),
    61: (
        "Set-up on a day with newer releases of everything",
        ("tests/test_requirements.py", "tests/launcher/test_install.py"),
    ),
}
