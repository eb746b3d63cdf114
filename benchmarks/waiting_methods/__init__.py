"""Estimators of waits side by side: ours, and those that others use, on the same counts."""
