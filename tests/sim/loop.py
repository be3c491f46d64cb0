"""An event loop whose time is the simulation's, as the benches have it: a seed replays."""

from bench.virtualtime import LATEST_S, Stalled, VirtualLoop, run

__all__ = ["LATEST_S", "Stalled", "VirtualLoop", "run"]
