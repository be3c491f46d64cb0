"""Check of the guest who looked for their band."""

from __future__ import annotations

from voyage.observed import Observed
from voyage.verdict import Verdict


def band_found(seen: Observed) -> Verdict:
    """Its radio was off until the guest switched it on; then it was heard, and buzzed on the wrist."""
    found = seen.found
    if found is None:
        return Verdict(["nobody looked for a band"], "")
    faults = [] if found.silent else ["the radio was on before anybody asked for it"]
    faults += [] if found.found else ["the guest's page did not say where it is"]
    faults += [] if found.buzzed else ["the band did not buzz"]
    return Verdict(faults, f"off until the guest's yes, then found and buzzing in {found.took_s:.1f} s")
