"""The jobs role: what runs on a timer, in one process that holds the lock."""
