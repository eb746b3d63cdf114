"""Delivery without sockets, disks or clocks: one seed, one schedule, the same to the last step."""
