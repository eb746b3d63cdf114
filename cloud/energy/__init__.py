"""Energy by civil day: of a lighting group, a gateway, a site or a territory."""
