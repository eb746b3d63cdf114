"""Who changed what, and when: an append-only record of every write through the API."""
