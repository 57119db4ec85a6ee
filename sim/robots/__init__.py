"""Robot models: `fr3` authored here, `menagerie/<name>` from the `mujoco-menagerie` package."""
