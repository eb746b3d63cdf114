"""The real servers that the tests talk to: where they come from, how they start, how they end."""
