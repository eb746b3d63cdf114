"""Sensors that speak MQTT on a local broker: the second way in, beside the field bus."""
