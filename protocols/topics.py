"""MQTT topics: built and parsed here and nowhere else.

`eclor/1/{gateway}/...`: the `1` is the version of the whole dialogue. A gateway may write below
`up` and to `state`, and read the rest of its own branch; the broker's access rules say the same.
"""

from protocols.ids import GatewayId, IdError, Lane, gateway_id

_ROOT = "eclor/1"

UP_FILTER = f"{_ROOT}/+/up/+"
STATE_FILTER = f"{_ROOT}/+/state"


class TopicError(ValueError):
    """A topic that is not one of ours."""


def up(gateway: GatewayId, lane: Lane) -> str:
    """Batches of a gateway, QoS 1, not retained."""
    return f"{_ROOT}/{gateway}/up/{lane.label}"


def ack(gateway: GatewayId) -> str:
    """Acknowledgement after COMMIT (`protocols.ack`), retained."""
    return f"{_ROOT}/{gateway}/ack"


def plan(gateway: GatewayId) -> str:
    """Active lighting plan (`protocols.plan`), retained."""
    return f"{_ROOT}/{gateway}/down/plan"


def command(gateway: GatewayId) -> str:
    """Manual commands, not retained; each expires."""
    return f"{_ROOT}/{gateway}/down/command"


def config(gateway: GatewayId) -> str:
    """Configuration of the gateway, retained."""
    return f"{_ROOT}/{gateway}/down/config"


def state(gateway: GatewayId) -> str:
    """Birth and will of the gateway, retained."""
    return f"{_ROOT}/{gateway}/state"


def shared(topic_filter: str, *, group: str = "ingest") -> str:
    """MQTT 5 shared subscription: the broker deals messages among the members of `group`."""
    return f"$share/{group}/{topic_filter}"


def parse_up(topic: str) -> tuple[GatewayId, Lane]:
    """Gateway and lane of an upward topic."""
    match topic.split("/"):
        case ["eclor", "1", gateway, "up", lane]:
            return _checked(topic, gateway, lane)
    raise TopicError(f"topic {topic!r} is not {UP_FILTER}")


def parse_state(topic: str) -> GatewayId:
    """Gateway of a state topic."""
    match topic.split("/"):
        case ["eclor", "1", gateway, "state"]:
            return _checked(topic, gateway, Lane.LIVE.label)[0]
    raise TopicError(f"topic {topic!r} is not {STATE_FILTER}")


def _checked(topic: str, gateway: str, lane: str) -> tuple[GatewayId, Lane]:
    try:
        return gateway_id(gateway), Lane.from_label(lane)
    except IdError as exc:
        raise TopicError(f"topic {topic!r}: {exc}") from exc
