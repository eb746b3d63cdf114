"""What the gateway says of itself on its retained state topic: birth, will, and plan in force."""

import json
from importlib import metadata

from edge.downlink import Plans
from protocols.ids import GatewayId
from protocols.time import TimeUs


def state_document(gateway: GatewayId, t_us: TimeUs, plans: Plans, *, online: bool) -> bytes:
    """UTF-8 JSON; `plan.active` and `plan.next` are document hashes, None where there is none.

    The will is made when the connection is, so its `t_us` is when the gateway was last sure.
    """
    refusal = plans.refusal
    return json.dumps(
        {
            "gateway": gateway,
            "online": online,
            "t_us": t_us,
            "version": metadata.version("eclor"),
            "plan": {
                "active": plans.active.hash if plans.active else None,
                "next": plans.next.hash if plans.next else None,
                "refused": {"hash": refusal.hash, "error": refusal.error} if refusal else None,
            },
        }
    ).encode()
