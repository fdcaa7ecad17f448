"""Measurements, each a module that prints its own report; `make bench` runs them all. Never part of the tests."""
