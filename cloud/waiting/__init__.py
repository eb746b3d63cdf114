"""Waiting times at recycling centres: opening hours, estimate, public routes."""
