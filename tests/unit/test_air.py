from __future__ import annotations

import pytest

from bench.air import FRAME_GAP_US, exchange_ms, frame_us, message_us


def test_a_frame_is_nine_bits_a_byte_and_a_gap() -> None:
    assert frame_us(10, 106) == pytest.approx((92 / 106) * 1000 + FRAME_GAP_US)


def test_what_fits_one_frame_is_not_chained() -> None:
    assert message_us(125, 106) == pytest.approx(frame_us(128, 106))
    chained = frame_us(128, 106) + frame_us(3, 106) + frame_us(4, 106)
    assert message_us(126, 106) == pytest.approx(chained)


def test_a_flow_is_the_sum_of_both_directions() -> None:
    assert exchange_ms([(13, 2), (8, 18)], 424) == pytest.approx(sum(message_us(n, 424) for n in (13, 2, 8, 18)) / 1000)
