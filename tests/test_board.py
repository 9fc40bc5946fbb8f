"""What the board says of itself, and how much is done for it."""

from __future__ import annotations

import itertools

import boards
import pytest
from daemons import eventually

from edgecl import effort
from edgecl.board import Board, Readings
from edgecl.config import HeatSettings
from edgecl.daemon.thermometer import Thermometer
from edgecl.effort import FULL, STEADY_S, Effort, Governor, Rest

HEAT = HeatSettings(slow_at_c=80, rest_at_c=85, hysteresis_c=5, look_every_s=0.01)


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """A folder in the place of /sys, and a PATH with nothing of the board's on it."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "sys"


def zone(kernel, number, milli):
    path = kernel / f"class/thermal/thermal_zone{number}/temp"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{milli}\n")


def test_the_hottest_part_counts(kernel):
    for number, milli in enumerate((41000, 63250, 52000)):
        zone(kernel, number, milli)
    assert Board(kernel).read() == Readings(63.25)


@pytest.mark.parametrize("nonsense", ["-256000", "", "abc", "9999999"])
def test_a_sensor_that_is_off_does_not_count(kernel, nonsense):
    zone(kernel, 0, nonsense)
    zone(kernel, 1, 47000)
    assert Board(kernel).read().temperature_c == 47.0


def test_a_machine_that_tells_nothing_is_neither_hot_nor_held_back(kernel):
    assert Board(kernel).read() == Readings(None, ())


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        ("0", ()),
        ("1", ("its power is too low",)),
        ("50005", ("its power is too low", "it is throttled")),
        ("50000", ()),  # all over
        ("8", ("it is near its limit",)),
        ("2", ("its clock is capped",)),
    ],
)
def test_a_raspberry_pi_says_why_it_holds_itself_back(kernel, bits, expected):
    path = kernel / "devices/platform/soc/soc:firmware/get_throttled"
    path.parent.mkdir(parents=True)
    path.write_text(f"{bits}\n")
    assert Board(kernel).read().held_back == expected


def test_where_the_kernel_does_not_tell_vcgencmd_is_asked(kernel, tmp_path):
    boards.put(tmp_path / "bin", "vcgencmd", 'import sys; print({"get_throttled": "throttled=0x50004"}[sys.argv[1]])')
    assert Board(kernel).read().held_back == ("it is throttled",)


def test_a_vcgencmd_that_may_not_ask_the_firmware_tells_nothing(kernel, tmp_path):
    boards.put(tmp_path / "bin", "vcgencmd", 'import sys; print("VCHI initialization failed"); sys.exit(255)')
    assert Board(kernel).read() == Readings()


def test_a_jetson_is_held_back_while_its_over_current_events_grow(kernel):
    counter = kernel / "class/hwmon/hwmon1/oc1_event_cnt"
    counter.parent.mkdir(parents=True)
    board, found = Board(kernel), []
    for count in (7, 7, 9, 9):
        counter.write_text(f"{count}\n")
        found.append(board.read().held_back)
    assert found == [(), (), ("it draws too much current",), ()]


def test_where_the_kernel_has_no_zone_tegrastats_is_asked(kernel, tmp_path, monkeypatch):
    monkeypatch.setattr("edgecl.board.PATIENCE_S", 1.0)
    program = """
import sys, time
print("RAM 2448/7620MB CPU [3%@729] cpu@48.968C soc2@47.625C tj@50.5C soc0@-256C VDD_IN 4120mW", flush=True)
time.sleep(1000)
"""
    boards.put(tmp_path / "bin", "tegrastats", program)
    assert Board(kernel).read().temperature_c == 50.5


def test_a_board_has_the_name_that_its_maker_gave_it(kernel, tmp_path):
    (tmp_path / "model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    assert Board(kernel, tmp_path).model == "Raspberry Pi 5 Model B Rev 1.0"
    assert Board(kernel, kernel).model == ""


# How much is done


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("Raspberry Pi 5 Model B Rev 1.0", (78.0, 83.0)),
        ("NVIDIA Jetson Orin Nano Developer Kit", (90.0, 95.0)),
        ("", (95.0, 100.0)),
    ],
)
def test_thresholds_suit_the_machine_where_the_settings_leave_them_open(model, expected):
    governor = Governor(HeatSettings(), model)
    assert (governor.slow_at_c, governor.rest_at_c) == expected
    assert Governor(HEAT, model).rest_at_c == 85.0


def efforts(*temperatures, held_back=()):
    governor = Governor(HEAT)
    return [governor.step(Readings(found, held_back), float(now)) for now, found in enumerate(temperatures)]


def test_a_cool_board_does_all():
    assert efforts(20.0, 79.9, None) == [FULL] * 3


def test_above_a_threshold_every_second_frame_is_left_out_and_learning_goes_on():
    (found,) = efforts(80.0)
    assert (found.every, found.learns, found.reason) == (2, True, "it is 80 °C hot")


def test_above_another_nothing_is_learned_either():
    (found,) = efforts(85.0)
    assert (found.every, found.learns, found.reason) == (2, False, "it is 85 °C hot")


def test_what_was_left_off_is_taken_up_again_only_some_degrees_below():
    found = efforts(79, 86, 84, 81, 80, 79, 76, 75, 74, 79)
    assert [one.learns for one in found] == [True, False, False, False, False, True, True, True, True, True]
    assert [one.every for one in found] == [1, 2, 2, 2, 2, 2, 2, 2, 1, 1]


def test_a_temperature_that_swings_around_a_threshold_does_not_switch_to_and_fro():
    found = efforts(*[79.5, 80.5] * 10)
    assert [one.every for one in found] == [1] + [2] * 19


def test_a_board_that_holds_itself_back_is_slowed_until_it_has_been_steady():
    governor, power = Governor(HEAT), Readings(50.0, ("its power is too low",))
    assert governor.step(power, 0.0) == Effort(2, True, "its power is too low")
    assert governor.step(Readings(50.0), STEADY_S - 1) == Effort(2, True, "it was held back a moment ago")
    assert governor.step(Readings(50.0), STEADY_S + 1) == FULL


class Oven:
    """A board whose temperatures are known before; the last one stays."""

    model = ""

    def __init__(self, *temperatures):
        self._temperatures = itertools.chain(temperatures, itertools.repeat(temperatures[-1]))

    def read(self):
        return Readings(float(next(self._temperatures)))


def test_what_takes_long_waits_until_the_board_has_cooled(monkeypatch):
    waited, told = [], []
    rest = Rest(HEAT, told.append, Oven(86, 84, 81, 79), waited.append)
    rest()
    assert waited == [HEAT.look_every_s] * 3
    assert told == ["resting: it is 86 °C hot", "resting: it is 84 °C hot", "resting: it is 81 °C hot"]


def test_it_looks_at_the_board_now_and_then_and_not_at_each_step(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(effort.time, "monotonic", lambda: now[0])
    told = []
    rest = Rest(HEAT.model_copy(update={"look_every_s": 5.0}), told.append, Oven(20, 90, 20), lambda seconds: None)
    rest()
    rest()
    assert told == []
    now[0] += 6.0
    rest()
    assert told == ["resting: it is 90 °C hot"]


def test_what_is_worth_telling_is_told_once():
    told = []
    thermometer = Thermometer(
        HEAT, lambda effort, readings: told.append(readings.temperature_c), Oven(40, 41, 43, 44, 43)
    )
    eventually(lambda: told[-1] == 43)
    thermometer.close()
    assert told == [40, 43]
