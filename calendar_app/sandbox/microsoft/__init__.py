"""Microsoft 365, as far as Almanac and Microsoft's clients use it: Entra's v2.0 sign-in, Graph v1.0 calendars."""
