"""Programs of other people's making on the other end of the wire."""
