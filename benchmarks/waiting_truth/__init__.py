"""Queues of simulated sites whose every wait is known, and what their counters make of them."""
