"""What touches reality: buses, transports, nodes, watchdogs, recorders."""
