"""CalDAV (RFC 4791): Apple iCloud, Fastmail, Nextcloud and every other server that speaks it."""
