"""Calendly, as far as Almanac uses it: OAuth, API v2, and a customer who books."""
