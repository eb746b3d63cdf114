"""What leaves the system in bulk: readings as CSV or Arrow, places as GeoJSON."""
