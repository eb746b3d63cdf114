"""What the roles tell about themselves: Prometheus metrics, liveness and readiness."""
