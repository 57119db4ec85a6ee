"""The `scripted` planner: a grammar, a plan over tools, checks and recovery; no weights."""
