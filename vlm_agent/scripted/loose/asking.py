"""Whole phrases that ask, thank, wish or explain, and say nothing else.

A table of patterns, one in a line; a line that begins with a blank continues the one before. <you>, <can>,
<nice>, <very> and <bad> stand for the words below.
"""

from __future__ import annotations

import re

_PARTS = {
    "<you>": "you|u|ya|we|the robot|the arm",
    "<can>": "could|can|would|will|might|may|were to|were able to|would be able to|are able to|can possibly",
    "<nice>": "nice|great|good|lovely|wonderful|brilliant|perfect|fantastic|amazing|awesome|super|handy|"
    "helpful|splendid|marvellous|marvelous|ideal|best|fab|cool|terrific|kind|swell|ace|much nicer|nicer|"
    "better|"
    "neat|a help|a great help|a big help|of help|useful|convenient|sweet|fine|lush|magic|a treat|a favor|"
    "a favour|a joy|a pleasure|a relief|so much nicer|tidier|neater|prettier",
    "<very>": "ever|really|very|so|quite|just|most|absolutely|truly|rather|super|please|kindly|maybe|perhaps|"
    "much|even|also|possibly|simply|also|then|now",
    "<bad>": "not|never|no|none|hate|dislike|sad|angry|upset|annoyed|bad|worse|worst|terrible|awful|horrible|"
    "mad|cross|furious|disappointed|unhappy|sorry|worried|ashamed|wrong|dangerous|stupid|silly|pity|shame|"
    "kill|hurt|complain|nothing|nobody|without|rather|instead|only|except|unless|whether|refuse|stop",
}

# What follows is wished for: "it would be nice if the block was in the bowl".
_WISHES = r"""
(?:i am|we are) (?:expecting|hoping|looking forward|longing|dying|waiting|wanting|
    wishing) to (?:find|see|have|get)
(?:i am|we are) (?:picturing|imagining|envisioning|envisaging|visualising|visualizing|thinking of|
    dreaming of)
(?:it|that|this) (?:would|will|might|could|is|was) (?:be |<very> )*<nice> (?:of you )?(?:for me |
    for us )?(?:if|to see|to have|to get|to find|when|were|for you to|to)(?: <you>(?: <can>| just)?)?
(?:it|that|this) (?:would|will|might|could) (?:<very> )*(?:please|help|delight|thrill|suit|make|
    mean|do|save|look)(?: (?:me|us|a lot|so much|a great deal|the world|my day|my life|everything|to me
    |easier|happy|very happy|well|tidier|neater|<nice>))*(?: and)? if(?: <you>(?: <can>| just)?)?
(?:i|we) (?:would|should|shall|will|am|are)? ?(?:be |<very> )*(?:happy|glad|grateful|thankful|
    obliged|thrilled|delighted|pleased|much obliged|so happy|appreciate it|appreciate|love it|love|
    like it|like|be glad|over the moon) (?:it )?if(?: <you>(?: <can>| just)?)?
(?:i|we|it|that|this|you) (?:would|will|might|could|shall)(?! <bad>)
    (?: (?!<bad> )[a-z']+){1,7}? (?:if|when|were)(?: <you>(?: <can>| just)?)?
what (?:i|we) (?:would |will |really |do |just )*(?:want|need|like|love|prefer|am after|am asking|
    require|wish|ask|am asking for|am looking for|have in mind)(?: (?:of|from) you)?(?: you to do| now
    | next| here)? (?:is|would be|was)(?: (?:for|that|to have|to see|to get|simply|just|this))*
(?:rearrange|arrange|organi[sz]e|set|fix|change|adjust|sort)(?: up)? (?:things|everything|stuff|
    the table|the objects|it|the scene|the layout|matters)(?: around)? (?:so|such) that
it is (?:[a-z]+ )?(?:required|necessary|important|essential|imperative|desired|crucial|vital|needed
    |wanted|requested|best|desirable|advisable)(?: that| for| to| if| to have| you)*
all (?:i|we) (?:want|need|ask|ask for|am asking|would like)(?: of you| from you)? is(?: for| that
    | to have| to see)*
"""

# Politeness, encouragement, circumstances.
_PASSED_OVER = r"""
find(?= (?:a|some|the) (?:[a-z]+ )?(?:spot|place|space|room|gap|position|area))
(?:the|your|my|our|these|those) (?:[a-z]+ ){0,2}(?:instructions?|rules?|recipe|plan|manual|orders?|
    task|note|sign|list|command|request|brief|assignment|protocol|script|procedure|schedule|exercise|
    test|challenge|game|trick)(?: )(?:says?|said|is|are|reads?|states?|asks? you|tells? you|
    calls? for you|requires? you)(?: for you)? to
(?:would|could|can) you (?:find it in (?:your heart|yourself)|bring yourself|manage|possibly manage
    |arrange|see your way clear|see your way|be persuaded|take a moment|take a second|take the time|
    spare a moment|make an effort|be bothered) to
i (?:hereby |now |kindly |humbly |politely |officially )?(?:order|command|instruct|beg|urge|request
    |ask|charge|direct|implore) you to
be (?:a|an|my) (?:[a-z]+ ){1,2}and
(?:would|could|can|will) you do the (?:honours|honors|job|trick|thing|work)(?: of| and)?
make it so
if (?:it is|it was|that is|that was|it would be|that would be|it be) (?:not |<very> )*(?:too much |
    a |any )*(?:trouble|bother|hassle|possible|ok|okay|alright|all right|fine|convenient|feasible|
    problem|<nice>)(?: (?:with|for|to) (?:you|ask))?
(?:i|we) (?:was|am|were|are) (?:just )?(?:wondering|hoping|thinking|curious)(?: (?:if|whether|
    that))? ?(?:<you>(?: <can>| might)?)?
(?:i|we) (?:wonder|wondered|hope|trust|think|believe|reckon|suppose|suggest|propose)(?: (?:if|
    whether|that))? ?(?:<you>(?: <can>| should| ought to)?)
(?:would|do|could) (?:you|ya) (?:<very> )*(?:mind|object|care)(?: if| to)?(?: <you>(?: <can>)?)?
(?:is|was|are|would|could|might) (?:there|it) (?:be )?(?:any |a |<very> )*(?:chance|way|possibility
    |possible|ok|okay|alright|all right|fine|<nice>)(?: (?:that|of|for|if|to|with))*(?: <you>
    (?: <can>)?)?(?: to)?
(?:any|some) (?:chance|way|hope)(?: (?:that|of))?(?: you (?:could|can|would|might))?
(?:would|could|can|will|might|may) (?:you|ya|u|we|i) (?:<very> )*(?:be |<very> )*(?:so |as )?
    (?:kind|good|nice|sweet|lovely|able|willing|prepared|ready|gracious)(?: (?:as|enough))?(?: to)?
(?:can|could|may|might) i (?:just |please |possibly )*(?:ask|trouble|bother|get|have|request|
    persuade|convince|task|beg|interest)(?: (?:you|that you|you please))?(?: (?:to|with|into|for))?
    (?: (?:help|help out))?
(?:may|might|can|could) i (?:please )?(?:request|suggest|ask for) (?:that )?
(?:can|could|would|will) you (?:please |kindly )?do me (?:a|the|this|one) (?:\w+ )?(?:favor|favour|
    solid|kindness)(?: (?:and|of|by))?
(?:please )?do me (?:a|the|this|one) (?:\w+ )?(?:favor|favour|solid|kindness)(?: (?:and|of|by))?
if (?:you|ya|u) (?:do not|would not|wouldn't|don't) (?:mind|object)(?: it)?(?: me asking)?
if (?:you|ya|u) (?:would|could|can|will|may|might|please|have|get|are able|are ready|are free|
    feel like it)(?: (?:be so kind as to|be so good as to|be so kind|be so good|be kind enough to|
    please|kindly|manage to|manage it|manage|a moment|a second|a minute|a sec|time|the time|a chance|
    just|possibly))*
(?:and )?(?:you are|that is|we are|then you are|you will be) (?:done|finished|it|all done|all set)
(?:i|we) would say(?: that)?
(?:clean|tidy|clear|straighten)(?:ing)? (?:up|the table|things|things up|up the table|the desk|
    up this mess|everything up|the place)? ?(?:by|and)
(?:i|we) bet you (?:can|could)(?: not)?
while you are (?:at it|there|about it|here)
before (?:i|we) (?:go|forget|leave|start|eat|begin)(?: home| out| it)?
(?:that|which|it|this) would (?:really |just |so )?(?:be|make) (?:<very> )*<nice>(?: of you| for me
    | thanks)*
the (?:thing|job|task) to do(?: now| here)? is(?: to)?
(?:do|does|is|should|would|could|will|can|are) not (?:you|it|that|they)(?: think| agree| reckon
    | say| please)?(?= [,.]|$)
(?:does|do|should) not (?:belong|go|be|live|sit) (?:here|there|on the table|where it is|
    on this table)
(?:with )?(?:kind|best|warm) (?:regards|wishes)
yours (?:truly|sincerely)
it is (?:me|i|us)(?: again)?
(?:a )?(?:slight )?change of plans?
(?:a |your |my |the )?(?:new|next|another|quick|small|little|one more|last|final|simple|easy|tiny|
    first|short) (?:task|job|thing|one|request|order|step|instruction|favour|favor|mission|command|
    errand)(?: for you| now| from me| of the day| today)*(?= [,.:])
do you (?:think|reckon|believe)(?: that)? (?:you (?:can|could|might)|that)
(?:wherever|where) there is (?:enough )?(?:room|space|a free spot)
(?:and )?(?:then )?(?:wait|stay (?:there|like that|put|still|so)|hold still|keep still|
    remain there)(?: for me| please)?(?= [.,]|$)
while (?:i|we) [a-z]+(?: (?:up|the table|here|around|things|for|it|a moment|below|underneath))*
(?:i|we) need (?:someone|somebody|you|a robot) to
have a (?:go|try|shot|stab|crack) at
(?:i|we) (?:can not|am not able to|could not|cannot) (?:reach|get there|do it|manage|get to|bend|
    stretch)(?: it| that| that far| there| up| myself| so| far)*
nice and [a-z]+
from where (?:it|they) (?:is|are)(?: now)?
by (?:yourself|hand)
with (?:a )?(?:steady|gentle) hand
in (?:a|one) (?:\w+ )?(?:movement|motion|swoop)
to (?:me|my) it (?:seems|looks)
from now on
let us see (?:you|if you can|whether you can|how you)
(?:let me|let us|i want to|i would like to|i would love to) (?:see|watch) you
(?:go|come) on(?: then)?
for (?:a |the )?(?:good|starters|safety|safekeeping|tidiness|storage|convenience|fun|keeps|display|
    later)
if (?:possible|needed|necessary|need be|i may|i might|i may ask|at all possible)
(?:when|whenever|once) (?:you|ya) (?:are ready|can|have (?:a|the|some|got a) (?:moment|second|
    minute|sec|time|chance)|get (?:a|the) (?:moment|second|minute|sec|chance)|get round to it|
    get around to it|are free|like)
why (?:do|would) not (?:you|we)(?: go ahead and| just)?
why not(?: just)?
how about(?: you| we)?
what about(?: you)?
what if you
(?:please )?do not (?:forget|hesitate|be shy)(?: to| and)?
(?:no|there is no) (?:rush|hurry|pressure|problem|worries|need to rush)
(?:please )?(?:be so|be as) (?:kind|good|nice) (?:as )?to
be (?:kind|good|nice) enough to
be (?:a|an|my) (?:\w+ )?(?:dear|angel|sweetheart|star|hero|darling|love|pal|sport|friend|lamb|doll|
    gem|legend|champ)(?: and)?
(?:your|the|my|today s|the next|this|our|a) (?:\w+ )?(?:job|task|goal|mission|assignment|objective|
    aim|duty|challenge|request|order|instruction|command|wish|step|target|plan|idea|suggestion|dream|
    desire|thing)(?: (?:now|today|for you|here|for now|i have for you))? (?:is|will be|would be|was|
    remains)(?: (?:to|for you to|that you|that|to see|to have|to get|simple|clear|for|this|now|next|
    as follows))*
i (?:have|have got|got) (?:a|one|another) (?:\w+ )?(?:job|task|favor|favour|request|mission)
    (?: for you)?(?: to ask)?(?: of you)?
(?:i|we) (?:would|will) (?:have|get|ask|need|request|require|like|love|want|prefer|beg|urge)
    (?: for)? (?:you|the robot)(?: please| kindly)? to(?: please)?
(?:i|we) (?:want|need|ask|expect|require|beg|urge|order|command|instruct|request|would like|
    would love|am asking|am going to ask|will ask|have to ask|must ask|am telling)(?: for)? (?:you|
    the robot|that you)(?: please| kindly)?(?: to)?(?: please)?
(?:you|u) (?:can|could|may|might|should|must|shall|will|would|ought to|need to|have to|have got to|
    are to|are going to|are supposed to|had better|better|want to)(?: (?:now|just|please|go ahead and|
    as well|also|then))*
(?:go|move) (?:ahead|on|and)(?: and| with)?
feel free to
make sure (?:you|to)(?: please)?
be sure to
remember to
try to
try and
see if you (?:can|could)
see whether you can
see about
(?:can|could|will|would|won t) (?:you|ya|u)(?: (?:not|maybe|perhaps|please|kindly|just|possibly|
    at all|ever so kindly|quickly|go|go and|come and|try to|try and|go ahead and|manage to))*
(?:let us|let's)(?: please| try to| try and| now| just| go ahead and)*
help (?:me|us)(?: out)?(?: (?:by|to|and|with))?
(?:please )?give me a hand(?: (?:by|and|with))?
i could (?:really )?(?:use|do with)
(?:can|could|do) you make (?:that|it|this) happen
make (?:that|it|this) (?:happen|so)(?: please| for me)?
(?:can|could|would|will) you do (?:that|it|this)(?: please| for me| for us)*
(?:can|could|would|will) you (?:handle|manage|see to|sort|arrange|take care of|fix|do|sort out|
    change|correct|help with|move|organise|organize|get on) (?:that|it|this)(?: out)?(?: please| for me
    | for us)*
(?:will|would|could|can) (?:you|ya)
is that (?:ok|okay|alright|all right|possible|fine|doable|clear|something you can do)
(?:got|get) it
go for it
off you go
(?:do )?you know what would be (?:really |so )?<nice>
what would be (?:really |so )?<nice>(?: is)?
in (?:a|one|two) (?:moment|minute|second|sec|bit|tick|flash|jiffy|seconds|minutes)
on my behalf
(?:that|this|it|there) is (?:exactly |just |precisely )?where
(?:when|by the time|before) (?:i|we|you) (?:come|get|am|are|return|look|arrive|turn|walk|look up|
    check|finish)(?: (?:back|home|in|round|around|here|there|done|finished|again|up|are))*
there is (?:some |plenty of |enough |a bit of |a little |still |lots of |an? |also )*(?:\w+ )?
    (?:room|space|spot|gap|place|area|patch)(?= )
(?:do you )?(?:fancy|feel like|care for|mind|are you up for|up for|care to|feel up to)
(?:it|this|that) is (?:your|the) turn(?: to)?
let it be known(?: that)?
(?:that|it) (?:is|would be) (?:it|all|everything)(?: for now| for today)?
(?:that|it) (?:would|will) do(?: nicely| it)?
thank(?:s| you)(?: (?:so|very|ever so) much| a lot| kindly| a million| a bunch| in advance| heaps
    | again)?
much (?:appreciated|obliged)
many thanks
cheers(?: mate)?
(?:i would|would be) (?:much )?appreciate(?: it| that)?
i (?:would|will) be (?:very |so |really )?grateful
(?:there is|that is) a (?:good|dear|love|star|clever|nice) (?:\w+)?
good (?:morning|afternoon|evening|day|robot|job|boy|girl|lad)
(?:for|to) (?:me|us|my sake|a moment|a while|a bit|a second|a sec|now|a minute|a few seconds|
    a little while|once)
as (?:soon|quickly|fast|carefully|gently|neatly) as (?:you can|possible|you are able)
at once
right (?:away|now)
in (?:one|a single) (?:go|move|motion)
with (?:great |some |due |a little |a bit of |the utmost )?(?:care|caution)
take (?:care|your time)(?: and)?
(?:please )?be (?:very |really |so )?(?:careful|gentle|quick)(?: with it)?(?: and)?
without (?:dropping|breaking|damaging|spilling|scratching|tipping|knocking|hitting|touching|
    disturbing|bumping)(?: (?:it|anything|anything else|anything over|the others|the rest|into anything
    |it over))?
(?:with|using) (?:the|your) (?:gripper|hand|arm|claw|fingers|robot arm)
all (?:right|the way|nice)
if you please
(?:so|such) that (?:it|they|this) (?:now )?(?:is|are|sits?|stands?|lies?|rests?|ends? up|lands?|
    comes? to rest|will be|can be|is (?:sitting|standing|resting|lying|placed|positioned|located))
(?:until|till|so) (?:it|they) (?:is|are|sits?|stands?|lies?|rests?|ends? up|lands?|comes? to rest|
    has come to rest|is (?:sitting|standing|resting|lying|placed|positioned|located))
(?:i|we) (?:say|think|guess|reckon|believe|suppose)
you know
of course
by the way
as usual
once more
(?:the|my) (?:following|next thing)
what i (?:want|need|would like|am after|am looking for)(?: you to do)? is(?: for you)?(?: to
    | that)?(?: you)?
all (?:i|you) (?:want|need|have|ask)(?: to do)? is(?: for you)?(?: to| that)?
(?:i|we) (?:think|believe|say|guess) (?:it is|it would be) (?:\w+ )?(?:time|best)(?: to| that| if)?
    (?: you)?
show (?:me|us) (?:how|what) (?:\w+ ){1,3}(?:you are|you can be|you can do|you can|arm is)(?: and)?
it is (?:about )?time(?: to| that| for you to| you)?
(?:the )?time (?:has come )?to
show me (?:that you can|you can|how you)
(?:i|we) (?:bet|know|hear|see) you can
in (?:the|a) (?:right|proper) (?:place|way)
if (?:you|ya) (?:like|want|wish)
ever so
a bit
a little
(?:please )?(?:see to it|make sure|ensure|make certain|see|arrange|arrange things so|arrange it so|
    fix it so|be sure|guarantee|check|take care)(?: that)
i (?:am|was) (?:just )?(?:asking|begging|telling) you to
your (?:help|assistance) (?:is|would be) (?:needed|appreciated)(?: to| in| with)?
"""


def _compiled(table: str) -> tuple[re.Pattern[str], ...]:
    """Read a table of patterns."""
    lines = table.strip("\n").replace("\n    ", "").splitlines()
    return tuple(re.compile(rf"(?<![^ ])(?:{_filled(line)})(?![^ ])") for line in lines)


def _filled(line: str) -> str:
    for name, words in _PARTS.items():
        line = line.replace(name, f"(?:{words})")
    return line


WISHES = _compiled(_WISHES)
PASSED_OVER = (*_compiled(_PASSED_OVER), *WISHES)
