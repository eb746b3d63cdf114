"""Evaluations: how good a result is. One module a command, `eclor eval NAME`."""
