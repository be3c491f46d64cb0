"""ports.aggregates.Noise with OpenDP (extra `aggregates`): exact sampling on integers, noise from OpenSSL's generator.

The mechanism and what it costs are the library's; nothing is sampled here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

# Part by part: the library's prelude also loads whatever training packages are installed.
from opendp.domains import atom_domain, vector_domain
from opendp.measurements import make_laplace
from opendp.metrics import l1_distance
from opendp.mod import Measurement, enable_features

from steward.ports.aggregates import Noise

enable_features("contrib")


class OpenDpNoise:
    """Draws anew each time; there is no seed to set."""

    def laplace(self, values: Sequence[int], scale: float) -> list[int]:
        """See Noise."""
        return [int(value) for value in self._mechanism(scale)(list(values))] if values else []

    def epsilon(self, scale: float, sensitivity: int) -> float:
        """See Noise."""
        return float(self._mechanism(scale).map(d_in=sensitivity))  # type: ignore[no-untyped-call]

    @staticmethod
    def _mechanism(scale: float) -> Measurement:
        return make_laplace(vector_domain(atom_domain(T="i64")), l1_distance(T="i64"), scale=scale)


if TYPE_CHECKING:

    def _is_noise(noise: OpenDpNoise) -> Noise:
        return noise
