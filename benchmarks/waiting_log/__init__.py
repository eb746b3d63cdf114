"""The log of any real queue, replayed as counters, with the wait that followed each arrival."""
