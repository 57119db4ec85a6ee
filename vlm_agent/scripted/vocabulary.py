"""Content words of the lexicon: colours, nouns, sizes, and words the tools can't judge.

Colours are given as the detector's names that the word means, then those that it may get in
another light. Shapes likewise.
"""

from __future__ import annotations

from dataclasses import dataclass

from vlm_agent.scripted.syntax import Colored, Degree, Shaped

_COLORS = """
red: red | cherry-red ruby-red fire-engine-red apple-red rose-red blood-red candy-red crimson scarlet ruby
red: cherry vermilion vermillion carmine brick-red blood-red
red / brown purple: maroon burgundy wine oxblood
red / orange brown: rust rusty
red / orange pink: tomato reddish
orange: orange pumpkin-orange bright-orange tangerine pumpkin carrot
orange / yellow: amber apricot
orange / pink red: coral
orange / brown: terracotta copper ginger ocher ochre
yellow: yellow lemon-yellow canary-yellow sunshine-yellow banana-yellow lemon canary golden-yellow sunflower
yellow / orange brown: gold golden mustard saffron
yellow / green: yellowish
yellow / white brown: blond straw
green: green grass-green emerald-green apple-green bottle-green pea-green emerald jade fern grass grassy
green: leaf-green forest-green greenish pistachio
green / yellow: lime lime-green chartreuse
green / yellow brown: olive
green / blue white: mint minty seafoam
green / gray white: sage
green blue: teal turquoise
blue green: cyan aqua aquamarine
blue: blue baby-blue ocean-blue denim-blue azure sapphire cobalt royal-blue sky-blue bluish cerulean sky
blue / purple black: navy navy-blue midnight-blue
blue purple: indigo
blue / purple: periwinkle
purple: purple violet purplish amethyst
purple / pink white: lilac lavender
purple / red pink: plum mauve
purple / brown black: aubergine eggplant
pink purple: magenta fuchsia fuschia
pink: pink baby-pink candy-pink rose-pink bubblegum-pink rose rosy pinkish bubblegum hot-pink
pink / orange red: salmon
pink / orange: peach peachy
brown: brown chocolate-brown coffee-brown nut-brown chocolate coffee chestnut mahogany walnut umber brownish
brown: mocha sienna
brown / orange yellow: caramel bronze hazel tawny
brown / yellow white gray: tan beige khaki sand sandy taupe
brown / white yellow: fawn
white: white snow-white milk-white milky snowy ivory pearl whitish
white / yellow: cream cream-colored creamy eggshell off-white
white / gray: alabaster
gray: gray grey silver-gray silver-grey ash-gray ash-grey mouse-gray silver silvery ash ashen grayish
gray: greyish steel gunmetal
gray / black: charcoal
gray / blue black: slate
black: black ebony jet jet-black pitch-black coal-black raven midnight-black black-as-night onyx blackish inky
"""

_SHAPES = """
box: box block cube brick cuboid rectangle prism slab
box: die dice
cylinder: cylinder can tin tube canister barrel pillar drum roll tin-can soda-can beer-can soup-can
cylinder: puck disc disk
cylinder / object: rod stick
sphere: sphere ball orb globe marble bead
mug / bowl cylinder: mug cup teacup coffee-cup coffee-mug tea-cup beaker tumbler
bowl: bowl basin
bowl / plate tray: dish
tray / plate: tray platter
tray plate / bowl: plate saucer
"""

_CONTAINERS = "container receptacle vessel holder bin basket bucket crate tub carton pot jar pan"
_GENERIC = (
    "thing object item piece toy gadget gizmo thingy thingamajig widget stuff element doodad "
    "whatsit article entity body tool obstacle"
)
_FORMS = """
box: cubic cubical boxy square squarish rectangular cuboidal box-shaped cube-shaped block-shaped boxlike
cylinder: cylindrical cylinder-shaped tubular can-shaped
sphere: spherical ball-shaped ball-like sphere-shaped
sphere / cylinder: round rounded circular
bowl: bowl-shaped
"""

# Household and desk things the default detector has no word for. They are listed so that they
# are not taken for misspellings of words it has ("bell" is not a "ball").
_FOREIGN = """
apple banana pear grape melon cucumber tomato-can potato onion pepper egg bread cake cookie sandwich
pizza cheese meat fish bone bottle glass jug pitcher kettle teapot vase pen pencil marker crayon
eraser ruler scissors stapler book notebook paper envelope card phone smartphone laptop computer
keyboard mouse monitor cable charger remote controller lamp bulb candle clock watch key keychain lock
wallet coin purse bag backpack hat cap sock shoe glove scarf shirt towel cloth sponge soap brush
toothbrush comb mirror fork knife spoon chopstick spatula ladle whisk wok skillet lid cork
hammer screwdriver wrench screw bolt nut nail drill saw tape glue rope string wire battery magnet
chair sofa shelf drawer door window wall car truck bus train plane boat bike doll teddy robot-toy
puzzle lego plant flower leaf tree stone rock shell feather bell bull cat dog bird duck dinosaur
horse cow pig bear rabbit cone pyramid ring torus donut wedge star heart bow wheel gear spring
camera-bag helmet umbrella pillow blanket napkin straws straw-hat lighter matchbox pill medicine cane rake
mop broom pipe hose balloon kite drumstick guitar violin flute trumpet piano radio speaker
headphones microphone painting picture-frame photo poster sticker stamp ticket map flag trophy medal
"""

_SOFT = """
wooden wood plastic metal metallic steel-made rubber foam ceramic porcelain glassy paper cardboard
shiny glossy matte dull smooth rough soft hard solid hollow transparent clear opaque striped dotted
patterned plain colorful colourful heavy lightweight old new clean dirty wet dry warm cold hot
fragile expensive cute pretty beautiful nice lovely ugly funny interesting favourite favorite
broken intact sharp pointy curved bent
"""

_DECOR = (
    "toy building wooden-toy coffee tea soup soda salad serving cereal fruit mixing tennis ping-pong playing"
)

_DEGREES = {  # key, most: positive / comparative / superlative
    ("size", True): "big large huge giant enormous massive sizable sizeable hefty bulky chunky bigish / "
    "bigger larger greater / biggest largest hugest most-massive",
    ("size", False): "small little tiny mini miniature minuscule petite compact wee teeny diminutive / "
    "smaller littler tinier less-big less-large / smallest littlest tiniest",
    ("height", True): "tall high lofty / taller higher / tallest highest",
    (
        "height",
        False,
    ): "short low flat squat stubby stumpy / shorter lower flatter / shortest lowest flattest",
    ("width", True): "wide broad fat thick / wider broader fatter thicker / widest broadest fattest thickest",
    ("width", False): "thin narrow slim skinny slender / thinner narrower slimmer / thinnest narrowest "
    "slimmest skinniest",
    ("length", True): "long elongated lengthy / longer / longest",
    ("near", True): "near close nearby / nearer closer / nearest closest closest-by",
    (
        "far",
        True,
    ): "far distant faraway / farther further / farthest furthest most-distant farthest-away furthest-away "
    "farthest-off",
    (
        "left",
        True,
    ): " / / leftmost left-most furthest-left farthest-left most-left far-left furthest-to-the-left "
    "farthest-to-the-left most-to-the-left furthest-on-the-left all-the-way-left",
    ("right", True): " / / rightmost right-most furthest-right farthest-right most-right far-right "
    "furthest-to-the-right farthest-to-the-right most-to-the-right furthest-on-the-right",
    ("front", True): " / / frontmost front-most foremost most-in-front furthest-forward",
    ("back", True): " / / rearmost backmost back-most hindmost furthest-back farthest-back most-in-back",
    ("top", True): " / / topmost uppermost top",
    ("bottom", True): " / / bottommost lowermost bottom",
    ("middle", True): " / / middle central center centre middlemost centermost",
    ("medium", True): " / / medium medium-sized mid-sized middle-sized",
}


def _rows(table: str) -> list[tuple[tuple[str, ...], tuple[str, ...], list[str]]]:
    """Read `names / alternates: words` lines; "|" in the words is cosmetic."""
    rows = []
    for line in table.strip().splitlines():
        head, words = line.split(":")
        names, _, alternates = head.partition("/")
        items = [w.replace("-", " ") for w in words.replace("|", " ").split()]
        rows.append((tuple(names.split()), tuple(alternates.split()), items))
    return rows


def plurals(word: str) -> list[str]:
    """Return a noun and its regular plural."""
    if word.endswith(("s", "x", "ch", "sh")):
        return [word, word + "es"]
    if word.endswith("y") and word[-2] not in "aeiou":
        return [word, word[:-1] + "ies"]
    return [word, word + "s"]


def colors() -> dict[str, Colored]:
    """Colour words."""
    return {w: Colored(w, names, alts) for names, alts, words in _rows(_COLORS) for w in words}


@dataclass(frozen=True)
class Noun:
    """A head noun: the shape it asks for (None: "thing"), and its number."""

    shape: Shaped | None
    is_plural: bool


def nouns() -> dict[str, Noun]:
    """Nouns of shapes, containers and things, with their plurals."""
    table: dict[str, Noun] = {}

    def add(word: str, shape: Shaped | None) -> None:
        singular, plural = plurals(word)
        table[plural] = Noun(shape, True)
        table[singular] = Noun(shape, False)

    for names, alternates, words in _rows(_SHAPES):
        for word in words:
            add(word, Shaped(word, names, alternates))
    for word in _CONTAINERS.split():
        add(word, Shaped(word, is_container=True))
    for word in _GENERIC.split():
        add(word, None)
    return table


def forms() -> dict[str, Shaped]:
    """Adjectives of shape, and phrases that describe one."""
    table = {w: Shaped(w, names, alts) for names, alts, words in _rows(_FORMS) for w in words}
    for phrase in ("with a handle", "with the handle", "with handle", "that has a handle"):
        table[phrase] = Shaped(phrase, ("mug",))
    return table


def foreign() -> list[str]:
    """Nouns of things the lexicon has no shape for, with plurals."""
    return [form for w in _FOREIGN.split() for form in plurals(w.replace("-", " "))]


def soft() -> list[str]:
    """Adjectives that no tool can check."""
    return [w.replace("-", " ") for w in _SOFT.split()]


def decor() -> list[str]:
    """Words before a noun that add nothing ("toy block", "coffee mug")."""
    return [w.replace("-", " ") for w in _DECOR.split()]


def degrees() -> dict[str, Degree]:
    """Words of measure and order."""
    table: dict[str, Degree] = {}
    for (key, most), words in _DEGREES.items():
        forms_of = ("positive", "comparative", "superlative")
        for form, items in zip(forms_of, words.split("/"), strict=True):
            for item in items.split():
                word = item.replace("-", " ")
                table[word] = Degree(word, key, most, form)
    return table
