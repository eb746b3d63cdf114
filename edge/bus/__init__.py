"""The field bus: schedule, driver, polling and commands, one task a bus."""
