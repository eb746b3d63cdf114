"""What `eclor eval nights` is made of: whole nights of gateways on virtual time, with mishaps."""
