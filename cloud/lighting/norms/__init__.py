"""Lighting-class tables as data: one TOML file a norm and edition (`cloud.lighting.norm`)."""
