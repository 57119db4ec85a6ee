"""The live view mirrors the model: its bodies, primitive shapes and colours."""

import socket
import threading
import urllib.request

import mujoco
import numpy as np
import pytest

pytest.importorskip("viser")

from sim.viewer import Viewer, ViewerConfig, geom_mesh, geom_rgba

XML = """
<mujoco>
  <asset>
    <texture name="t" type="2d" builtin="flat" rgb1="1 0.5 0" width="8" height="8"/>
    <material name="textured" texture="t"/>
    <material name="plain" rgba="0 0 1 1"/>
  </asset>
  <worldbody>
    <geom name="plane" type="plane" size="1 2 .1"/>
    <body name="thing" pos="0 0 1">
      <freejoint/>
      <geom name="box" type="box" size=".1 .2 .3" material="plain"/>
      <geom name="sphere" type="sphere" size=".1" material="textured"/>
      <geom name="cylinder" type="cylinder" size=".1 .2" rgba="0 1 0 1"/>
      <geom name="capsule" type="capsule" size=".1 .2"/>
      <geom name="ellipsoid" type="ellipsoid" size=".1 .2 .3"/>
      <geom name="hidden" type="box" size=".1 .1 .1" group="3"/>
    </body>
  </worldbody>
</mujoco>
"""


@pytest.fixture
def model():
    return mujoco.MjModel.from_xml_string(XML)


@pytest.fixture
def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.mark.parametrize(
    ("name", "extents"),
    [  # full extents [m], from the half sizes above
        ("box", (0.2, 0.4, 0.6)),
        ("sphere", (0.2, 0.2, 0.2)),
        ("cylinder", (0.2, 0.2, 0.4)),
        ("capsule", (0.2, 0.2, 0.6)),
        ("ellipsoid", (0.2, 0.4, 0.6)),
        ("plane", (2.0, 4.0, 0.002)),
    ],
)
def test_meshes_have_the_size_of_their_geoms(model, name, extents):
    mesh = geom_mesh(model, model.geom(name).id)
    assert mesh is not None
    assert mesh.extents == pytest.approx(extents, rel=0.02)


def test_colours_come_from_geom_material_or_texture(model):
    assert geom_rgba(model, model.geom("cylinder").id) == pytest.approx([0, 1, 0, 1])
    assert geom_rgba(model, model.geom("box").id) == pytest.approx([0, 0, 1, 1])
    assert geom_rgba(model, model.geom("sphere").id) == pytest.approx([1, 0.5, 0, 1], abs=0.01)


def test_the_page_is_served_poses_follow_and_the_button_stops(model, free_port):
    stopped = threading.Event()
    viewer = Viewer(model, ViewerConfig(port=free_port, realtime=False))
    try:
        viewer.on_stop(stopped.set)
        data = mujoco.MjData(model)
        data.qpos[:3] = (0.3, 0.2, 0.7)
        mujoco.mj_forward(model, data)
        viewer.update(data)
        assert np.asarray(viewer._frames[1].position) == pytest.approx([0.3, 0.2, 0.7])
        viewer.caption(title="put it there", note="I look.", status="capture()")
        viewer.caption(status="pick()")
        assert "put it there" in viewer._text.content and "pick()" in viewer._text.content
        viewer.show(np.zeros((4, 4, 3), np.uint8), "capture: image_1")
        with urllib.request.urlopen(viewer.url, timeout=10) as page:
            assert page.status == 200 and b"<html" in page.read().lower()
    finally:
        viewer.close()


def test_standard_output_stays_clear(model, free_port, capsys):
    Viewer(model, ViewerConfig(port=free_port)).close()
    assert capsys.readouterr().out == ""
