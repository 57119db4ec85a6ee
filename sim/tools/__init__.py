"""Hand tools with named affordance sites, as parametric MuJoCo models; see `sim.tools.registry`."""
