"""What `eclor eval faults` is made of: a simulated month of cabinets with known faults, scoring."""
