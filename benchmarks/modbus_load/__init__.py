"""What the measurement of the field bus is made of: devices, the agent on them, a bare client."""
