"""Function words of the lexicon: verbs, prepositions, determiners, question words, politeness.

A table maps a terminal of `grammar.lark` (or what its words mean) to words; a phrase is written with
hyphens. Lines that begin with a blank continue the line before.
"""

# Terminal: base forms. Those in INFLECTED are also known with -ing, -ed and -s.
VERBS = """
PUT: put place move set lay position deposit transfer relocate shift slide push carry transport load stash
    store insert nest arrange leave stick pop plop park add dump toss throw chuck tuck send deliver bring
    return slip plunk plonk sit stow drag haul ferry situate pick-and-place nestle perch balance wedge slot
    lower settle dunk prop shove reposition hide tidy tuck-away tidy-away conceal
GET: get fetch
TAKE: take pick pick-up grab lift lift-up hold hold-up keep-hold-of keep hold-on-to
    grasp raise seize collect retrieve
    get-hold-of take-hold-of grab-hold-of get-a-hold-of grip clutch hoist snatch scoop-up gather acquire
    obtain
DROP: drop release let-go-of let-go set-down put-down lay-down
STACK: stack pile pile-up stack-up make-a-tower-of make-a-tower-with make-a-tower-from make-a-tower-out-of
    build-a-tower-of build-a-tower-with build-a-tower-from build-a-tower-out-of make-a-stack-of
    build-a-stack-of build-a-stack-with build-a-stack-from
FILL: fill populate fill-up
EMPTY: empty
CLEAR: clear clear-out empty-out unload
REMOVE: remove extract take-out pull-out unstack
SWAP: swap exchange switch interchange trade
LOOK: look-at inspect examine focus-on have-a-look-at take-a-look-at look-closely-at zoom-in-on observe
    check-out
FIND: find locate search-for look-for identify point-at point-to point-out show-me spot detect
OPEN: open
CLOSE: close shut
SHOULD: should must needs-to need-to has-to have-to ought-to is-supposed-to are-supposed-to shall
    is-meant-to are-meant-to wants-to
WANT: i-want i-would-like i-need i-wish i-would-love i-would-prefer i-prefer we-want we-need we-would-like
    can-i-have may-i-have could-i-have can-we-have could-we-have it-would-be-nice-to-have
    it-would-be-great-to-have let-us-see i-would-love-to-have i-would-love-to-see i-need-to-have let-us-have
    i-would-appreciate have make i-would-like-to-see i-want-to-see i-would-like-to-have i-want-to-have let
ENSURE: it-would-be-nice-if it-would-be-great-if it-would-be-good-if i-would-love-it-if i-would-like-it-if
    make-sure ensure make-certain see-to-it see-to arrange-things-so arrange-it-so make-it-so be-sure
    arrange-for guarantee
BE: be to-be being is-to-be are-to-be been end-up to-end-up remain wind-up ends-up to-sit to-rest to-stand
GO: go goes to-go is-to-go are-to-go belong belongs come gets going
IS: is are was were
THERE: there
SEE: do-you-see can-you-see do-you-notice can-you-spot can-you-find do-you-have do-we-have have-you-got
    can-we-see are-you-seeing can-be-seen could-you-see are-visible is-visible can-you-detect do-i-have
    can-i-see
HOWMANY: how-many count count-up tell-me-how-many what-is-the-number-of the-number-of number-of
    what-number-of what-is-the-count-of what-is-the-total-number-of how-much
WHAT: what
WHICH: which
HOW: how
ROOM: room space enough-room enough-space
FOR: for
CANT: touch paint break cut pour wash eat rotate turn flip tilt wipe draw press hit kick smash roll squeeze
    clean fold unfold tie sort shake spin knock tap cook cover uncover bend crush destroy buy sing
    dance jump write throw-away turn-on turn-off turn-over knock-over make-me build open-the-door fly wave
    point
SOTHAT: so-that such-that until so so-it in-such-a-way-that so-as-for in-a-way-that
WITHOUT: without
IF: if-there-is if-there-are if-you-see if-you-find if-you-can-see in-case-there-is if-you-can-find
LIKE: like
LOOKS: looks appears seems appears-to-be seems-to-be looks-to-be look resembles
MORE: more fewer less
MANY: many
CONTENTS: contents-of content-of everything-inside-of all-the-contents-of
GIVE: give-me hand-me pass-me bring-me fetch-me get-me hand-over give-us hand-us
WHERE: where whereabouts
LIST: list describe name enumerate
HOWFAR: how-far how-far-apart how-far-away
DISTANCE: distance
FIT: fit fits does-it-fit
WILL: does do will would could did
CONTAIN: contain contains to-contain hold-inside
DONT: do-not never avoid refrain-from you-must-not you-should-not
"""

# Terminal: words without inflection.
STRUCTURE = """
TONE: light dark pale bright deep vivid pastel
STATE: full filled occupied unoccupied vacant
DET: the these those this my your our said
A: a an any some whichever one-of-the one-of-these one-of-those any-of-the any-one-of-the either-of-the
    some-of-the another anything something one-of any-one one-single a-single whatever
ALL: all every each all-the all-of all-of-the every-one-of-the each-of-the every-single all-of-these
    everything all-these all-those all-my
EITHER: either
BOTH: both both-the both-of-the both-of both-of-these
IT: it itself that-one-there this-thing that-thing the-same-one the-same-object the-latter
THEM: them they themselves
ONE: one ones
THAT: that who
NOT: not non no
AND: and as-well-as along-with together-with plus followed-by and-also
OR: or nor
OF: of among amongst out-of-all-of
TO: to towards toward over-to
FROM: from out-of off off-of from-inside from-within from-the-inside-of from-on-top-of from-out-of out-from
BETWEEN: between in-between halfway-between midway-between in-the-middle-between in-the-space-between
    in-the-gap-between
MIDDLEOF: in-the-middle-of in-the-center-of in-the-centre-of at-the-center-of at-the-centre-of
    into-the-middle-of into-the-center-of to-the-middle-of to-the-center-of at-the-middle-of
    on-the-center-of to-the-centre-of
THAN: than compared-to compared-with
AS: as
SAME: same identical matching
WITH: with
EXCEPT: except except-for but-not other-than apart-from besides-the excluding not-including all-but but
    aside-from save-for
OTHER: other remaining others rest else
HELD: you-are-holding that-you-are-holding in-your-hand in-the-gripper in-your-gripper you-hold being-held
    held in-hand that-you-hold you-have-in-your-hand you-picked-up
UP: up
OUT: out
DOWN: down
AWAY: away farther-away further-away
THEN: then next after-that afterwards afterward and-then finally lastly subsequently thereafter
    and-after-that once-done once-that-is-done when-done and-finally and-next before when-you-are-done
    once-you-have-done-that and-afterwards
AFTER: after once
PARTICIPLE: placed positioned situated located
MOST: most least
LOC: sitting lying standing resting sits lies stands rests found that-is-located that-sits that-lies
    that-stands seated
TABLE: table tabletop table-top desk desktop surface workspace bench workbench counter countertop floor
    ground scene worktop
ROBOT: robot you yourself arm robot-arm robot-base base-of-the-robot your-base
VIEWER: me myself camera viewer us scene-camera observer
HAND: gripper hand fingers claw grippers jaws
AWAYPLACE: aside somewhere somewhere-else anywhere anywhere-else elsewhere out-of-the-way to-the-side
    to-one-side off-to-the-side anywhere-you-like wherever-you-like
"""

# What is asked of an object: its words.
ATTRIBUTES = """
color: color colour hue colors colours shade tint
shape: shape form kind-of-shape type kind kind-of-object kind-of-thing type-of-object sort-of-thing
    sort-of-object
size: size sizes dimensions measurements
height: height
width: width diameter
length: length
"""

# What the arm does without an object: phrases.
GESTURES = """
home: home go-home go-back-home return-home move-home go-to-home go-to-the-home-position return-to-home
    go-to-your-home-position return-to-the-home-position return-to-your-home-position go-back-to-home
    move-to-the-home-position reset-the-arm go-to-the-start-position return-to-the-start-position
    go-back-to-the-start go-to-your-rest-position return-to-your-starting-position go-to-home-position
    go-back-to-your-starting-position retract-the-arm park-the-arm home-the-arm home-the-robot
    move-the-arm-home go-to-your-starting-position go-back-to-the-start-position
open_gripper: open-up open-wide
close_gripper: make-a-fist
stop: stop halt freeze abort stop-moving stop-now cease emergency-stop do-not-move stay-still hold-still
    stop-everything
"""

# Relation ("!": only where something goes): phrases.
PREPOSITIONS = """
inside: in-the-interior-of in inside inside-of within in-the-inside-of on-the-inside-of back-in back-inside
inside!: to-the-inside-of into-the-inside-of to-the-interior-of into-the-interior-of into in-to back-into
    down-into over-into
on: on upon on-top-of atop on-the-top-of over-the-top-of at-the-top-of back-on on-to-the-top-of
    on-the-surface-of
on!: onto-the-top-of on-to-the-top-of to-the-top-of onto-the-surface-of onto-top-of to-rest-on onto on-to
    back-onto down-on down-onto over-onto up-onto back-on-to
in_front_of: in-front-of ahead-of at-the-front-of in-the-front-of to-the-front-of on-the-near-side-of
    on-the-front-side-of
behind: behind in-back-of at-the-back-of in-the-back-of to-the-rear-of beyond past at-the-rear-of
    to-the-back-of on-the-far-side-of in-the-rear-of on-the-back-side-of
next_to: next-to beside besides by near near-to nearby nearby-to over-by over-near over-next-to close-to
    close-by adjacent-to alongside alongside-of at-the-side-of to-the-side-of against touching
    in-the-immediate-vicinity-of in-the-close-vicinity-of in-close-proximity-to in-the-proximity-of
    in-the-vicinity-of right-next-to right-by right-beside around at neighboring neighbouring next-door-to
    as-close-as-possible-to as-near-as-possible-to as-close-to on-the-side-of by-the-side-of very-near
    right-near up-against very-close-to flush-with
above: above over
below: under below beneath underneath underneath-of
"""

# Politeness and adverbs that change nothing.
FILLERS = """
i-would-love-it-if-you-could i'd-love-it-if-you
it-would-be-nice-if-you-could it-would-be-great-if-you-could it-would-help-me-if-you-could
i-would-appreciate-it-if-you-could it-would-help-if-you-could
please kindly pls plz please-please thanks thank-you thank-you-very-much many-thanks cheers thx ta could-you
can-you would-you will-you could-you-please can-you-please would-you-please will-you-please would-you-mind
do-you-mind would-it-be-possible-to is-it-possible-to would-you-be-able-to are-you-able-to
would-you-be-so-kind-as-to would-you-be-kind-enough-to could-you-possibly could-you-maybe could-you-help-me
can-you-help-me would-you-kindly may-i-ask-you-to can-i-ask-you-to could-i-ask-you-to
i-would-like-to-ask-you-to i-want-you-to i-would-like-you-to i-need-you-to i-would-love-you-to
i-would-like-for-you-to i-am-asking-you-to i-would-love-for-you-to i-want-the-robot-to
i-would-like-the-robot-to i-would-appreciate-it-if-you i-would-be-grateful-if-you-could
i-would-appreciate-it-if-you-could i-would-appreciate-it-if-you-would i-expect-you-to i-ask-you-to
we-want-you-to we-need-you-to i-wish-you-to i-would-prefer-you-to i-prefer-you-to you-should you-must
you-need-to you-have-to you-are-to you-can you-could you-may you-might you-will you-ought-to your-task-is-to
your-job-is-to the-task-is-to your-goal-is-to the-goal-is-to your-mission-is-to it-is-time-to your-task-is
your-job-is the-task-is the-goal-is your-goal-is task instruction your-next-task-is-to
it-would-be-great-if-you it-would-be-great-if-you-could it-would-be-nice-if-you
it-would-be-nice-if-you-could it-would-be-good-if-you can-we could-we shall-we may-we tidy-up clean-up
clear-the-table-by tidy-the-table-by from-its-place from-where-it-is from-its-position the-goal goal
end-state the-end-state final-state desired-state goal-state goal-is-to a-bit a-tad a-little-bit try-to
attempt-to try try-and go-ahead-and go-and proceed-to help-me-to help-me help-us let-us how-about
why-do-not-you why-not remember-to do-not-forget-to be-a-dear-and be-so-kind-as-to be-kind-enough-to
feel-free-to start-by begin-by if-you-could if-you-can if-possible if-you-please if-you-would
if-you-do-not-mind if-you-do-not-mind-please when-you-can when-you-get-a-chance when-you-are-ready
when-ready whenever-you-are-ready as-soon-as-possible asap first firstly first-of-all to-begin-with
to-start-with for-starters step-one step-two for-me for-us hey hi hello ok okay alright well so now
right-now hey-there hi-there good-morning good-evening dear hey-robot hi-robot hello-robot ok-robot
okay-robot dear-robot habilis hey-habilis ok-habilis just simply really very quite rather pretty-much
directly immediately exactly also too again straight pretty carefully gently slowly quickly softly safely
cautiously precisely neatly properly smoothly firmly securely lightly delicately quietly kind-of sort-of
somewhat only actually maybe perhaps possibly basically ideally with-care with-great-care with-caution
in-one-go at-once without-knocking-anything-over without-dropping-it without-spilling without-breaking-it
without-touching-anything-else without-touching-anything without-hitting-anything
without-disturbing-anything without-disturbing-the-others without-moving-anything-else
without-touching-the-others taking-care-not-to-drop-it be-careful and-be-careful being-careful
use-the-gripper-to use-your-gripper-to use-the-arm-to use-your-arm-to use-the-robot-to use-your-hand-to
with-the-gripper with-your-gripper with-your-hand using-the-gripper using-the-arm with-the-arm
using-your-gripper using-your-hand with-the-robot-arm in-the-scene in-the-picture in-the-image in-the-view
in-view in-total altogether in-all currently at-the-moment at-present on-display over-there over-here
right-there right-here over-it-all around-here in-sight in-front-of-you in-front-of-the-robot in-front-of-me
on-the-scene presently visible colored coloured color-coded shaped sized the-following can-you-tell-me
could-you-tell-me tell-me do-you-know i-wonder i-want-to-know i-would-like-to-know please-tell-me
let-me-know say answer-me tell-us can-you-say report the-positions-of the-places-of positions-of places-of
the-locations-of the-position-of upright if-it-is-not-there-already if-it-is-not-already-there
if-it-is-not-there-yet if-it-is-not-already if-needed if-necessary already yet can-i you-see you-can-see
that-you-see that-you-can-see i-can-see that-is-visible
"""

# Verb: its other forms.
IRREGULAR = """
put: putting puts
set: setting sets
take: taking takes taken took
get: getting
drop: dropping drops dropped
grab: grabbing grabs grabbed
slip: slipping slipped
bring: bringing brought brings
hold: holding holds held
leave: leaving 
let: letting
throw: throwing thrown
stick: sticking stuck
lay: laying laid
pop: popping popped
plop: plopping plopped
find: finding
swap: swapping swapped
transfer: transferring transferred
send: sending sent
grip: gripping gripped
drag: dragging dragged
sit: 
rest: 
"""

INFLECTED = frozenset(
    (
        "CANT",
        "CLEAR",
        "CLOSE",
        "DROP",
        "FILL",
        "FIND",
        "GET",
        "LOOK",
        "OPEN",
        "PUT",
        "REMOVE",
        "STACK",
        "SWAP",
        "TAKE",
    )
)


def rows(table: str) -> dict[str, list[str]]:
    """Read a table: name -> phrases, hyphens opened."""
    out: dict[str, list[str]] = {}
    for line in table.strip().replace("\n    ", " ").splitlines():
        name, _, words = line.partition(": ")
        out[name] = [word.replace("-", " ") for word in words.split()]
    return out
