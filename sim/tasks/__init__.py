"""Goal-conditioned tasks, one file each."""
