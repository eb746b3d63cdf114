"""Tools of an engineer at a gateway: see, try and record what is on a line."""
