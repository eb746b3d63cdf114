"""The public page: waits, lights, energy and the data ledger at a glance."""
