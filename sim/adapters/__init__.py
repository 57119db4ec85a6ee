"""The same environments behind the interfaces of Gymnasium, Stable-Baselines3 and rsl_rl."""
