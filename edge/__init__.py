"""The agent that runs beside the devices: bus, aggregation, outbox, uplink, lighting plan."""
