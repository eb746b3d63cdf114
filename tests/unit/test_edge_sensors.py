"""MQTT payloads become numbers or refusals, and a sensor looks like a device that is polled."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config_devices import DeviceSettings
from edge.config_sensors import Topic, sensor_profile
from edge.sampling import Sample
from edge.sensors.cache import Cache
from edge.sensors.payload import PayloadError, value_of
from protocols.ids import DeviceId
from protocols.profile_model import Function, Point, RegisterType
from protocols.quantities import Kind
from protocols.time import US_PER_S

T0 = 1_767_225_600 * US_PER_S


def point(name: str = "x", *, kind: RegisterType = RegisterType.FLOAT64, **given: object) -> Point:
    fields: dict[str, object] = {"address": 0, "function": Function.INPUT, "words": 4, **given}
    return Point(name=name, type=kind, **fields)  # type: ignore[arg-type]  # of the test's choice


PLAIN = Topic(point(), "t")
INSIDE = Topic(point(scale=Decimal("0.1"), offset=Decimal(5)), "t", ("a", "0", "b"))
COUNT = Topic(point(integral=True), "t", ("n",))
FLAG = Topic(point(kind=RegisterType.BIT, flag=1), "t", ("open",), {"ON": 1, "OFF": 0})


@pytest.mark.parametrize(
    ("topic", "payload", "value"),
    [
        (PLAIN, b"21.5", 21.5),
        (PLAIN, b" -3e2\n", -300.0),
        (INSIDE, b'{"a": [{"b": 2305}]}', 235.5),
        (COUNT, b'{"n": 9007199254740993}', 9_007_199_254_740_993),
        (COUNT, b'{"n": 2.5}', 2),
        (FLAG, b'{"open": true}', 1),
        (FLAG, b'{"open": "OFF"}', 0),
    ],
)
def test_a_payload_gives_its_value(topic: Topic, payload: bytes, value: float) -> None:
    assert value_of(topic, payload) == value


@pytest.mark.parametrize(
    ("topic", "payload", "said"),
    [
        (PLAIN, b"warm", "no number and none of the words"),
        (PLAIN, b"", "no number"),
        (PLAIN, b"0x10", "no number"),
        (PLAIN, b"NaN", "no number"),
        (PLAIN, b"1e400", "beyond every quantity"),
        (PLAIN, b"\xff\xfe", "no number"),
        (PLAIN, b"1" * 70_000, "at most 65536"),
        (INSIDE, b'{"a": []}', "nothing at a.0.b"),
        (INSIDE, b'{"a": [{"b": null}]}', "NoneType in the place of a number"),
        (INSIDE, b'{"a": [{"b": "7"}]}', "none of the words"),
        (INSIDE, b'{"a": [{"b": true}]}', "only a flag"),
        (INSIDE, b'{"a": [{"b": NaN}]}', "not JSON"),
        (INSIDE, b'{"a"', "not JSON"),
        (INSIDE, b"[" * 60_000, "not JSON"),
        (COUNT, b'{"n": 1e300}', "beyond every quantity"),
        (COUNT, b'{"n": 1' + b"0" * 40 + b"}", "not JSON"),
        (FLAG, b'{"open": 2}', "no flag"),
        (FLAG, b'{"open": "open"}', "none of the words"),
    ],
)
def test_what_is_no_number_is_refused_with_its_reason(
    topic: Topic, payload: bytes, said: str
) -> None:
    with pytest.raises(PayloadError, match=said):
        value_of(topic, payload)


@given(st.binary(max_size=200), st.sampled_from([PLAIN, INSIDE, COUNT, FLAG]))
def test_any_payload_ends_as_a_finite_number_or_a_refusal(payload: bytes, topic: Topic) -> None:
    try:
        value = value_of(topic, payload)
    except PayloadError:
        return
    assert abs(value) <= 10**20


def device(*, retained: bool = False) -> DeviceSettings:
    topics = (
        Topic(point("temperature", column="temperature_c"), "s/1", ("t",)),
        Topic(point("light", column="illuminance_lx"), "s/1/lux"),
    )
    name = DeviceId("climate")
    profile = sensor_profile(Kind.AMBIENT, topics, name)
    return DeviceSettings(
        name, "b", 0, profile, 0, 10.0, 60, topics=topics, stale_s=60, retained=retained
    )


def said(cache: Cache, second: int, topic: str, payload: bytes, *, old: bool = False) -> Sample:
    now_us = T0 + second * US_PER_S
    (sample,), _ = cache.take(topic, payload, retained=old, now_us=now_us)
    return sample


def test_each_message_gives_everything_that_holds() -> None:
    cache = Cache([device()])
    first = said(cache, 0, "s/1", b'{"t": 21.5}')
    assert (first.values, first.ok) == ({"temperature": 21.5}, False)
    second = said(cache, 5, "s/1/lux", b"120")
    assert (second.values, second.ok) == ({"temperature": 21.5, "light": 120.0}, True)


def test_a_value_that_is_stale_is_left_out_and_the_sample_is_not_ok() -> None:
    cache = Cache([device()])
    said(cache, 0, "s/1", b'{"t": 21.5}')
    said(cache, 50, "s/1/lux", b"120")
    held = cache.sample(DeviceId("climate"), T0 + 60 * US_PER_S)
    assert held.ok
    stale = cache.sample(DeviceId("climate"), T0 + 61 * US_PER_S)
    assert (stale.values, stale.ok) == ({"light": 120.0}, False)


def test_a_bad_payload_is_counted_said_once_and_leaves_the_last_value() -> None:
    cache = Cache([device()])
    said(cache, 0, "s/1", b'{"t": 21.5}')
    for turn, complaints in [(1, 1), (2, 0)]:
        samples, refusals = cache.take("s/1", b"?", retained=False, now_us=T0 + turn)
        assert (samples, len(refusals)) == ([], complaints)
    assert cache.health.refused == 2
    assert cache.sample(DeviceId("climate"), T0 + 3).values == {"temperature": 21.5}
    said(cache, 1, "s/1", b'{"t": 22}')
    assert len(cache.take("s/1", b"?", retained=False, now_us=T0 + 4)[1]) == 1


def test_a_retained_message_counts_only_where_the_settings_say_so() -> None:
    cache = Cache([device()])
    assert cache.take("s/1", b'{"t": 21.5}', retained=True, now_us=T0) == ([], [])
    assert cache.health.retained == 1
    trusting = Cache([device(retained=True)])
    assert said(trusting, 0, "s/1", b'{"t": 21.5}', old=True).values == {"temperature": 21.5}


def test_a_topic_that_nobody_listens_to_is_only_counted() -> None:
    cache = Cache([device()])
    assert cache.take("other", b"1", retained=False, now_us=T0) == ([], [])
    assert (cache.health.messages, cache.health.refused) == (1, 0)
