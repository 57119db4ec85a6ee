import importlib.util
from dataclasses import replace
from itertools import product
from pathlib import Path

import mujoco
import numpy as np
import pytest
import yaml

from policies.robot import JointCommand
from sim import phrases, tabletop
from sim.objects import HELD_OUT_COLORS, TRAIN_COLORS
from sim.phrases import Noun, Phrases, plural
from sim.tabletop import BENCHMARK_FAMILIES, TabletopConfig, TabletopWorld
from sim.tabletop_draw import Draw
from sim.tabletop_goals import DIRECTIONS, BodyPose, Goal, direction_vector, half_height_m, holds_beside
from sim.tabletop_judge import Judge
from sim.tabletop_tasks import _size
from sim.visibility import visible_fractions

ROOT = Path(__file__).resolve().parents[2]


def load_suite(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / "contracts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def specs_of(world):
    return {o.name: o for o in world.scene.objects}


def goal_of(world):
    return world._judge.goal


# ---- putting the truth where it should be -------------------------------------------------------


def teleport(world, name, p_world):
    world.scene.set_object_pose(name, np.asarray(p_world, dtype=float), np.array([1.0, 0, 0, 0]))
    world.scene.settle()


def solve(world):
    """Teleport the target to where the goal holds, and let it come to rest."""
    goal, scene, specs = goal_of(world), world.scene, specs_of(world)
    if goal.kind == "held":
        hold(world, goal.target)
        return
    target, other = specs[goal.target], specs[goal.other]
    p_other, _ = scene.object_pose(goal.other)
    half = target.size_m[2] / 2
    if goal.kind == "inside":
        floor_z = p_other[2] - other.size_m[2] / 2 + other.wall_m
        teleport(world, goal.target, [*p_other[:2], floor_z + half + 0.002])
    elif goal.kind == "on":
        top = p_other[2] + (
            other.size_m[2] / 2 if other.shape == "box" else other.wall_m - other.size_m[2] / 2
        )
        teleport(world, goal.target, [*p_other[:2], top + half + 0.002])
    else:
        beside(world, goal.target, goal.other, goal.relation)


def beside(world, target, reference, relation):
    """Stand the target beside the reference, everything else out of the way."""
    scene, specs = world.scene, specs_of(world)
    for k, name in enumerate(n for n in specs if n not in (target, reference)):
        teleport(world, name, [-0.15, -0.5 + 0.16 * k, specs[name].size_m[2] / 2 + 0.001])
    direction = relation if relation in DIRECTIONS else "left_of"
    vector = direction_vector(direction, *scene.viewer_axes)
    p_reference, _ = scene.object_pose(reference)
    sizes = [np.hypot(*specs[n].size_m[:2]) / 2 for n in (target, reference)]
    spot = p_reference[:2] + (sum(sizes) + 0.03) * vector
    teleport(world, target, [*spot, specs[target].size_m[2] / 2 + 0.001])


def hold(world, name):
    """Close the fingers on the object at the hand's place, by state; contacts follow from geometry."""
    scene, spec = world.scene, specs_of(world)[name]
    model, data = scene.model, scene.data
    p_ee, r_ee = data.site("ee").xpos.copy(), data.site("ee").xmat.reshape(3, 3).copy()
    quat = np.zeros(4)
    width = spec.size_m[1]
    if spec.shape == "mug":  # the wall at +y between the fingers, the mug's z up
        width, p_ee = spec.wall_m, p_ee - r_ee[:, 1] * (spec.size_m[1] / 2 - spec.wall_m / 2)
        p_ee[2] -= 0.3 * spec.size_m[2]
    up = np.stack([-r_ee[:, 0], r_ee[:, 1], -r_ee[:, 2]], axis=1)  # hand frame turned to stand upright
    mujoco.mju_mat2Quat(quat, up.ravel())
    with scene.lock:
        for joint in ("fr3_finger_joint1", "fr3_finger_joint2"):
            data.qpos[model.joint(joint).qposadr[0]] = width / 2 - 0.0003
    scene.set_object_pose(name, p_ee, quat)


class TestTabletopWorld(load_suite("world_suite").WorldSuite):
    families = BENCHMARK_FAMILIES
    seeds = tuple(range(6))

    @pytest.fixture
    def world(self):
        world = TabletopWorld()
        yield world
        world.close()

    def state(self, world):
        return np.concatenate(
            [world.scene.data.qpos, world.scene.data.qvel, world.scene.model.mat_rgba.ravel()]
        )

    def solve(self, world):
        solve(world)


@pytest.fixture(scope="module")
def world():
    world = TabletopWorld()
    yield world
    world.close()


# ---- the scene is what the instruction needs ----------------------------------------------------


def test_the_default_scene_has_a_red_block_and_one_bowl(world):
    for seed in range(10):
        episode = world.reset(seed, "mixed")
        assert episode.instruction == "put the red block in the bowl"
        assert sum(Noun("box", "red").fits(o) for o in world.scene.objects) == 1
        assert sum(o.shape == "bowl" for o in world.scene.objects) == 1
        assert len(world.scene.objects) >= 4


@pytest.mark.parametrize("family", BENCHMARK_FAMILIES)
def test_every_object_is_visible_apart_and_upright(world, family):
    for seed in range(4):
        world.reset(seed, family)
        scene = world.scene
        assert 3 <= len(scene.objects) <= 7
        seen = visible_fractions(scene, world._judge.poses(), np.array(scene.layout.camera_eye_m))
        assert min(seen.values()) >= world.config.min_visible


@pytest.mark.parametrize("seed", range(12))
def test_target_words_fit_one_object(world, seed):
    for family in ("container", "beside", "pick_up", "distractors", "held_out", "on_top"):
        world.reset(seed, family)
        target = specs_of(world)[goal_of(world).target]
        same = [o for o in world.scene.objects if (o.shape, o.color) == (target.shape, target.color)]
        assert same == [target]


@pytest.mark.parametrize("seed", range(12))
def test_unclear_scenes_hold_a_pair_that_words_do_not_tell_apart(world, seed):
    episode = world.reset(seed, "unclear")
    assert episode.expected == "refused" and episode.meta["why"].startswith("ambiguous_")
    kinds = [(o.shape, o.color) for o in world.scene.objects]
    assert max(kinds.count(k) for k in kinds) == 2


def test_impossible_scenes_are_impossible(world):
    reasons = set()
    for seed in range(24):
        episode = world.reset(seed, "impossible")
        objects, why = world.scene.objects, episode.meta["why"]
        reasons.add(why)
        if why == "too_wide":
            assert any(min(o.size_m[:2]) > 0.085 and o.shape == "box" for o in objects)
        if why == "does_not_fit":
            tray = next(o for o in objects if o.shape == "tray")
            bowl = next(o for o in objects if o.shape == "bowl")
            assert tray.size_m[0] > bowl.size_m[0]
        if why == "absent_container":
            assert not any(o.is_container for o in objects)
    assert reasons == {"absent_object", "absent_container", "too_wide", "does_not_fit"}


def test_sizes_differ_clearly(world):
    for seed in range(12):
        episode = world.reset(seed, "size")
        target = specs_of(world)[goal_of(world).target]
        is_large = episode.meta["form"] in ("larger", "largest")
        for name in set(episode.meta["rivals"]) - {target.name}:
            ratio = np.array(specs_of(world)[name].size_m) / np.array(target.size_m)
            assert (ratio < 0.8).all() if is_large else (ratio > 1.25).all()


def test_things_that_differ_in_size_are_called_by_the_colour_they_have():
    for seed in range(300):
        draw = Draw(np.random.default_rng(seed))
        rivals = _size(draw).meta["rivals"]
        assert all(draw.nouns[0].fits(o) for o in draw.objects if o.name in rivals), seed


def test_held_out_draws_what_other_families_never_do(world):
    for seed in range(8):
        world.reset(seed, "held_out")
        assert specs_of(world)[goal_of(world).target].color in HELD_OUT_COLORS
        for family in ("container", "beside", "distractors"):
            world.reset(seed, family)
            assert all(o.color in TRAIN_COLORS for o in world.scene.objects)


def test_referring_is_true_of_the_target_only(world):
    """Checked with the judge's own axes, which include the camera's jitter."""
    forms = set()
    for seed in range(30):
        episode = world.reset(seed, "referring")
        form, goal = episode.meta["form"], goal_of(world)
        forms.add(form)
        poses, specs = world._judge.poses(), specs_of(world)
        target = specs[goal.target]
        rivals = [n for n, o in specs.items() if (o.shape, o.color) == (target.shape, target.color)]
        right, away = world.scene.viewer_axes
        points = np.array([poses[n].position_m[:2] for n in rivals])
        costs = {
            "leftmost": points @ right,
            "rightmost": -points @ right,
            "nearest_viewer": points @ away,
            "nearest_robot": np.linalg.norm(points, axis=1),
        }
        if form in costs:
            assert rivals[int(np.argmin(costs[form]))] == goal.target
    assert forms == {"relational", "nearest", *costs}


def test_test_phrases_are_for_test_seeds_only(world, monkeypatch):
    """Sentences start like a template of their split. Real test seeds stay untouched by tests."""
    assert tabletop.TEST_SEEDS_FROM == 7_000_000
    monkeypatch.setattr(tabletop, "TEST_SEEDS_FROM", 1000)
    vocabulary = phrases._vocabulary()
    for seed, split in ((980, "dev"), (1000, "test")):
        for offset in range(20):
            episode = world.reset(seed + offset, "pick_up")
            assert episode.meta["phrases"] == split
            stems = [
                t["text"].split("{target}")[0].strip().lower()
                for t in vocabulary["sentences"]["pick_up"]
                if t["split"] == split
            ]
            assert any(episode.instruction.lower().startswith(s) for s in stems)


def test_families_can_be_chosen():
    world = TabletopWorld(TabletopConfig(families=("pick_up", "size")))
    assert [world.reset(s).family for s in range(3)] == ["pick_up", "size", "pick_up"]
    world.close()
    with pytest.raises(ValueError, match="distractors"):
        TabletopConfig(families=("pickup",))
    with pytest.raises(ValueError, match="seed"):
        world.reset(-1)


# ---- the judge ----------------------------------------------------------------------------------


def test_beside_the_rim_is_not_inside(world):
    world.reset(0, "mixed")
    goal, specs = goal_of(world), specs_of(world)
    p_bowl, _ = world.scene.object_pose(goal.other)
    teleport(world, goal.target, [p_bowl[0], p_bowl[1] + specs[goal.other].size_m[0] / 2 + 0.05, 0.03])
    judgement = world.judge()
    assert not judgement.success and "is not in" in judgement.reason


def test_above_the_bowl_is_not_inside(world):
    world.reset(0, "mixed")
    goal = goal_of(world)
    p_bowl, _ = world.scene.object_pose(goal.other)
    world.scene.set_object_pose(goal.target, np.add(p_bowl, [0, 0, 0.1]))
    assert not world.judge().success  # in the air: too high, although at rest for this instant


def test_moving_is_not_done(world):
    world.reset(0, "mixed")
    solve(world)
    assert world.judge().success
    goal = goal_of(world)
    dof = int(world.scene.model.joint(f"{goal.target}_free").dofadr[0])
    world.scene.data.qvel[dof + 2] = 0.2
    judgement = world.judge()
    assert not judgement.success and "moving" in judgement.reason


def test_lying_on_the_table_is_not_held(world):
    world.reset(0, "pick_up")
    hold(world, goal_of(world).target)
    assert world.judge().success
    position, _ = world.scene.object_pose(goal_of(world).target)
    world.scene.set_object_pose(goal_of(world).target, position - [0, 0, 0.2])
    assert not world.judge().success


@pytest.mark.parametrize("asked, given", list(product(DIRECTIONS, DIRECTIONS)))
def test_directions_exclude_each_other(world, asked, given):
    world.reset(2, "beside")
    goal = goal_of(world)
    world._judge.goal = replace(goal, relation=asked)
    beside(world, goal.target, goal.other, given)
    assert world.judge().success == (asked == given)


def test_directions_by_hand():
    """Viewer at +x: right is +y, away is -x. 10 cm towards the viewer and 11 cm to +y is 48 deg off
    "in front" (tan = 1.1): still within the cone of 50 deg; 13 cm to +y (52 deg) is not.
    """
    viewer = (np.array([0.0, 1.0]), np.array([-1.0, 0.0]))
    world = TabletopWorld()
    world.reset(0, "mixed")
    spec = world.scene.objects[0]
    origin = BodyPose(np.array([0.5, 0.0, 0.02]), np.eye(3))

    def at(dx, dy):
        return spec, BodyPose(np.add(origin.position_m, [dx, dy, 0]), np.eye(3))

    assert holds_beside("in_front_of", at(0.10, 0.11), (spec, origin), viewer)
    assert not holds_beside("in_front_of", at(0.10, 0.13), (spec, origin), viewer)
    assert not holds_beside("in_front_of", at(0.26, 0.0), (spec, origin), viewer)
    assert holds_beside("behind", at(-0.1, 0.0), (spec, origin), viewer)
    assert holds_beside("left_of", at(0.0, -0.1), (spec, origin), viewer)
    assert holds_beside("right_of", at(0.0, 0.1), (spec, origin), viewer)
    edge = spec.size_m[1]
    assert holds_beside("next_to", at(0.0, edge + 0.11), (spec, origin), viewer)
    assert not holds_beside("next_to", at(0.0, edge + 0.14), (spec, origin), viewer)
    world.close()


def test_half_height_by_hand():
    """A 4 x 2 x 2 cm box turned by 45 deg about y reaches (2 + 1) / sqrt(2) cm down."""
    world = TabletopWorld()
    world.reset(0, "mixed")
    box = replace(world.scene.objects[0], size_m=(0.04, 0.02, 0.02))
    c = np.sqrt(0.5)
    turned = np.array([[c, 0, c], [0, 1, 0], [-c, 0, c]])
    assert half_height_m(box, np.eye(3)) == pytest.approx(0.01)
    assert half_height_m(box, turned) == pytest.approx(0.03 * c)
    cylinder = replace(box, shape="cylinder", size_m=(0.04, 0.04, 0.1))
    lying = np.array([[0, 0, 1.0], [0, 1, 0], [-1, 0, 0]])
    assert half_height_m(cylinder, lying) == pytest.approx(0.02)
    world.close()


def test_refused_means_that_nothing_was_moved(world):
    world.reset(0, "impossible")
    assert world.judge().success
    name = world.scene.objects[0].name
    position, _ = world.scene.object_pose(name)
    world.scene.set_object_pose(name, np.add(position, [0.005, 0, 0]))
    assert world.judge().success
    world.scene.set_object_pose(name, np.add(position, [0.012, 0, 0]))
    judgement = world.judge()
    assert not judgement.success and "was moved" in judgement.reason


def test_what_falls_off_the_table_fails_the_episode(world):
    world.reset(0, "mixed")
    solve(world)
    other = next(n for n in specs_of(world) if n not in (goal_of(world).target, goal_of(world).other))
    world.scene.set_object_pose(other, np.array([1.3, 0.0, -0.7]))
    judgement = world.judge()
    assert not judgement.success and "fell off" in judgement.reason
    assert judgement.facts["fallen"] == [other]


def test_facts_measure_what_else_moved(world):
    world.reset(0, "mixed")
    other = next(n for n in specs_of(world) if n not in (goal_of(world).target, goal_of(world).other))
    position, _ = world.scene.object_pose(other)
    world.scene.set_object_pose(other, np.add(position, [0.03, 0.04, 0]))
    facts = world.judge().facts
    assert facts["disturbed"] == other and facts["disturbed_m"] == pytest.approx(0.05, abs=1e-3)
    assert facts["limit_violations"] == {} and facts["peak_support_force_n"] == 0
    assert set(facts["objects"]) == set(specs_of(world))


def test_pushing_on_the_table_shows_in_the_facts(world):
    robot = world.reset(0, "mixed").robot
    assert world.judge().facts["peak_support_force_n"] == 0
    for angle in np.arange(-np.pi / 4, 0.8, 0.01):  # bend forward until the hand hits the table
        robot.send(JointCommand(("fr3_joint2",), np.array([angle])))
        robot.sleep(0.01)
    assert world.judge().facts["peak_support_force_n"] > 5


def test_on_box_needs_contact_with_it(world):
    seed = next(s for s in range(40) if _support_shape(world, s) == "box")
    world.reset(seed, "on_top")
    solve(world)
    assert world.judge().success
    target, _ = world.scene.object_pose(goal_of(world).target)
    world.scene.set_object_pose(goal_of(world).target, np.add(target, [0, 0, 0.03]))
    assert not world.judge().success


def _support_shape(world, seed):
    world.reset(seed, "on_top")
    return specs_of(world)[goal_of(world).other].shape


def test_judge_of_another_goal_on_the_same_scene(world):
    """The judge is built from scene and goal alone: a user's own goal can be checked, too."""
    world.reset(0, "mixed")
    name = world.scene.objects[-1].name
    assert not Judge(world.scene, Goal("held", name), world._robot_model).judge().success


# ---- questions ----------------------------------------------------------------------------------


def test_rows_cover_every_kind_and_match_their_scene(world):
    rows = list(world.rows(0, 40))
    assert {r["kind"] for r in rows} == {"relation", "count", "color", "distance", "height", "extreme"}
    answers = {r["answer"] for r in rows if r["kind"] == "relation"}
    assert answers == {"yes", "no"}
    for row in rows[:8]:
        episode = world.reset(row["seed"], row["family"])
        assert episode.expected == "answered" and episode.instruction == row["question"]
        assert episode.meta["answer"] == row["answer"]
        check_answer(world, row)


def check_answer(world, row):
    objects, scene = world.scene.objects, world.scene
    if row["kind"] == "distance":
        a, b = (scene.object_pose(row["meta"][k])[0][:2] for k in "ab")
        assert row["answer"] == pytest.approx(100 * np.linalg.norm(a - b), abs=0.01)
    elif row["kind"] == "height":
        assert row["answer"] == pytest.approx(100 * specs_of(world)[row["meta"]["a"]].size_m[2], abs=0.01)
    elif row["kind"] == "count":
        words = row["question"].replace("?", "").split()
        known = {o.color for o in objects} | set(TRAIN_COLORS) | set(HELD_OUT_COLORS)
        color = next((w for w in words if w in known), None)
        if color:
            assert row["answer"] == sum(o.color == color for o in objects)
    elif row["kind"] in ("color", "extreme"):
        assert row["answer"] == specs_of(world)[row["meta"]["a"]].color


# ---- words --------------------------------------------------------------------------------------


def test_phrases_have_both_splits_and_known_slots():
    data = yaml.safe_load((ROOT / "sim" / "phrases.yaml").read_text(encoding="utf-8"))
    slots = dict.fromkeys(("object", "objects", "reference", "relation", "container", "target", "size"), "x")
    for group in ("sentences", "targets"):
        for name, templates in data[group].items():
            splits = [t["split"] for t in templates]
            assert set(splits) == {"dev", "test"}, name
            assert 0.2 <= splits.count("test") / len(splits) <= 0.5
            for template in templates:
                assert template["text"].format(**slots) != template["text"]
    assert set(data["families"]) == set(BENCHMARK_FAMILIES)


def test_words_of_the_other_split_are_never_said():
    data = yaml.safe_load((ROOT / "sim" / "phrases.yaml").read_text(encoding="utf-8"))
    for split in ("dev", "test"):
        speaker = Phrases(np.random.default_rng(0), split)
        said = {speaker.word("colors", "red") for _ in range(200)}
        entry = data["colors"]["red"]
        assert said == {entry["plain"], *entry[split]}
        relations = {speaker.relation("behind") for _ in range(100)}
        assert relations == set(data["relations"]["behind"][split])


def test_misleading_words_are_avoided():
    speaker = Phrases(np.random.default_rng(0), "dev")
    assert {speaker.noun(Noun("bowl"), ("dish",)) for _ in range(50)} == {"bowl"}


def test_plurals():
    assert [plural(w) for w in ("red block", "box", "dish", "tray")] == [
        "red blocks",
        "boxes",
        "dishes",
        "trays",
    ]
