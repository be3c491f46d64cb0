"""When the gateway believes its clock."""

from __future__ import annotations

import pytest

from steward.adapters.system import (
    BACK_TOLERANCE_S,
    BUILD_FLOOR_S,
    JUMP_TOLERANCE_S,
    ClockState,
    OsEntropy,
    SystemClock,
)

NOON_S = 1_800_000_000.0


class Machine:
    """A wall clock and a monotonic one that can part ways."""

    def __init__(self, wall: float = NOON_S) -> None:
        self.wall = wall
        self.mono = 1000.0

    def clock(self, high_water_s: int = 0) -> SystemClock:
        return SystemClock(high_water_s=high_water_s, wall=lambda: self.wall, monotonic=lambda: self.mono)

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds


def trusted(clock: SystemClock) -> bool:
    return clock.now().trusted


def test_a_good_clock_is_believed_for_days() -> None:
    machine = Machine()
    clock = machine.clock(int(NOON_S) - 10)
    for _ in range(100):
        machine.run(86_400)
        machine.wall += 30  # drift against the monotonic clock, corrected little by little
        reading = clock.now()
        assert reading.trusted
        assert reading.unix_s == int(machine.wall)


def test_before_the_last_event_is_not_believed_until_ahead_of_it_again() -> None:
    machine = Machine()
    clock = machine.clock(int(NOON_S) + BACK_TOLERANCE_S + 1)
    assert not trusted(clock)
    assert clock.state is ClockState.BEHIND
    machine.run(BACK_TOLERANCE_S)
    assert not trusted(clock)
    machine.run(1)
    assert trusted(clock)


def test_a_little_behind_the_last_event_is_tolerated() -> None:
    assert trusted(Machine().clock(int(NOON_S) + BACK_TOLERANCE_S))


@pytest.mark.parametrize("wall", [0.0, 946_684_800.0, BUILD_FLOOR_S - 1.0])
def test_a_clock_without_battery_is_not_believed_even_with_an_empty_store(wall: float) -> None:
    assert not trusted(Machine(wall).clock())


def test_network_time_after_a_start_without_battery_is_believed_at_once() -> None:
    machine = Machine(0.0)
    clock = machine.clock(int(NOON_S))
    assert not trusted(clock)
    machine.run(60)
    machine.wall = NOON_S + 5000
    assert trusted(clock)
    machine.run(60)
    assert trusted(clock)


def test_a_jump_back_is_not_believed_until_the_time_is_reached_again() -> None:
    machine = Machine()
    clock = machine.clock()
    assert trusted(clock)
    machine.wall -= 3600
    assert not trusted(clock)
    assert clock.state is ClockState.BEHIND
    machine.run(3599)
    assert not trusted(clock)
    machine.run(1)
    assert trusted(clock)


@pytest.mark.parametrize("jump", [JUMP_TOLERANCE_S + 1, 86_400 * 365])
def test_a_jump_ahead_is_not_believed_until_it_is_undone(jump: int) -> None:
    machine = Machine()
    clock = machine.clock()
    assert trusted(clock)
    machine.run(10)
    machine.wall += jump
    for _ in range(3):
        assert not trusted(clock)
        assert clock.state is ClockState.JUMPED
        machine.run(1000)
    machine.wall -= jump
    assert trusted(clock)


def test_a_small_step_is_believed() -> None:
    machine = Machine()
    clock = machine.clock()
    assert trusted(clock)
    machine.wall += JUMP_TOLERANCE_S
    assert trusted(clock)


def test_an_operator_can_confirm_a_jump_either_way() -> None:
    machine = Machine()
    clock = machine.clock()
    for jump in (86_400, -86_400):
        assert trusted(clock)
        machine.wall += jump
        assert not trusted(clock)
        assert clock.confirm().trusted
        machine.run(10)
        assert trusted(clock)


def test_nobody_can_confirm_a_time_before_the_software_was_written() -> None:
    machine = Machine(5.0)
    clock = machine.clock()
    assert not clock.confirm().trusted
    assert clock.state is ClockState.BEHIND


def test_a_disbelieved_reading_never_raises_the_mark() -> None:
    machine = Machine()
    clock = machine.clock()
    assert trusted(clock)
    machine.wall += 86_400 * 3650
    assert not trusted(clock)
    machine.wall = NOON_S + 5
    assert trusted(clock)


def test_the_real_clocks_agree_with_themselves() -> None:
    clock = SystemClock()
    first = clock.monotonic_ms()
    assert clock.monotonic_ms() >= first
    assert clock.now().unix_s >= BUILD_FLOOR_S
    assert trusted(clock)


def test_entropy_gives_as_many_bytes_as_asked_and_never_the_same() -> None:
    entropy = OsEntropy()
    assert {len(entropy.token_bytes(n)) - n for n in (0, 1, 16, 64)} == {0}
    assert len({entropy.token_bytes(16) for _ in range(100)}) == 100
