"""Steward's gateway: keys, charges and guests decided on the ship."""

__version__ = "0.1.0"
