"""Is the guardian guarding? One page for people and for machines."""
