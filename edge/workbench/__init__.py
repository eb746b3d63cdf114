"""What an engineer's tools do on a bus; the commands are in cli/edge_tools."""
