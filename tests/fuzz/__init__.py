"""Arbitrary bytes into everything that reads bytes from outside."""
