"""How full a lithium-polymer cell is, from its voltage. Whole numbers only, no memory taken: it runs within a tap."""

from bandwire.condition import BATTERY_UNKNOWN

# Millivolts of one cell under the band's small load, and percent of its charge left. Between two points: a straight
# line. Flat in the middle, so a few percent either way mean nothing there; measure your own cell and put it here.
_CURVE = (
    (3300, 0),
    (3500, 4),
    (3600, 8),
    (3680, 16),
    (3730, 25),
    (3780, 40),
    (3850, 55),
    (3940, 70),
    (4050, 86),
    (4160, 100),
)
# No cell shows less without its protection cutting it off, or more on any charger: then the divider is broken.
_CELL_MIN_MV, _CELL_MAX_MV = 2500, 4500


def percent_of(cell_mv: int) -> int:
    """0 to 100, or BATTERY_UNKNOWN for a voltage that no working cell has."""
    if not _CELL_MIN_MV <= cell_mv <= _CELL_MAX_MV:
        return BATTERY_UNKNOWN
    below_mv, below = _CURVE[0]
    if cell_mv <= below_mv:
        return below
    for mv, percent in _CURVE:
        if cell_mv <= mv:
            return below + (percent - below) * (cell_mv - below_mv) // (mv - below_mv)
        below_mv, below = mv, percent
    return below
