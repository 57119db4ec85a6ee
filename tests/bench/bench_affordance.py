"""Measure affordance encoders on tools that they were not trained on, under every corruption.

    python tests/bench/bench_affordance.py --clouds 300
    MUJOCO_GL=egl python tests/bench/bench_affordance.py --clouds 150 --pictures 60

Rows: encoder, tools (`train`: other clouds of the trained tools; `new_sizes`, `new_kind`: held out), what is
wrong with the clouds. Columns: median error of tip, opening and greatest size [mm] and of the approach
[deg]; the share of tips found within 10 mm; the share of openings and tips within 1 and 2 of the
deviations that were stated (68 and 95 % where they are right); the share of tools refused as no tool.
The last table is of things without jaws: the share that is refused.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("MUJOCO_GL", "egl")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from perception_tools.affordance_baseline import GeometricEncoder
from perception_tools.affordance_measure import Measured, compare
from perception_tools.affordance_onnx import ONNX_FILE, SHIPPED, OnnxEncoder
from perception_tools.affordance_state import AffordanceEncoder
from sim.clouds import CloudsConfig, ToolClouds
from sim.clouds_tools import SPLITS
from sim.clouds_views import CORRUPTIONS

FIRST = 3_000_000_000  # number of the first cloud: neither trained, nor calibrated, nor evaluated on
HEAD = "tip mm   p90  open mm   size mm  appr deg  <10 mm  open 68/95    tip 68/95    refused"


def encoders(names: Sequence[str], folder: Path) -> Iterator[tuple[str, AffordanceEncoder]]:
    """Yield the encoders that were asked for."""
    for name in names:
        yield name, GeometricEncoder() if name == "geometric" else OnnxEncoder(folder / name / ONNX_FILE)


def tools(clouds: ToolClouds, num: int, split: Any, how: Any) -> list[Any]:
    """Return clouds of tools."""
    return clouds.clouds(range(FIRST, FIRST + num), split, how)


def rendered(clouds: ToolClouds, num: int, split: Any) -> list[Any]:
    """Return clouds of tools on a table, as a depth camera sees them."""
    from sim.clouds_render import table_picture

    return [table_picture(clouds, k, split).truth for k in range(num)]


def covered(z: Any, within: float) -> float:
    """Return the share of errors within so many deviations; nan where none is stated."""
    return float("nan") if np.isnan(z).all() else float((z <= within).mean())


def summary(found: Sequence[Measured]) -> dict[str, float]:
    """Return the columns of a row."""

    def middle(name: str) -> float:
        return float(np.median([getattr(m, name) for m in found]))

    z = np.array([m.z for m in found])
    tips = np.array([m.tip_m for m in found])
    return {
        "tip_mm": 1e3 * middle("tip_m"),
        "tip_p90_mm": 1e3 * float(np.quantile(tips, 0.9)),
        "opening_mm": 1e3 * middle("opening_m"),
        "size_mm": 1e3 * middle("size_m"),
        "approach_deg": float(np.rad2deg(middle("approach_rad"))),
        "found": float((tips < 0.01).mean()),
        "opening_68": covered(z[:, 0], 1),
        "opening_95": covered(z[:, 0], 2),
        "tip_68": covered(z[:, 2], 1),
        "tip_95": covered(z[:, 2], 2),
        "refused": float(np.mean([m.is_refused for m in found])),
        "n": len(found),
    }


def line(s: dict[str, float]) -> str:
    """Return a row as text."""
    return (
        f"{s['tip_mm']:6.1f} {s['tip_p90_mm']:5.1f} {s['opening_mm']:8.1f} {s['size_mm']:9.1f} "
        f"{s['approach_deg']:9.1f} {s['found']:7.2f}  {s['opening_68']:4.2f}/{s['opening_95']:4.2f} "
        f"    {s['tip_68']:4.2f}/{s['tip_95']:4.2f}  {s['refused']:8.2f}"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clouds", type=int, default=200, help="clouds per row")
    parser.add_argument("--weights", type=Path, default=SHIPPED, help="folder with one folder per encoder")
    parser.add_argument(
        "--encoders", nargs="+", default=["geometric", *sorted(p.name for p in SHIPPED.glob("*"))]
    )
    parser.add_argument("--splits", nargs="+", choices=SPLITS, default=list(SPLITS))
    parser.add_argument(
        "--pictures", type=int, default=0, help="also so many tools on a table, by a depth camera"
    )
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    args = parser.parse_args(argv)
    clouds, others = ToolClouds(CloudsConfig(others=0.0)), ToolClouds(CloudsConfig(others=1.0))
    sources: dict[str, Callable[[Any], list[Any]]] = {
        name: lambda split, how=how: tools(clouds, args.clouds, split, how)
        for name, how in CORRUPTIONS.items()
    }
    if args.pictures:
        sources["camera"] = lambda split: rendered(clouds, args.pictures, split)
    chosen, rows, seconds = dict(encoders(args.encoders, args.weights)), [], dict.fromkeys(args.encoders, 0.0)
    print(f"{'encoder':18s} {'tools':10s} {'clouds':10s} {HEAD}")
    for split in args.splits:
        for source, make in sources.items():
            labelled = make(split)
            for name, encoder in chosen.items():
                start = time.process_time()
                states = [encoder.estimate(c.points) for c in labelled]
                seconds[name] += (time.process_time() - start) / len(labelled)
                s = summary([compare(state, c) for state, c in zip(states, labelled, strict=True)])
                rows.append({"encoder": name, "tools": split, "clouds": source, **s})
                print(f"{name:18s} {split:10s} {source:10s} {line(s)}", flush=True)
    print(f"\n{'encoder':18s} {'things without jaws':20s} {'clouds':10s} refused")
    for split in ("train", "new_sizes"):
        for source, how in CORRUPTIONS.items():
            shown = others.clouds(range(FIRST, FIRST + args.clouds), split, how)
            for name, encoder in chosen.items():
                share = float(np.mean([not encoder.estimate(c.points).is_tool for c in shown]))
                what = "trained" if split == "train" else "never trained"
                rows.append({"encoder": name, "others": what, "clouds": source, "refused": share})
                print(f"{name:18s} {what:20s} {source:10s} {share:7.2f}")
    num_rows = len(args.splits) * len(sources)
    print(
        "\nCPU time of an estimate: "
        + ", ".join(f"{n} {1e3 * s / num_rows:.1f} ms" for n, s in seconds.items())
    )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
