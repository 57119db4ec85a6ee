"""Words that lead to a feature of a thing, that stand for people, places and groups."""

from __future__ import annotations

import re

from vlm_agent.scripted.loose.text import idioms
from vlm_agent.scripted.syntax import Frame

SIDE_OF = {"left_of": "left", "right_of": "right", "in_front_of": "front", "behind": "back"}

SIDES = {
    **dict.fromkeys(("left", "leftmost", "leftward", "leftwards", "lefthand"), "left"),
    **dict.fromkeys(("right", "rightmost", "rightward", "rightwards", "righthand"), "right"),
    "front": "front",
    "back": "back",
    "rear": "back",
}

OPPOSITE = {"left": "right", "right": "left", "front": "back", "back": "front"}

WHOSE: dict[str, Frame] = {
    "my": "camera",
    "our": "camera",
    "your": "robot",
    "the": "camera",
    "robot's": "robot",
}

RELATIVE = frozenset("that which who what whatever whichever".split())

PEOPLE = frozenset("i you we he she they someone somebody anyone anybody people everyone one robot".split())

KIN = frozenset(
    "wife husband son daughter kid kids child children mum mom mother dad father sister brother friend "
    "colleague "
    "grandson granddaughter boss neighbour neighbor cat dog roommate flatmate partner boy girl guest guests "
    "visitor student teacher man woman guy lady".split()
)

PERCEIVE = frozenset(
    "see sees saw seen find finds found spot spots notice notices observe detect have has got know like "
    "locate "
    "discover recognise recognize identify make out visible".split()
)

SKIP = frozenset(
    "just right over there here currently now presently already still actually happens happen happened "
    "to is 's are was were be been "
    "being has have had can could will would 'll may might do does did appears appear seems seem looks look "
    "up down directly immediately also simply all apparently clearly obviously slightly a bit little "
    "somewhat "
    "sort kind of quite rather very really way much exactly only sits stands lies rests lives stays "
    "remains it "
    "as sort by far definitely even noticeably visibly considerably significantly so too more or less "
    "got get gets itself own alone all by on its call consider turns turned out to stood sat lay sit "
    "stand lie rest live came comes come proves proved ends ended".split()
)

POSTURES = frozenset(
    "sitting standing lying resting placed positioned situated located found put left set laid parked "
    "kept stationed "
    "seated perched stored sat stood dropped waiting staying living hanging being residing remaining "
    "arranged installed "
    "planted deposited sits stands lies rests lives stays remains nestled tucked propped seen visible hiding "
    "parked posted balanced sleeping put stored dumped leaning pushed moved shoved which that is "
    "appearing showing looking based stuck hidden squeezed".split()
)

TABLE = idioms(
    "on the table; on the desk; on this table; on that table; on our table; on my table; on your "
    "table; on the tabletop; on the surface; on the workspace; on the counter; on the bench; on the "
    "workbench; on the table top; on the desktop; in the scene; in the picture; in the image; in "
    "view; in sight; in the workspace; of the table; in front of us; in front of you; in front of me; "
    "in the view; on display; around here; around there; over there; over here; up there; down there; "
    "right there; right here; out there; there is; there are; there was; there; here; around; "
    "present; available; at hand; in the room; of all; overall; altogether; on offer; in total; to be "
    "seen; to be found; lying around; lying about; around the place; standing around; sitting around; "
    "sitting there; standing there; lying there; as i sit here; as we speak; at the moment; right "
    "now; from here; from where i sit; from where i am; from where i am sitting; from where i stand; "
    "from my seat; that there is; there is to see; by a long way; by a mile; by a long shot; by some "
    "margin; by a wide margin; hands down; you can lay your hands on; you can get hold of; you can "
    "get your hands on; that we have; that you have; that i have; that we have got; that exists; of "
    "these; of those; of the whole lot; from my chair; on it; in existence; going; i know; as i see "
    "it; as far as i can see; as far as i can tell; i believe; i think; on show; in the lot; within "
    "sight; by far; by volume; in volume; in terms of size; in bulk; by size; size wise; sizewise; in "
    "size; in the bunch; present here; on the table here; on the table there; earlier; previously; a "
    "moment ago; a minute ago; a while ago; a second ago; just now; this morning; yesterday; before; "
    "last time; for now; a little while ago; just a moment ago; today; as it stands; as things stand; "
    "as they are; of the bunch; on the top of the table; out of everything; of everything; on hand; "
    "we have; we have got; we have here; you have; you have got; i have; i have got; i have here; i "
    "own; in play; on board; in this scene; in this picture; in the group; in the collection; in this "
    "bunch; in this lot; in this group; in the whole scene; on the whole table; on the entire table"
)  # fmt: skip

# Where the robot or the viewer is, in other words; a line that begins with a blank continues the one before.
_STANDPOINTS = r"""
robot: where (?:your|the) (?:\w+ )?(?:arm|base|body|gripper|hand|robot)(?: arm| base)? (?:is|are|
    starts?|begins?|sits?|stands?)(?: (?:mounted|fixed|bolted|attached|located|standing|based|
    anchored|now)(?: down| on| to)?)?(?: the table)?
robot: where you (?:are|stand|sit)(?: (?:mounted|fixed|bolted|attached|located|standing|based|anchored
    |now|sitting|positioned)(?: down| on)?)?
robot: the (?:foot|bottom|root|side|end|base|mount) of (?:your|the) (?:arm|robot|base|robot arm)
robot: (?:your|the robot 's|the arm 's) (?:gripper|arm|hand|robot) 's (?:base|mount|root|foot|side)
viewer: where (?:i|we) (?:am|are|sit|stand|look|watch)(?: (?:sitting|standing|seated|now|looking|
    watching|located|positioned|from))*
viewer: the (?:person|one|human|user|guy|man|woman|speaker|observer|people) (?:who |that )?(?:is |
    are )?(?:talking|speaking|giving|asking|telling|instructing|ordering|commanding|watching|
    looking|typing|sitting|standing)(?: (?:to you|the orders|you|this|orders|instructions|
    the commands|here|on|it|from|in front|the instructions|at you))*
viewer: the (?:edge|side|end|part) (?:of the table )?(?:that |which |where )?(?:i|we) (?:am|are|sit|
    stand)(?: (?:sitting|standing|seated))?(?: (?:at|on|by|near|next to))?
"""
STANDPOINTS = tuple(
    (line.partition(": ")[0], re.compile(line.partition(": ")[2] + r"(?![^ ])"))
    for line in _STANDPOINTS.strip().replace("\n    ", "").splitlines()
)

OWN = frozenset(
    "hand hands side end edge chair seat position place body person face nose belly tummy lap eyes elbow "
    "elbows location spot arm arms base "
    "mount stand foot feet shoulder shoulders torso chest trunk pedestal root gripper fingers fingertips "
    "finger knees corner head home "
    "mounting column socket joint joints bottom tower housing frame anchor lens viewpoint camera self "
    "stomach keyboard coffee laptop monitor bit".split()
)

ME = idioms(
    "me; myself; us; where i am; where i sit; where i am sitting; where i stand; where i am standing; "
    "my side; my side of the table; my end; my end of the table; my edge of the table; my chair; my "
    "seat; my hand; my hands; my position; my body; my place; the camera; camera; the viewer; the "
    "observer; my spot; my end of the desk; where i am now; me here; where we are; the person "
    "speaking; the user; your user; the lens; the camera lens; my side of the desk; my eyes; my "
    "elbow; my own side; my own seat; my face; me over here; my location; my person; where i am "
    "seated; the front; the near edge; the near side; yours truly; our side; where i happen to be; "
    "where i am looking from; my belly; my tummy; my lap; the speaker; my viewpoint; my end of things"
)  # fmt: skip

YOU = idioms(
    "you; yourself; the robot; robot; your arm; the arm; the robot arm; your base; the base; your "
    "side; the robot's base; the robot base; where you are; where you stand; where you sit; where you "
    "are standing; where you are sitting; your side of the table; your end; your end of the table; "
    "your body; the base of the robot; your position; your own base; your own side; the robot's side; "
    "the robot's arm; where you are mounted; your mount; your stand; your feet; your foot; your "
    "shoulder; your shoulders; your place; where you are now; the robot's side of the table; your "
    "spot; the robot itself; your own body; your edge of the table; your location; the robot's end; "
    "your home; the robot's position; your trunk; your pedestal; the arm's base; the base of the arm; "
    "the base of your arm; your root; where your base is; where you are based; your own position; "
    "where you are fixed; where you are bolted; where you are bolted down; where your arm starts; "
    "where your arm begins; the robot's body; the machine; the machine's base; your torso; your "
    "chest; your own arm; where you happen to be; your end of the desk; your side of the desk"
)  # fmt: skip

GROUP_WORDS = frozenset(
    "lot pair bunch group set two three four all others rest duo couple ones trio collection gang batch "
    "selection "
    "row crowd family whole entire entirety everything objects things items candidates options them "
    "those these "
    "they both twosome threesome cluster assortment array line heap pieces choices present available "
    "lineup ensemble".split()
)

GROUP_DETS = frozenset("the my our your those these its that this of all both each any every".split())

OTHERS = idioms(
    "the other one; the other; the other two; the others; all the others; all others; all the other "
    "ones; any other; any of the others; any other one; every other one; every other; the rest; all "
    "the rest; the rest of them; anything else; all of the others; everything else; its twin; its "
    "partner; its counterpart; its neighbour; its neighbor; its sibling; its mate; its fellow; its "
    "brother; its companion; the second one; the remaining one; the remaining ones; either of the "
    "others; any of the rest; its pair; its fellows; its peers; its rival; its rivals; its siblings; "
    "its companions; the alternative; its double; its sister; each of the others; the one next to it; "
    "its match; others; its colleague; its friend"
)  # fmt: skip
