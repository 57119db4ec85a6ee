"""What acts: robot, policy, environment and world contracts, the safety filter, motion."""
