"""What `eclor eval lighting` is made of: reading counts, scoring policies, drawing the frontier."""
