"""From a delivered batch to committed rows and an acknowledgement, exactly once."""
