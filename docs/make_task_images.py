"""Make docs/images/tasks.jpg: every task of parallel simulation, its solver at work.

MUJOCO_GL=egl .venv/bin/python docs/make_task_images.py [TASK ...]
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

TILE = (400, 300)
COLUMNS = 4
MOMENT = 0.6
"""Part of the episode after which the picture is taken."""


def tile(name: str) -> Image.Image:
    """Return the picture of one task, with its name."""
    from sim.batch.env import BatchEnv, EnvConfig
    from sim.play import Stage
    from sim.tasks.registry import make_solver, make_task

    env = BatchEnv(make_task(name), EnvConfig(num_envs=1, seed=3, auto_reset=False))
    solver, obs = make_solver(name, env), env.reset()
    for _ in range(int(MOMENT * env.task.config.max_steps)):
        obs, _, terminated, truncated, info = env.step(solver.act(obs))
        if bool(terminated[0] | truncated[0]) or bool(info["success"][0]):
            break
    stage = Stage(env, 2 * TILE[0], 2 * TILE[1])
    picture = Image.fromarray(stage.picture()).resize(TILE, Image.Resampling.LANCZOS)
    stage.close()
    env.close()
    draw = ImageDraw.Draw(picture)
    draw.text(
        (10, 8), name, font=ImageFont.load_default(20), fill="white", stroke_width=2, stroke_fill="black"
    )
    return picture


def main() -> None:
    """Make the sheet."""
    from sim.tasks.registry import TASKS

    names = sys.argv[1:] or list(TASKS)
    rows = -(-len(names) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * TILE[0], rows * TILE[1]), (22, 26, 33))
    for k, name in enumerate(names):
        print(name, flush=True)
        sheet.paste(tile(name), (k % COLUMNS * TILE[0], k // COLUMNS * TILE[1]))
    sheet.save(ROOT / "docs" / "images" / "tasks.jpg", quality=85, optimize=True)


if __name__ == "__main__":
    main()
