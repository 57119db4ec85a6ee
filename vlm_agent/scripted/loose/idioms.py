"""Phrases for putting, holding and wishing, as patterns over the words of a sentence."""

from __future__ import annotations

import re

_HAND = (
    r"(?:hand|hands|fingers|gripper|grippers|claw|claws|grip|jaws|mitts|paws|pincers|fingertips|arm|"
    r"mitt|grasp|clutches)"
)


def _pattern(text: str) -> re.Pattern[str]:
    """Compile a pattern; its line breaks mean nothing."""
    return re.compile("".join(text.strip().splitlines()).replace("<hand>", _HAND))


# In the hand, or off the table.
HELD = _pattern(
    r"""
leave the (?:table|desk|surface)|(?:(?:up|right|high|clear|firmly|well) )*(?:(?:off|from|above|over|
clear of|out of|off of|up from|up off|
away from|up above) (?:of )?(?:the|its|this|my|our|that) (?:table|desk|surface|tabletop|table top|ground|
floor|counter|workspace|bench|desktop|workbench|resting place|place|spot|tablecloth)(?: top| surface)?|
(?:in|into|up in|up into|high in|between|within|to|with) (?:the|your|its|those|that) (?:\w+ )?(?:hand|hands
|grip|gripper|grippers|grasp|fingers|finger|claw|claws|clutches|palm|jaws|pincers|fist|mitt|mitts|paw|paws|
air|arms|possession|hold)|in (?:hand|mid air|midair|the air)|into midair|off it|to the sky|up high|
up in the air|skyward|skywards|aloft|upward|upwards|heavenward)(?![^ ])
"""
)
# Verbs of holding and lifting in several words.
PICK_IDIOMS = _pattern(
    r"""
(?:(?:a |your )?(?:\w+ ){0,2}(?:grip|grasp|hold|clasp) (?:on|of|around)|(?:wrap|close|get|put|clamp|place|
lay|curl|clasp|fasten|set|lock|tighten|wrapping|closing|getting|use|clench|fold)(?:ping|ing)? (?:(?:your|
the|those|that|its) )?(?:\w+ )?<hand> (?:firmly |gently |tightly |securely |carefully )?(?:around|round|on|
onto|over|about|upon|to)(?: (?:pick|lift|grab|raise|hold|grasp|take)(?: up)?)?|(?:get|take|grab|catch|have|
keep|lay|getting|taking|grabbing|keeping|maintain|seize|gain|took|got) (?:a |an |your )?(?:firm |good |
tight |proper |secure |nice |gentle |careful |strong |solid |steady )?(?:hold|grip|grasp|possession|control
|purchase)(?: up)?(?: (?:of|on|onto|around))?|up with|pick(?:ing)? out|single out|choose|select|
grab ahold of|get ahold of|take ahold of|reach(?:ing)? (?:out |over |down |across )*(?:for|to(?=(?: the)))
(?: and)?(?! you)|(?:pick|scoop|snatch|gather|lift|take|hold|get|haul|hoist|bring|raise|fish|snap|grab|
sweep|heft|tug|pull|draw|picks|pluck)(?:s|ed|ing|ping|bing|ting)? up|(?:picking|picked|lifting|lifted|
scooping|held|holding|taken|taking|raised|raising|getting|bringing|brought) up|(?:hold|hang|latch|cling|
grab|keep|holding|hanging) on(?:to| to)|(?:keep|keeping) (?:hold|a hold|a grip) (?:of|on)|(?:keep|
stay) holding(?: on to| onto)?|(?:lay|get|put) (?:your )?hands on|(?:a |the )?(?:lifting|picking up|pick up
|pickup|lift|raising|grasping|gripping|grabbing|holding) of|(?:take|pick) (?:off|
from)(?= the table))(?![^ ])
"""
)
# Verbs of putting in several words.
PUT_IDIOMS = _pattern(
    r"""
(?:(?:the |a )?(?:placement|positioning|placing|transfer|transport|relocation|moving|putting|delivery|
setting|deposition|insertion|move|storage|dropping|arrangement) of|find (?:a |some )?(?:\w+ )?(?:home|place
|spot|space|room) for|make (?:a |some )?(?:home|place|spot|space|room) for|give|(?:let|have) (?:go|drop)|
(?:change|adjust|alter|shift|fix) the (?:position|place|location|placement|spot) of)(?![^ ])
"""
)
# Something is only spoken of.
BEHOLD = _pattern(
    r"""
(?:(?:once|when|after|as soon as) you (?:have )?(?:found|find|got|located|locate|spotted|spot|see|
identified|reached
|picked up|grabbed|got hold of|taken)|take (?:good |great )?care of|(?:do |can )?(?:you |ya )?(?:see|
spot|notice|remember|know|recognise|recognize)|you (?:will |can )?
(?:see|find|notice|know)|look at|there is|there are|here is|here are|take a look at|have a look at|consider
|show me|show us|about|regarding|concerning|as for|as regards|this is|that is|over there is|i see|i spy|
i can see|i have|i have got|we have|we have got)(?![^ ])
"""
)
# "The right place for the ball is ...".
PLACE_FOR = _pattern(
    r"""
(?:the|a|an) (?:\w+ ){0,2}(?:place|spot|home|position|location|destination|seat|slot) (?:for|of)(?: this
| my)?(?![^ ])
"""
)
# "Its home is ...".
HOME = _pattern(
    r"""
(?:its|his|her|'s|their) (?:new |proper |rightful |usual |final |right |correct |natural |next |real |
true |designated |permanent )*(?:home|place|spot|destination|position|location|seat|stop|resting place|
house|bed) (?:is|will be|should be|must be|would be)(?: now| always| actually| really| right| just)*(?![^ ])
"""
)
# "Give it a lift".
GIVEN_LIFT = _pattern(
    r"""
(?:a |an )?(?:little |quick |gentle |small )*(?:lift|raise|hoist|boost|heave|squeeze and lift)
(?: up)?(?![^ ])
"""
)
# A thing should be somewhere.
SHALL_BE = _pattern(
    r"""
(?:(?:is|are|would be|was) (?:exactly |just )?(?:the|what|that|a)(?: \w+)?(?: (?:one|thing|object|item|
piece))?(?: that| which)? (?:i|we) (?:would |really |do |just |am |are )*(?:want|need|like|love|prefer|
asking|ask|require|wish|wanting)(?: (?:you|the robot|for you|to see|to have|to get|to be))*(?: to(?: be)?)?
|(?:finds?|found|makes?|made) (?:its|their|his|her) way|would be (?:\w+ ){1,3}(?:for|to have|to put)|(?:is|
are|was|were|s|'s) (?:now |supposed |meant |intended |due |to be |destined |going |about |ready |waiting |
best |better |bound |reserved |designated |earmarked |ideal |just |the |a |\w+ place |\w+ spot |\w+ home |
\w+ position |\w+ location |place |spot |home |location |destination |position |required |needed |wanted |
desired |expected |perfect |the perfect \w+ |the right \w+ |a good \w+ |made |fit |ideal )*(?:to|for)(?: be
| go| get| have)*(?= )|(?:is|are) (?:supposed|meant|intended|needed|wanted|required|desired|expected|best|
better off|due)|(?:needs?|has|have|wants?|ought|got|deserves?|requires?|gets|likes?|longs|wishes|
begs) (?:got )?to(?: be| go| get| end up| come| come to be)*|(?:needs|requires|wants|deserves|could do with
|could use|would benefit from|is in need of|calls for|awaits)(?: a| some| its)?(?: being| to be)?|(?:should
|must|shall|ought to|had better|d better|better)(?: now| please| really| just| also| be| go| get| have
| end up| come)*|(?:would|will|might|could|can|may) (?:really |so |just |now |also |much |please )*(?:be|
look|feel|fit|do|go|sit|get|rest|stand|live|belong|come|serve|make|work|like|love|prefer|rather)(?: (?:much
|so|a lot|far|best|better|nicer|good|great|lovely|perfect|happy|happier|well|neat|neater|safer|nice|right|
at home|fine|handy|useful|off|to be|to|very))*|(?:his|her|its|their|s|'s) (?:new |proper |rightful |usual |
final |right |correct |natural |next )*(?:home|place|spot|destination|position|location|seat|stop|
resting place) (?:is|will be|should be|must be|would be)|(?:place|home|spot|destination|position|
location) (?:is|should be|must be|will be)|(?:looks|look|fits|fit|sits|works|feels|is) (?:best|better|
nicest|nicer|good|great|perfect|well|perfectly))(?![^ ])
"""
)
# Somebody wants what follows.
WISHED = _pattern(
    r"""
(?:(?:i|we) (?:would |will |d |shall |do |really |just |absolutely |now |simply |also |kindly |only |
still |quite |currently |actually |dearly |so )*(?:want|need|like|love|prefer|wish|fancy|hope to (?:see|
have|find|get)|expect|require|appreciate|desire|request|rather|ask|demand|order|insist|suggest|propose|
enjoy|crave|recommend|vote|long|welcome|value|dream|look)(?: (?:for|that|to|of|on|it|if|forward|see|seeing|
have|having|get|find|finding|view|getting|be|watch|know|please|out|able))*|(?:i am|we are) going to (?:need
|want|require|have|like)(?: to have| to see)?|(?:i am|we are|i have been) (?:after|looking for|asking for|
hoping for|hoping|wanting|wishing for|in need of|requesting|keen to have|keen on|keen to see|dreaming of|
requiring|thinking of|eager to see|eager to have|waiting for|expecting|longing for|dying to see|
hoping to see|hoping to have|hoping that|happy to have|happy with)(?: you)?(?: to)?|(?:can|could|may|might|
shall|will|would) (?:i|we) (?:please |just |kindly |possibly |maybe )*(?:have|get|see|find|ask for|request|
order)(?: to (?:have|see))?|(?:my|our) (?:\w+ )?(?:wish|plan|idea|hope|request|goal|aim|desire|dream|
preference|suggestion|intention|order|instruction|proposal|vision|command|need|demand|vote|
order of the day) (?:is|would be|was|will be)(?: (?:that|for|to|to have|to see|to get|now|this|simply|
simple))*|(?:see to it|see to|make sure|ensure|make certain|make it so|see|arrange|arrange things so|
arrange it so|fix it so|be sure|guarantee|check|take care|arrange for|let us have|lets have|let us see|
make it happen|organise|organize|help|work it so|set it up so|aim|aim to have|try to have|try and have|
allow|get it so|manage it so|manage things so|set things up so|ensure me)(?: that| to have)?|(?:would|
do) you (?:have|get|make|let|see|want)|(?:please |kindly )?(?:let|have|make|get|keep)|(?:wanted|needed|
required|desired|requested|wish|wanting|looking for|order of the day|goal|target|task|aim|job|request|plan|
objective|mission)(?: is| for| was)?(?: to have)?|(?:it is|it s|tis) (?:about )?time(?: for| that| to have
| to get| we had| you got)?|time (?:for|to have|to get)|(?:\w+ ){0,2}(?:says|said|thinks|reckons|insists|
wants|asked|asks|told me|tells me|suggests|would like|prefers|demands|requires|likes|recommends|ordered|
decided)(?: that| to have| to see| me| us| you to| for)*(?! to [a-z])|(?:the|a|his|her|its) (?:\w+ )?
(?:place|spot|home|
position|location|destination|seat|slot) (?:for|of)(?: this| my)?|want|need|would like|d like)(?![^ ])
"""
)
# "Give it a new home ...".
GIVEN_PLACE = _pattern(
    r"""
(?:a |its |the )(?:new |nice |cosy |cozy |proper |safe |good |fresh |little |permanent |special )*
(?:home|place|spot|seat|space|position|rest|bed)(?![^ ])
"""
)
