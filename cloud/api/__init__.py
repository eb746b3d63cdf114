"""The HTTP API: composition of the domains' routes, authentication, errors, limits."""
