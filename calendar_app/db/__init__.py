"""The database: tables, sessions, and queries. Queries never commit; services own the transactions."""
