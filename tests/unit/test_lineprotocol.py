"""Line protocol: what a line means, which series it becomes, and what is refused."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.lineprotocol.parse import LineFault, Point, parse
from cloud.lineprotocol.points import MAX_LINES, Reading, TooMuchError, newest_of_each, read

NOW_US = 1_767_225_600_000_000


def points(text: str) -> list[Point]:
    found = list(parse(text))
    assert all(isinstance(line, Point) for line in found), found
    return [line for line in found if isinstance(line, Point)]


def understood(text: str, *, bucket: str = "cab-centre-1", precision: str = "ns") -> Reading:
    return read(parse(text), bucket=bucket, precision=precision, now_us=NOW_US)


def test_the_example_of_influxdbs_manual_is_read() -> None:
    # InfluxDB v2 documentation, "Line protocol", first example.
    line = 'myMeasurement,tag1=value1,tag2=value2 fieldKey="fieldValue" 1556813561098000000'
    (point,) = points(line)
    assert point == Point(
        1,
        "myMeasurement",
        (("tag1", "value1"), ("tag2", "value2")),
        (("fieldKey", "fieldValue"),),
        1556813561098000000,
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        ("-1.5", -1.5),
        ("+2.5e-3", 0.0025),
        (".5", 0.5),
        ("12i", 12),
        ("-12i", -12),
        ("12u", 12),
        ("t", True),
        ("TRUE", True),
        ("False", False),
        ('"a \\"b\\" \\\\ c"', 'a "b" \\ c'),
        ('"two\nlines"', "two\nlines"),
        ('""', ""),
    ],
)
def test_a_value_has_the_type_that_its_form_says(text: str, value: object) -> None:
    ((_, found),) = points(f"m f={text} 1")[0].fields
    assert (found, type(found)) == (value, type(value))


def test_escapes_comments_and_empty_lines() -> None:
    text = "# a comment\n\n  \r\nm\\ 1\\,2,t\\ k=v\\=w f\\,g=1 5\r\n"
    assert points(text) == [Point(4, "m 1,2", (("t k", "v=w"),), (("f,g", 1.0),), 5)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("m", "fields are missing"),
        ("m,t=1", "fields are missing"),
        ("m,t f=1", "is not a tag"),
        ("m,t=1,t=2 f=1", "stands there twice"),
        ("m f", "is not a field"),
        ("m f=", "is not a field"),
        ("m f=1,", "the end of the line"),
        ("m f=abc", "is not a number"),
        ("m f=nan", "is not a number"),
        ("m f=" + "9" * 5_000 + "i", "is not a number"),  # beyond what int() reads
        ('m f="open', "is not a field"),
        ("m f=1 1.5", "is not a timestamp"),
        ("m f=1 12 34", "is not expected here"),
        (" f=1", "fields are missing"),
        (",t=1 f=1", "begins with the name"),
    ],
)
def test_a_faulty_line_is_told_and_the_next_one_is_read(line: str, reason: str) -> None:
    first, second = parse(f"{line}\nm f=2 1")
    assert isinstance(first, LineFault)
    assert first.line == 1
    assert reason in first.reason
    assert isinstance(second, Point)
    assert second.line == 2


_NAMES = st.text(string.ascii_letters + string.digits + " ,=_-é\\", min_size=1, max_size=12).filter(
    lambda name: (
        not name.endswith("\\")
        and "\\ " not in name
        and not name.startswith("#")
        and "\\," not in name
        and "\\=" not in name
        and name.strip() != ""
    )
)
_VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.text(max_size=10).filter(lambda text: not text.endswith("\\")),
)


def _escaped(name: str) -> str:
    return name.replace(",", "\\,").replace(" ", "\\ ").replace("=", "\\=")


def _written(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int():
            return f"{value}i"
        case float():
            return repr(value)
        case _:
            return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(
    _NAMES,
    st.dictionaries(_NAMES, _NAMES, max_size=3),
    st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=3),
    st.none() | st.integers(-(2**63) + 1, 2**63 - 1),
)
def test_what_was_written_is_read_again(
    measurement: str, tags: dict[str, str], fields: dict[str, object], time: int | None
) -> None:
    name = measurement.replace(",", "\\,").replace(" ", "\\ ")
    line = name + "".join(f",{_escaped(k)}={_escaped(v)}" for k, v in tags.items())
    line += " " + ",".join(f"{_escaped(k)}={_written(v)}" for k, v in fields.items())
    line += "" if time is None else f" {time}"
    (point,) = points(line + "\n")
    assert point.measurement == measurement
    assert dict(point.tags) == tags
    assert dict(point.fields) == fields
    assert point.time == time


@given(st.text(max_size=200))
def test_no_text_whatever_ends_in_an_error(text: str) -> None:
    for line in parse(text):
        assert 1 <= line.line <= text.count("\n") + 1


@pytest.mark.parametrize(
    ("line", "gateway", "device", "point"),
    [
        ("cpu,host=Srv\\ 1,cpu=cpu0 usage_idle=9", "b-1", "srv-1", "cpu.usage_idle,cpu=cpu0"),
        ("°C,domain=sensor,entity_id=salon value=9", "b-1", "salon", "°C.value,domain=sensor"),
        ("weather,device=roof,gateway=gw-2 t_c=9", "gw-2", "roof", "weather.t_c"),
        ("roof t_c=9", "b-1", "roof", "t_c"),
    ],
)
def test_a_line_names_gateway_device_and_point(
    line: str, gateway: str, device: str, point: str
) -> None:
    ((name, (sample,)),) = understood(line, bucket="b-1").samples.items()
    assert (name, sample.device, sample.point) == (gateway, device, point)
    assert (sample.t_us, sample.scaled) == (NOW_US, 9_000_000)


@pytest.mark.parametrize(
    ("precision", "time"),
    [
        ("ns", 1_767_225_600_000_000_999),
        ("us", 1_767_225_600_000_000),
        ("ms", 1_767_225_600_000),
        ("s", 1_767_225_600),
    ],
)
def test_timestamps_are_rounded_down_to_microseconds(precision: str, time: int) -> None:
    (sample,) = understood(f"roof t_c=1 {time}", precision=precision).samples["cab-centre-1"]
    assert sample.t_us == NOW_US


def test_texts_are_left_out_and_counted_and_booleans_are_numbers() -> None:
    found = understood('roof note="open",door=t,t_c=1.5')
    assert found.ignored == 1
    assert [(s.point, s.scaled) for s in found.samples["cab-centre-1"]] == [
        ("door", 1_000_000),
        ("t_c", 1_500_000),
    ]
    assert understood('roof note="open"').samples == {}


def test_what_no_sample_can_hold_is_refused_by_line() -> None:
    found = understood("roof v=1\nroof v=1e13\n!!! v=1\nroof " + "n" * 201 + "=1")
    assert set(found.refused) == {2, 3, 4}
    assert "outside" in found.refused[2]
    assert "no device name" in found.refused[3]
    assert "200 characters" in found.refused[4]


def test_of_one_series_at_one_instant_the_last_line_counts() -> None:
    samples = understood("roof v=1 5000\nroof v=2 5000\nroof v=3 6000").samples["cab-centre-1"]
    assert [s.scaled for s in newest_of_each(samples)] == [2_000_000, 3_000_000]


def test_a_request_is_bounded_in_lines_and_values() -> None:
    with pytest.raises(TooMuchError, match="send smaller batches"):
        understood("roof v=1\n" * (MAX_LINES + 1))
    with pytest.raises(TooMuchError):
        understood("roof " + ",".join(f"v{n}=1" for n in range(50_001)))
