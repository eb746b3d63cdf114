"""Simulated field devices: real register maps on real sockets, one deterministic world behind."""
