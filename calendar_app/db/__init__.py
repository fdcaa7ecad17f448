"""The database: tables, sessions, and queries. Queries never commit; services own the transactions.

Whatever imports anything of this room also reads what operators entered in pages (:mod:`calendar_app.db.entered`).
"""

from calendar_app import settings
from calendar_app.db import entered

settings.use_entered(entered.with_entered)
