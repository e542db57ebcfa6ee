"""Statistics of agents and builds that are right at every instant."""
