"""Objects to be handled: parametric primitives and generated meshes; see `sim.solids.solid`."""
