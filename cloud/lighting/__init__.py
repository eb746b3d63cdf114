"""Street lighting: traffic bounds, plans, state and energy of the lighting groups."""
