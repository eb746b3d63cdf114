"""The catalogue of what the field side of the agent reports (`edge.events.Event`)."""

import logging

from edge.events import Event

_I, _W = logging.INFO, logging.WARNING

LINK_OPENED = Event("link_opened", _I, ("bus",), "the endpoint of a bus is connected")
LINK_LOST = Event(
    "link_lost",
    _W,
    ("bus", "reason"),
    "the endpoint cannot be reached: check power, cable, host and port; it is tried again",
)
UNIT_LOST = Event(
    "unit_lost",
    _W,
    ("bus", "unit", "reason"),
    "a unit does not answer: check wiring and unit number; it is asked now and then, the others go "
    "on as before",
)
UNIT_RETURNED = Event("unit_returned", _I, ("bus", "unit"), "a lost unit answers again")
POLL_FAILED = Event(
    "poll_failed",
    _W,
    ("bus", "unit", "profile", "problem"),
    "a unit answers, but not with what its profile asks for: check that the profile is the right "
    "one; reported when the problem changes",
)
BUS_COUNTED = Event(
    "bus_counted",
    _I,
    ("bus", "busy_pct", "polls_ok", "polls_failed", "polls_late", "polls_missed", "units_lost"),
    "what a bus has done since the start of the agent; polls missed: it is asked for more than it "
    "carries, see eclor edge plan",
)
HOLES_LEARNT = Event(
    "holes_learnt",
    _I,
    ("bus", "unit", "profile", "holes"),
    "a device refuses reads that span these registers: all devices of the profile are read around "
    "them from now on; a smaller max_gap in the profile says so beforehand",
)
SENSOR_REFUSED = Event(
    "sensor_refused",
    _W,
    ("bus", "device_id", "point", "problem"),
    "a message of a sensor gave no number: check topic, path and words of the point; said once "
    "until a good one comes",
)
TRACE_TOLD = Event(
    "trace_told",
    _I,
    ("bus", "samples", "bad_lines"),
    "the trace of a replay bus has been told to its end",
)
COUNTER_SETTLED = Event(
    "counter_settled",
    _I,
    ("device_id", "point", "found", "raw"),
    "a counter did something else than count: glitch (nothing added), wrap (counted), reset "
    "(counts from zero), swap (another meter: nothing added)",
)
CLOCK_SET_BACK = Event(
    "clock_set_back",
    _W,
    ("device_id", "t_us"),
    "the wall clock went backwards: rows of that time are marked clock_unsure",
)
