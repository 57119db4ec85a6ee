"""What plans: chat models, the agent loop, skills as tools, traces, benchmarks."""
