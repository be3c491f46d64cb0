"""A ship's typical events, as the benches have them."""

from bench.typical import EPOCH, Ship, json_bytes

__all__ = ["EPOCH", "Ship", "json_bytes"]
