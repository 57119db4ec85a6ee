"""One solver per task: proof that it can be done, and a teacher to compare with."""
