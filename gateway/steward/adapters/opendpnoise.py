"""ports.aggregates.Noise with OpenDP (extra `aggregates`): exact sampling on integers, noise from OpenSSL's generator.

The mechanism and what it costs are the library's; nothing is sampled here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import opendp.prelude as dp

from steward.ports.aggregates import Noise

dp.enable_features("contrib")


class OpenDpNoise:
    """Draws anew each time; there is no seed to set."""

    def laplace(self, values: Sequence[int], scale: float) -> list[int]:
        """See Noise."""
        return [int(value) for value in self._mechanism(scale)(list(values))] if values else []

    def epsilon(self, scale: float, sensitivity: int) -> float:
        """See Noise."""
        return float(self._mechanism(scale).map(d_in=sensitivity))  # type: ignore[no-untyped-call]

    @staticmethod
    def _mechanism(scale: float) -> dp.Measurement:
        return dp.m.make_laplace(dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64"), scale=scale)


if TYPE_CHECKING:

    def _is_noise(noise: OpenDpNoise) -> Noise:
        return noise
