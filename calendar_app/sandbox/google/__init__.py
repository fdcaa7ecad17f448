"""Google, as far as Almanac and Google's own clients use it: OAuth, userinfo and Calendar API v3."""
