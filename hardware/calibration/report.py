"""The page of a calibration: a table with verdicts, and plots."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape

from hardware.calibration.joints import JointReport

_COLUMNS = 3


def write_joint_report(report: JointReport, folder: Path) -> Path:
    """Write ``report.html`` and ``joints.png``; return the page's path.

    Args:
        report: What was found.
        folder: Where; made if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    picture = plot_joints(report)
    (folder / "joints.png").write_bytes(picture)
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(["html", "j2"])
    )
    page = templates.get_template("report.html.j2").render(
        report=report, picture=base64.b64encode(picture).decode()
    )
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def plot_joints(report: JointReport) -> bytes:
    """Return a PNG: what each joint was asked, what it did, what the simulated robot did."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(report.verdicts) // _COLUMNS)
    figure = Figure(figsize=(3.6 * _COLUMNS, 2.3 * rows + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False)
    for axis in axes.flat:
        axis.set_visible(False)
    for axis, verdict in zip(axes.flat, report.verdicts, strict=False):
        column = report.all_joints.index(verdict.name)
        response, twin = report.responses[verdict.name], report.twin.get(verdict.name)
        axis.set_visible(True)
        for other in range(len(report.all_joints)):
            if other != column:
                axis.plot(response.times_s, response.measured[:, other], color="0.8", lw=0.7)
        axis.plot(response.times_s, response.asked, color="0.4", lw=1.0, ls="--", label="asked")
        if twin is not None:
            axis.plot(twin.times_s, twin.measured[:, column], color="C0", lw=1.2, label="simulated")
        color = "C3" if verdict.problems else "C2"
        axis.plot(response.times_s, response.measured[:, column], color=color, lw=1.4, label="measured")
        axis.set_title(f"{'✗' if verdict.problems else '✓'} {verdict.name}", fontsize=9, color=color)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.25)
        axis.set_xlabel("s", fontsize=7)
        axis.set_ylabel("from start, rad or m", fontsize=7)
    axes.flat[0].legend(fontsize=7, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()
