"""Make the pictures of README.md from a real run: a frame of its video, and its page in headless Chromium.

    MUJOCO_GL=egl .venv/bin/python docs/make_images.py [RUN_FOLDER]

Without a folder the demo is run first. The page needs Debian's `chromium`; without it only the
video frame is made.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
sys.path.insert(0, str(ROOT))


def run_demo(folder: Path) -> Path:
    """Run the demo into `folder` and return the run's own folder."""
    import habilis

    if habilis.main(["run", "put the red block in the bowl", f"run_dir={folder}"]) != 0:
        raise SystemExit("the demo did not end in done; no pictures were made")
    return next(p for p in folder.iterdir() if p.is_dir())


def video_frame(run: Path, moment: float) -> None:
    """Save the frame at a fraction of the video, half size."""
    import av

    with av.open(str(run / "video.mp4")) as container:
        frames = list(container.decode(video=0))
    picture = frames[int(moment * (len(frames) - 1))].to_image()
    picture.resize((960, 540)).save(IMAGES / "demo.png", optimize=True)


def page(run: Path) -> None:
    """Save a screenshot of the page."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        print("no Chromium: docs/images/trace.png is left as it is")
        return
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *("--no-first-run", "--disable-background-networking", f"--user-data-dir={profile}"),
                *("--window-size=1440,1060", "--virtual-time-budget=6000"),
                *(f"--screenshot={IMAGES / 'trace.png'}", (run / "trace.html").resolve().as_uri()),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )


def main() -> None:
    """Make both pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(sys.argv[1]) if len(sys.argv) > 1 else run_demo(Path(scratch))
        video_frame(run, 0.68)
        page(run)


if __name__ == "__main__":
    main()
