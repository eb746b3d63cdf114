"""The registry: territories, sites, gateways, devices, lighting groups and facilities."""
