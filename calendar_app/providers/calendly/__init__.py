"""Calendly API v2 (https://developer.calendly.com/api-docs)."""
