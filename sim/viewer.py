"""Watch the simulated robot live in a browser (`viewer=viser`), with a stop button.

Each MuJoCo body becomes a frame, each of its visual geoms a mesh below it; while the robot moves
only the frames' poses are sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
import trimesh

from perception_tools.geometry import Transform

VISUAL_GROUPS = (0, 1, 2)


@dataclass(frozen=True)
class ViewerConfig:
    """Where the viewer listens.

    Attributes:
        enabled: Whether to open it.
        host: Address to listen on; loopback unless others on the network shall see it.
        port: TCP port.
        fps: Updates per second of robot time.
        realtime: Slow the simulation down to wall time, so that motion looks natural.
        linger: Keep serving after the run until the user presses Ctrl-C.
    """

    enabled: bool = False
    host: str = "127.0.0.1"
    port: int = 8080
    fps: int = 20
    realtime: bool = True
    linger: bool = True


@contextmanager
def _silent() -> Iterator[None]:
    """Keep viser from announcing itself on standard output, where figures (`--json -`) may be asked for."""
    import rich

    console = rich.get_console()
    before, console.quiet = console.quiet, True
    try:
        yield
    finally:
        console.quiet = before


class Viewer:
    """A viser server that mirrors a MuJoCo model."""

    def __init__(self, model: mujoco.MjModel, config: ViewerConfig | None = None) -> None:
        """Start the server and send the meshes.

        Raises:
            OSError: The port is taken.
        """
        import viser

        self.config = config or ViewerConfig()
        self._model = model
        self._start = (0.0, time.monotonic())
        with _silent():
            self._server = viser.ViserServer(host=self.config.host, port=self.config.port, verbose=False)
        self._server.scene.set_up_direction("+z")
        self._server.gui.configure_theme(show_logo=False, dark_mode=True)
        self._frames = [self._add_body(body) for body in range(model.nbody)]
        self._text = self._server.gui.add_markdown("")
        self._lines = {"title": "", "note": "", "status": ""}
        self._image: Any = None
        self._server.initial_camera.position = (1.5, -0.8, 0.9)
        self._server.initial_camera.look_at = (0.4, 0.0, 0.1)

    @property
    def url(self) -> str:
        """Address to open in a browser."""
        return f"http://{self.config.host}:{self._server.get_port()}"

    def on_stop(self, stop: Callable[[], None]) -> None:
        """Add a stop button that calls `stop`."""
        button = self._server.gui.add_button("Stop the robot", color="red")
        button.on_click(lambda _: stop())

    def caption(
        self, *, title: str | None = None, note: str | None = None, status: str | None = None
    ) -> None:
        """Show what is asked, thought and done in the panel."""
        given = {"title": title, "note": note, "status": status}
        self._lines |= {key: text for key, text in given.items() if text is not None}
        lines = self._lines
        self._text.content = f"### {lines['title']}\n\n{lines['note']}\n\n`{lines['status'] or 'waiting'}`"

    def show(self, rgb: np.ndarray, label: str = "") -> None:
        """Show what a tool saw, uint8 (H, W, 3), in the panel; the last one stays."""
        if self._image is None:
            self._image = self._server.gui.add_image(rgb, label=label)
        else:
            self._image.image = rgb
            self._image.label = label

    def update(self, data: mujoco.MjData) -> None:
        """Send the bodies' present poses; with `realtime`, wait until they are due."""
        if self.config.realtime:
            ahead_s = (data.time - self._start[0]) - (time.monotonic() - self._start[1])
            if not -1.0 < ahead_s < 1.0:  # simulation time stood still, or was reset
                self._start = (data.time, time.monotonic())
            elif ahead_s > 0:
                time.sleep(ahead_s)
        with self._server.atomic():
            for body, frame in enumerate(self._frames):
                frame.position = data.xpos[body]
                frame.wxyz = data.xquat[body]

    def show_frame(self, name: str, T_world_frame: Transform) -> None:
        """Draw axes, e.g. of a grasp."""
        self._server.scene.add_frame(
            f"/marks/{name}",
            axes_length=0.05,
            axes_radius=0.002,
            position=T_world_frame.position_m,
            wxyz=T_world_frame.quat_wxyz,
        )

    def close(self) -> None:
        """Stop serving."""
        with _silent():
            self._server.stop()

    def _add_body(self, body: int) -> Any:
        name = f"/bodies/{body}_{self._model.body(body).name or 'body'}"
        frame = self._server.scene.add_frame(name, show_axes=False)
        first = int(self._model.body_geomadr[body])
        for geom in range(first, first + int(self._model.body_geomnum[body])):
            mesh = geom_mesh(self._model, geom)
            if mesh is None or int(self._model.geom_group[geom]) not in VISUAL_GROUPS:
                continue
            rgba = geom_rgba(self._model, geom)
            if rgba[3] == 0:
                continue
            self._server.scene.add_mesh_simple(
                f"{name}/{geom}",
                vertices=np.asarray(mesh.vertices, dtype=np.float32),
                faces=np.asarray(mesh.faces, dtype=np.uint32),
                color=(float(rgba[0]), float(rgba[1]), float(rgba[2])),
                opacity=None if rgba[3] == 1 else float(rgba[3]),
                flat_shading=int(self._model.geom_type[geom]) == int(mujoco.mjtGeom.mjGEOM_BOX),
                position=self._model.geom_pos[geom],
                wxyz=self._model.geom_quat[geom],
            )
        return frame


def geom_rgba(model: mujoco.MjModel, geom: int) -> np.ndarray:
    """Return the colour of a geom or of its material, textures by their mean colour, shape (4,)."""
    material = int(model.geom_matid[geom])
    if material < 0:
        return model.geom_rgba[geom]
    rgba = np.array(model.mat_rgba[material])
    texture = int(model.mat_texid[material, int(mujoco.mjtTextureRole.mjTEXROLE_RGB)])
    if texture >= 0:
        channels = int(model.tex_nchannel[texture])
        start = int(model.tex_adr[texture])
        size = int(model.tex_height[texture]) * int(model.tex_width[texture]) * channels
        pixels = model.tex_data[start : start + size].reshape(-1, channels)
        rgba[:3] *= pixels[:, :3].mean(axis=0) / 255
    return rgba


def geom_mesh(model: mujoco.MjModel, geom: int) -> trimesh.Trimesh | None:
    """Return a geom's surface in its own frame [m]; None for kinds without one (height fields, SDFs)."""
    size = model.geom_size[geom]
    kind = mujoco.mjtGeom(int(model.geom_type[geom]))
    match kind:
        case mujoco.mjtGeom.mjGEOM_BOX:
            return trimesh.creation.box(extents=2 * size)
        case mujoco.mjtGeom.mjGEOM_SPHERE:
            return trimesh.creation.icosphere(subdivisions=3, radius=size[0])
        case mujoco.mjtGeom.mjGEOM_ELLIPSOID:
            mesh = trimesh.creation.icosphere(subdivisions=3, radius=1.0)
            mesh.apply_scale(size)
            return mesh
        case mujoco.mjtGeom.mjGEOM_CYLINDER:
            return trimesh.creation.cylinder(radius=size[0], height=2 * size[1], sections=32)
        case mujoco.mjtGeom.mjGEOM_CAPSULE:
            return trimesh.creation.capsule(radius=size[0], height=2 * size[1], count=[24, 12])
        case mujoco.mjtGeom.mjGEOM_PLANE:
            half = np.where(size[:2] > 0, size[:2], 3.0)
            return trimesh.creation.box(extents=(2 * half[0], 2 * half[1], 0.002))
        case mujoco.mjtGeom.mjGEOM_MESH:
            return _mesh_asset(model, int(model.geom_dataid[geom]))
        case _:
            return None


def _mesh_asset(model: mujoco.MjModel, mesh: int) -> trimesh.Trimesh:
    v0, nv = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
    f0, nf = int(model.mesh_faceadr[mesh]), int(model.mesh_facenum[mesh])
    return trimesh.Trimesh(model.mesh_vert[v0 : v0 + nv], model.mesh_face[f0 : f0 + nf], process=False)
