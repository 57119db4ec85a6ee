"""Physics: scenes, robot models, tasks, cameras, the simulated robot."""
