"""Backup and restore by PostgreSQL's own tools, and what has to be right around them."""
