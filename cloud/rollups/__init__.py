"""Rollups: sums of the readings by hour and by civil day, right after any order of late data."""
