"""Built-in device profiles: TOML files read by `protocols.profile.builtin`."""
