"""Benchmarks: speed, size, memory. One module a command, `eclor bench NAME`."""
