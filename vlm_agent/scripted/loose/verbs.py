"""Verbs of the tolerant reading, by what they ask for, with all their forms.

The classes are those of Levin, "English Verb Classes and Alternations" (1993): putting (9), sending and
carrying (11), pushing (12), throwing (17), holding (15), getting (13.5), lifting (9.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

# Something goes somewhere; says nothing without a place.
PUT = """
put place move set lay position deposit transfer relocate shift slide push carry transport load stash store
insert nest arrange leave stick pop plop park add dump toss throw chuck tuck send deliver bring return slip
plunk plonk sit stow drag haul ferry situate nestle perch balance wedge slot lower settle dunk prop shove
reposition rest stand pile tip plant mount install house lodge file drop fling lob hurl pitch bung shoot
sling immerse embed pack shelve ensconce locate station base bed dock land guide lead steer direct walk run
route shuttle cart lug schlep tote convey conduct pass hand nudge scoot scooch bump ease work pull tug draw
roll flip swing sweep whisk bundle squeeze fit jam cram ram shuffle line align gather collect get fetch take
migrate redeposit restore reinstate replace hang lean top shepherd escort usher relay forward stow situate
seat bury bin pocket home sink submerge dip secure confine introduce plump chuck heave hoist tidy hide
conceal remove budge sneak trundle wheel chauffeur teleport wiggle jiggle lock squish manoeuvre maneuver
""".split()

# Something is to be held, or lifted.
PICK = """
pick grab lift raise grasp grip hold seize clutch snatch scoop hoist elevate heave grapple nab catch clasp
capture pluck pinch take get fetch collect retrieve obtain acquire gather levitate uplift claim secure
clench cradle possess boost nick retain snag bag clamp keep hang-on
""".split()

# Of these, which lift or hold in any case: a place that stands still after them says where the thing is.
HOLDING = set(PICK) - set("take get fetch collect retrieve gather secure bag heave hoist".split())

CONTAIN = """
want need require lack miss deserve await crave contain hold carry house receive accommodate have
support bear host store include welcome take
""".split()

FILL = "fill load stock furnish equip supply provide top crown cap adorn populate".split()

# What a thing does that is where it should be: "the block lives in the bowl".
BELONG = """
go belong live land end finish wind rest sit stand stay remain be arrive appear reside dwell move fall drop
lie find turn come travel head fit disappear vanish settle hang make become get
""".split()

WANT = """
want need like love prefer wish hope fancy expect require appreciate desire request ask demand order
""".split()

SHALL = "should must ought shall supposed meant due".split()

IRREGULAR = {
    "put": "putting puts", "set": "setting sets", "lay": "laying lays laid", "leave": "leaving leaves left",
    "stick": "sticking sticks stuck", "throw": "throwing throws threw thrown", "send": "sending sends sent",
    "bring": "bringing brings brought", "sit": "sitting sits sat", "stand": "standing stands stood",
    "take": "taking takes took taken", "get": "getting gets got gotten", "hold": "holding holds held",
    "catch": "catching catches caught", "keep": "keeping keeps kept", "go": "going goes went gone",
    "lie": "lying lies lay lain", "be": "is are was were been being", "come": "coming comes came",
    "fall": "falling falls fell fallen", "find": "finding finds found", "become": "becoming becomes became",
    "have": "having has had", "hang": "hanging hangs hung", "lead": "leading leads led",
    "run": "running runs ran", "swing": "swinging swings swung", "sweep": "sweeping sweeps swept",
    "sling": "slinging slings slung", "fling": "flinging flings flung", "shoot": "shooting shoots shot",
    "draw": "drawing draws drew drawn", "fit": "fitting fits fitted", "make": "making makes made",
    "bury": "burying buries buried", "sink": "sinking sinks sank sunk", "bear": "bearing bears bore borne",
    "wind": "winding winds wound", "stow": "stowing stows stowed", "pull": "pulling pulls pulled",
    "lower": "lowering lowers lowered", "deliver": "delivering delivers delivered",
    "lean": "leaning leans leaned",
    "gather": "gathering gathers gathered", "shepherd": "shepherding shepherds shepherded",
    "carry": "carrying carries carried", "ferry": "ferrying ferries ferried",
}  # fmt: skip

_DOUBLED = frozenset(
    "drop pop plop tip slip stop chop grab nab pat set sit put get run bin tug lug wrap strap clap cram "
    "ram jam "
    "bag snag clip grip flip dip dig step transfer slot pin plan scrap fit let cup top plug hug shut".split()
)


def forms(verb: str) -> dict[str, str]:
    """Return the forms of a verb, each with its kind: base, ing, ed (past or participle) or s."""
    if verb in IRREGULAR:
        kinds = {form: "ing" if form.endswith("ing") else "ed" for form in IRREGULAR[verb].split()}
        kinds |= {f: "s" for f in IRREGULAR[verb].split() if f.endswith("s") and f not in ("was", "cuts")}
        return {verb: "base", **kinds}
    stem = verb + verb[-1] if verb in _DOUBLED else verb
    if verb.endswith("e"):
        return {verb: "base", verb[:-1] + "ing": "ing", verb + "d": "ed", verb + "s": "s"}
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return {verb: "base", verb + "ing": "ing", verb[:-1] + "ied": "ed", verb[:-1] + "ies": "s"}
    ending = "es" if verb.endswith(("s", "sh", "ch", "x", "z")) else "s"
    return {verb: "base", stem + "ing": "ing", stem + "ed": "ed", verb + ending: "s"}


def _inflected(verbs: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Map each form to its verb and kind."""
    table: dict[str, tuple[str, str]] = {}
    for verb in verbs:
        for form, kind in forms(verb).items():
            table.setdefault(form, (verb, kind))
    return table


@lru_cache(maxsize=1)
def verb_forms() -> dict[str, dict[str, tuple[str, str]]]:
    """Return for each class of verbs: form -> (verb, kind of form)."""
    tables = {"put": PUT, "pick": PICK, "contain": CONTAIN, "fill": FILL, "belong": BELONG, "want": WANT}
    return {name: _inflected(verbs) for name, verbs in tables.items()}
