# ruff: noqa: E501 (tables of phrases)
"""Words of the tolerant reading (`loose.py`): verbs by what they ask for, and what may be passed over.

Verbs follow the classes of Levin, "English Verb Classes and Alternations" (1993): putting (9), sending
and carrying (11), pushing (12), throwing (17), holding (15), getting (13.5), lifting (9.4). Closed classes
of English (auxiliaries, pronouns, adverbs of manner) are listed as completely as possible; an open-class
word that is in none of these tables is never passed over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

# ---- verbs --------------------------------------------------------------------------------------

# Something goes somewhere; says nothing without a place.
PUT = """
put place move set lay position deposit transfer relocate shift slide push carry transport load stash store
insert nest arrange leave stick pop plop park add dump toss throw chuck tuck send deliver bring return slip
plunk plonk sit stow drag haul ferry situate nestle perch balance wedge slot lower settle dunk prop shove
reposition rest stand pile tip plant mount install house lodge file drop fling lob hurl pitch bung shoot sling
immerse embed pack shelve ensconce locate station base bed dock land guide lead steer direct walk run route
shuttle cart lug schlep tote convey conduct pass hand nudge scoot scooch bump ease work pull tug draw roll
flip swing sweep whisk bundle squeeze fit jam cram ram shuffle line align gather collect get fetch take
migrate redeposit restore reinstate replace hang lean top shepherd escort usher relay forward stow situate
seat bury bin pocket home sink submerge dip secure confine introduce plump chuck heave hoist tidy hide conceal remove budge sneak trundle wheel chauffeur teleport wiggle jiggle manoeuvre maneuver
""".split()

# Something is to be held, or lifted.
PICK = """
pick grab lift raise grasp grip hold seize clutch snatch scoop hoist elevate heave grapple nab catch clasp
capture pluck pinch take get fetch collect retrieve obtain acquire gather levitate uplift claim secure
clench cradle possess boost nick retain snag bag clamp keep hang-on
""".split()

# Of these, which lift or hold in any case: a place that stands still after them says where the thing is.
HOLDING = set(PICK) - {
    "take",
    "get",
    "fetch",
    "collect",
    "retrieve",
    "gather",
    "secure",
    "bag",
    "heave",
    "hoist",
}

CONTAIN = "want need require lack miss deserve await crave contain hold carry house receive accommodate have support bear host store include welcome take".split()
FILL = "fill load stock furnish equip supply provide top crown cap adorn populate".split()

# What a thing does that is where it should be: "the block lives in the bowl".
BELONG = """
go belong live land end finish wind rest sit stand stay remain be arrive appear reside dwell move fall drop lie
find turn come travel head fit disappear vanish settle hang make become get
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
    "lower": "lowering lowers lowered", "deliver": "delivering delivers delivered", "lean": "leaning leans leaned",
    "gather": "gathering gathers gathered", "shepherd": "shepherding shepherds shepherded",
    "carry": "carrying carries carried", "ferry": "ferrying ferries ferried",
}  # fmt: skip
_DOUBLED = frozenset(
    "drop pop plop tip slip stop chop grab nab pat set sit put get run bin tug lug wrap strap clap cram ram jam "
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


# ---- words that may be passed over ----------------------------------------------------------------

_HARMLESS = """
i you we me us myself yourself ourselves my your our can could would will shall may might do did have has had having to for at by as so and also too now then there here please kindly pls
plz thanks thank cheers ta ok okay alright right well oh ah hey hi hello yo um uh er erm hmm hm uhm right so
just simply really very quite pretty rather actually basically essentially literally even still already
maybe perhaps possibly probably hopefully ideally preferably surely certainly definitely absolutely
real nice nicely good great lovely wonderful brilliant perfect excellent fantastic amazing awesome super
straight directly immediately instantly promptly soon asap quick quickly fast safely carefully gently
bit little moment second minute sec tad touch go come get see make try let that it this if
job task goal mission assignment objective aim idea plan wish request order instruction command
buddy bud pal mate dear love honey sweetie sweetheart darling friend robot chief boss sir madam champ dude
man bro folks guys machine bot
better best well fine neat neater later earlier today tonight think thought know say says said tell told mean means feel looks seem seems regards sincerely yours
someone somebody everyone anyone world life day morning afternoon evening night week guess suppose reckon bet believe sure certain honest true fact sake purpose
point sense deal matter nearby meantime extra special gentle slow careful steady quiet smooth soft whenever wherever finally hurry rush guy
happy glad grateful thankful delighted pleased thrilled kind able willing ready time next first finally lastly
proceed continue start begin help ahead order way care
up down away over across along back onwards
""".split()  # fmt: skip
HARMLESS = frozenset(_HARMLESS) - {"if", "it", "this", "that", "then", "first", "right"}

# Adverbs that are not harmless although they end in -ly.
TELLING_ADVERBS = frozenset(
    "only separately partly partially repeatedly nearly hardly barely scarcely rarely early hourly daily "
    "doubly upwardly inversely oppositely exclusively jointly vertically horizontally diagonally".split()
)

# A clause with one of these is never background: it may forbid, limit, count, order or choose.
TELLING = frozenset(
    "not no never none nothing neither nor without unless except excluding excepting besides but instead rather "
    "otherwise only if whether when whenever until till before after afterwards once while or either twice thrice "
    "times time second third then next first last again another other others else both all every each any "
    "anything everything stop halt wait abort cancel freeze nevermind ignore avoid skip cease refrain forget "
    "don't dont won't cannot half already yet undo false pretend imagine "
    "question tomorrow later minutes seconds hours".split()
)

ADDRESS = frozenset(
    "buddy bud pal mate dear love honey sweetie sweetheart darling friend robot chief boss sir madam champ dude "
    "man bro folks guys machine bot bot's old my habilis arm there now again then man please thanks cheers "
    "guy young lady gentleman sport tiger genius kiddo matey lovely beautiful gorgeous smart clever metal mechanical mister miss teacher helper assistant companion partner comrade "
    "babe hon sweet pet lad lass chap fella fellow big little good clever kind helper assistant".split()
)

# ---- whole phrases that ask, thank or explain and say nothing else ---------------------------------

_YOU = r"(?:you|u|ya|we|the robot|the arm)"
_MODAL = r"(?:could|can|would|will|might|may|were to|were able to|would be able to|are able to|can possibly)"
_NICE = (
    r"(?:nice|great|good|lovely|wonderful|brilliant|perfect|fantastic|amazing|awesome|super|handy|helpful|"
    r"splendid|marvellous|marvelous|ideal|best|fab|cool|terrific|kind|swell|ace|much nicer|nicer|better|neat|"
    r"a help|a great help|a big help|of help|useful|convenient|sweet|fine|lush|magic|"
    r"a treat|a favor|a favour|a joy|a pleasure|a relief|so much nicer|tidier|neater|prettier)"
)
_BAD = (
    r"(?:not|never|no|none|hate|dislike|sad|angry|upset|annoyed|bad|worse|worst|terrible|awful|horrible|mad|cross|furious|disappointed|unhappy|"
    r"sorry|worried|ashamed|wrong|dangerous|stupid|silly|pity|shame|kill|hurt|complain|nothing|nobody|without|rather|instead|only|except|unless|whether|refuse|stop)"
)
_ADV = r"(?:ever|really|very|so|quite|just|most|absolutely|truly|rather|super|please|kindly|maybe|perhaps|much|even|also|possibly|simply|also|then|now)"
PASSED_OVER = tuple(
    re.compile(rf"(?<![^ ])(?:{pattern})(?![^ ])")
    for pattern in (
        rf"if (?:it is|it was|that is|that was|it would be|that would be|it be) (?:not |{_ADV} )*(?:too much |a |any )*"
        rf"(?:trouble|bother|hassle|possible|ok|okay|alright|all right|fine|convenient|feasible|problem|{_NICE})"
        r"(?: (?:with|for|to) (?:you|ask))?",
        rf"(?:it|that|this) (?:would|will|might|could|is|was) (?:be |{_ADV} )*{_NICE} (?:of you )?(?:for me |for us )?"
        rf"(?:if|to see|to have|to get|to find|when|were|for you to|to)(?: {_YOU}(?: {_MODAL}| just)?)?",
        rf"(?:it|that|this) (?:would|will|might|could) (?:{_ADV} )*(?:please|help|delight|thrill|suit|make|mean|do|save|look)"
        rf"(?: (?:me|us|a lot|so much|a great deal|the world|my day|my life|everything|to me|easier|happy|very happy|"
        rf"well|tidier|neater|{_NICE}))*(?: and)? if(?: {_YOU}(?: {_MODAL}| just)?)?",
        rf"(?:i|we) (?:would|should|shall|will|am|are)? ?(?:be |{_ADV} )*(?:happy|glad|grateful|thankful|obliged|thrilled|"
        rf"delighted|pleased|much obliged|so happy|appreciate it|appreciate|love it|love|like it|like|be glad|over the moon)"
        rf" (?:it )?if(?: {_YOU}(?: {_MODAL}| just)?)?",
        rf"(?:i|we|it|that|this|you) (?:would|will|might|could|shall)(?! {_BAD})(?: (?!{_BAD} )[a-z']+){{1,7}}? (?:if|when|were)(?: {_YOU}(?: {_MODAL}| just)?)?",
        r"what (?:i|we) (?:would |will |really |do |just )*(?:want|need|like|love|prefer|am after|am asking|require|wish|ask|am asking for|am looking for|have in mind)(?: (?:of|from) you)?(?: you to do| now| next| here)? (?:is|would be|was)"
        r"(?: (?:for|that|to have|to see|to get|simply|just|this))*",
        rf"(?:i|we) (?:was|am|were|are) (?:just )?(?:wondering|hoping|thinking|curious)(?: (?:if|whether|that))? ?(?:{_YOU}(?: {_MODAL}| might)?)?",
        rf"(?:i|we) (?:wonder|wondered|hope|trust|think|believe|reckon|suppose|suggest|propose)(?: (?:if|whether|that))? ?(?:{_YOU}(?: {_MODAL}| should| ought to)?)",
        rf"(?:would|do|could) (?:you|ya) (?:{_ADV} )*(?:mind|object|care)(?: if| to)?(?: {_YOU}(?: {_MODAL})?)?",
        rf"(?:is|was|are|would|could|might) (?:there|it) (?:be )?(?:any |a |{_ADV} )*(?:chance|way|possibility|possible|ok|okay|"
        rf"alright|all right|fine|{_NICE})(?: (?:that|of|for|if|to|with))*(?: {_YOU}(?: {_MODAL})?)?(?: to)?",
        r"(?:any|some) (?:chance|way|hope)(?: (?:that|of))?(?: you (?:could|can|would|might))?",
        rf"(?:would|could|can|will|might|may) (?:you|ya|u|we|i) (?:{_ADV} )*(?:be |{_ADV} )*(?:so |as )?(?:kind|good|nice|sweet|"
        rf"lovely|able|willing|prepared|ready|gracious)(?: (?:as|enough))?(?: to)?",
        r"(?:can|could|may|might) i (?:just |please |possibly )*(?:ask|trouble|bother|get|have|request|persuade|convince|task|beg|"
        r"interest)(?: (?:you|that you|you please))?(?: (?:to|with|into|for))?(?: (?:help|help out))?",
        r"(?:may|might|can|could) i (?:please )?(?:request|suggest|ask for) (?:that )?",
        r"(?:can|could|would|will) you (?:please |kindly )?do me (?:a|the|this|one) (?:\w+ )?(?:favor|favour|solid|kindness)(?: (?:and|of|by))?",
        r"(?:please )?do me (?:a|the|this|one) (?:\w+ )?(?:favor|favour|solid|kindness)(?: (?:and|of|by))?",
        r"if (?:you|ya|u) (?:do not|would not|wouldn't|don't) (?:mind|object)(?: it)?(?: me asking)?",
        r"if (?:you|ya|u) (?:would|could|can|will|may|might|please|have|get|are able|are ready|are free|feel like it)"
        r"(?: (?:be so kind as to|be so good as to|be so kind|be so good|be kind enough to|please|kindly|manage to|manage it|manage|a moment|a second|a minute|a sec|time|the time|a chance|"
        r"just|possibly))*",
        r"(?:and )?(?:you are|that is|we are|then you are|you will be) (?:done|finished|it|all done|all set)", r"(?:i|we) would say(?: that)?", r"(?:clean|tidy|clear|straighten)(?:ing)? (?:up|the table|things|things up|up the table|the desk|up this mess|everything up|the place)? ?(?:by|and)",
        r"(?:rearrange|arrange|organi[sz]e|set|fix|change|adjust|sort)(?: up)? (?:things|everything|stuff|the table|the objects|it|the scene|the layout|matters)(?: around)? (?:so|such) that",
        r"(?:i|we) bet you (?:can|could)(?: not)?", r"while you are (?:at it|there|about it|here)", r"before (?:i|we) (?:go|forget|leave|start|eat|begin)(?: home| out| it)?",
        rf"(?:that|which|it|this) would (?:really |just |so )?(?:be|make) (?:{_ADV} )*{_NICE}(?: of you| for me| thanks)*", r"the (?:thing|job|task) to do(?: now| here)? is(?: to)?",
        r"it is (?:[a-z]+ )?(?:required|necessary|important|essential|imperative|desired|crucial|vital|needed|wanted|requested|best|desirable|advisable)(?: that| for| to| if| to have| you)*",
        r"all (?:i|we) (?:want|need|ask|ask for|am asking|would like)(?: of you| from you)? is(?: for| that| to have| to see)*",
        r"(?:do|does|is|should|would|could|will|can|are) not (?:you|it|that|they)(?: think| agree| reckon| say| please)?(?= [,.]|$)",
        r"(?:does|do|should) not (?:belong|go|be|live|sit) (?:here|there|on the table|where it is|on this table)",
        r"(?:with )?(?:kind|best|warm) (?:regards|wishes)", r"yours (?:truly|sincerely)", r"it is (?:me|i|us)(?: again)?", r"(?:a )?(?:slight )?change of plans?",
        r"(?:a |your |my |the )?(?:new|next|another|quick|small|little|one more|last|final|simple|easy|tiny|first|short) (?:task|job|thing|one|request|order|step|instruction|favour|favor|mission|command|errand)(?: for you| now| from me| of the day| today)*(?= [,.:])",
        r"do you (?:think|reckon|believe)(?: that)? (?:you (?:can|could|might)|that)", r"(?:wherever|where) there is (?:enough )?(?:room|space|a free spot)",
        r"(?:and )?(?:then )?(?:wait|stay (?:there|like that|put|still|so)|hold still|keep still|remain there)(?: for me| please)?(?= [.,]|$)",
        r"while (?:i|we) [a-z]+(?: (?:up|the table|here|around|things|for|it|a moment|below|underneath))*", r"(?:i|we) need (?:someone|somebody|you|a robot) to", r"have a (?:go|try|shot|stab|crack) at",
        r"(?:i|we) (?:can not|am not able to|could not|cannot) (?:reach|get there|do it|manage|get to|bend|stretch)(?: it| that| that far| there| up| myself| so| far)*", r"nice and [a-z]+",
        r"from where (?:it|they) (?:is|are)(?: now)?", r"by (?:yourself|hand)", r"with (?:a )?(?:steady|gentle) hand", r"in (?:a|one) (?:\w+ )?(?:movement|motion|swoop)", r"to (?:me|my) it (?:seems|looks)",
        r"from now on", r"let us see (?:you|if you can|whether you can|how you)", r"(?:let me|let us|i want to|i would like to|i would love to) (?:see|watch) you", r"(?:go|come) on(?: then)?", r"for (?:a |the )?(?:good|starters|safety|safekeeping|tidiness|storage|convenience|fun|keeps|display|later)",
        r"if (?:possible|needed|necessary|need be|i may|i might|i may ask|at all possible)",
        r"(?:when|whenever|once) (?:you|ya) (?:are ready|can|have (?:a|the|some|got a) (?:moment|second|minute|sec|time|chance)|"
        r"get (?:a|the) (?:moment|second|minute|sec|chance)|get round to it|get around to it|are free|like)",
        r"why (?:do|would) not (?:you|we)(?: go ahead and| just)?", r"why not(?: just)?", r"how about(?: you| we)?",
        r"what about(?: you)?", r"what if you",
        r"(?:please )?do not (?:forget|hesitate|be shy)(?: to| and)?", r"(?:no|there is no) (?:rush|hurry|pressure|problem|worries|need to rush)",
        r"(?:please )?(?:be so|be as) (?:kind|good|nice) (?:as )?to", r"be (?:kind|good|nice) enough to",
        r"be (?:a|an|my) (?:\w+ )?(?:dear|angel|sweetheart|star|hero|darling|love|pal|sport|friend|lamb|doll|gem|legend|champ)(?: and)?",
        r"(?:your|the|my|today s|the next|this|our|a) (?:\w+ )?(?:job|task|goal|mission|assignment|objective|aim|duty|challenge|"
        r"request|order|instruction|command|wish|step|target|plan|idea|suggestion|dream|desire|thing)(?: (?:now|today|for you|here|for now|i have for you))? "
        r"(?:is|will be|would be|was|remains)(?: (?:to|for you to|that you|that|to see|to have|to get|simple|clear|for|this|now|next|as follows))*",
        r"i (?:have|have got|got) (?:a|one|another) (?:\w+ )?(?:job|task|favor|favour|request|mission)(?: for you)?(?: to ask)?(?: of you)?",
        r"(?:i|we) (?:would|will) (?:have|get|ask|need|request|require|like|love|want|prefer|beg|urge)(?: for)? (?:you|the robot)(?: please| kindly)? to(?: please)?",
        r"(?:i|we) (?:want|need|ask|expect|require|beg|urge|order|command|instruct|request|would like|would love|"
        r"am asking|am going to ask|will ask|have to ask|must ask|am telling)(?: for)? (?:you|the robot|that you)(?: please| kindly)?(?: to)?(?: please)?",
        r"(?:you|u) (?:can|could|may|might|should|must|shall|will|would|ought to|need to|have to|have got to|are to|are going to|"
        r"are supposed to|had better|better|want to)(?: (?:now|just|please|go ahead and|as well|also|then))*",
        r"(?:go|move) (?:ahead|on|and)(?: and| with)?", r"feel free to", r"make sure (?:you|to)(?: please)?", r"be sure to",
        r"remember to", r"try to", r"try and", r"see if you (?:can|could)", r"see whether you can", r"see about",
        r"(?:can|could|will|would|won t) (?:you|ya|u)(?: (?:not|maybe|perhaps|please|kindly|just|possibly|at all|ever so kindly|quickly|go|go and|come and|try to|try and|go ahead and|manage to))*",
        r"(?:let us|let's)(?: please| try to| try and| now| just| go ahead and)*", r"help (?:me|us)(?: out)?(?: (?:by|to|and|with))?",
        r"(?:please )?give me a hand(?: (?:by|and|with))?", r"i could (?:really )?(?:use|do with)", r"(?:can|could|do) you make (?:that|it|this) happen",
        r"make (?:that|it|this) (?:happen|so)(?: please| for me)?", r"(?:can|could|would|will) you do (?:that|it|this)(?: please| for me| for us)*",
        r"(?:can|could|would|will) you (?:handle|manage|see to|sort|arrange|take care of|fix|do|sort out|change|correct|help with|move|organise|organize|get on) (?:that|it|this)(?: out)?(?: please| for me| for us)*",
        r"(?:will|would|could|can) (?:you|ya)", r"is that (?:ok|okay|alright|all right|possible|fine|doable|clear|something you can do)",
        r"(?:got|get) it", r"go for it", r"off you go", r"(?:do )?you know what would be (?:really |so )?"+_NICE, r"what would be (?:really |so )?"+_NICE+r"(?: is)?",
        r"in (?:a|one|two) (?:moment|minute|second|sec|bit|tick|flash|jiffy|seconds|minutes)", r"on my behalf", r"(?:that|this|it|there) is (?:exactly |just |precisely )?where",
        r"(?:when|by the time|before) (?:i|we|you) (?:come|get|am|are|return|look|arrive|turn|walk|look up|check|finish)(?: (?:back|home|in|round|around|here|there|done|finished|again|up|are))*",
        r"there is (?:some |plenty of |enough |a bit of |a little |still |lots of |an? |also )*(?:\w+ )?(?:room|space|spot|gap|place|area|patch)(?= )",
        r"(?:do you )?(?:fancy|feel like|care for|mind|are you up for|up for|care to|feel up to)", r"(?:it|this|that) is (?:your|the) turn(?: to)?", r"let it be known(?: that)?",
 r"(?:that|it) (?:is|would be) (?:it|all|everything)(?: for now| for today)?", r"(?:that|it) (?:would|will) do(?: nicely| it)?",
        r"thank(?:s| you)(?: (?:so|very|ever so) much| a lot| kindly| a million| a bunch| in advance| heaps| again)?", r"much (?:appreciated|obliged)",
        r"many thanks", r"cheers(?: mate)?", r"(?:i would|would be) (?:much )?appreciate(?: it| that)?", r"i (?:would|will) be (?:very |so |really )?grateful",
        r"(?:there is|that is) a (?:good|dear|love|star|clever|nice) (?:\w+)?", r"good (?:morning|afternoon|evening|day|robot|job|boy|girl|lad)",
        r"(?:for|to) (?:me|us|my sake|a moment|a while|a bit|a second|a sec|now|a minute|a few seconds|a little while|once)",
        r"as (?:soon|quickly|fast|carefully|gently|neatly) as (?:you can|possible|you are able)", r"at once", r"right (?:away|now)",
        r"in (?:one|a single) (?:go|move|motion)", r"with (?:great |some |due |a little |a bit of |the utmost )?(?:care|caution)",
        r"take (?:care|your time)(?: and)?", r"(?:please )?be (?:very |really |so )?(?:careful|gentle|quick)(?: with it)?(?: and)?",
        r"without (?:dropping|breaking|damaging|spilling|scratching|tipping|knocking|hitting|touching|disturbing|bumping)"
        r"(?: (?:it|anything|anything else|anything over|the others|the rest|into anything|it over))?",
        r"(?:with|using) (?:the|your) (?:gripper|hand|arm|claw|fingers|robot arm)", r"all (?:right|the way|nice)", r"if you please",
        r"(?:so|such) that (?:it|they|this) (?:now )?(?:is|are|sits?|stands?|lies?|rests?|ends? up|lands?|comes? to rest|will be|can be|"
        r"is (?:sitting|standing|resting|lying|placed|positioned|located))", r"(?:until|till|so) (?:it|they) (?:is|are|sits?|stands?|"
        r"lies?|rests?|ends? up|lands?|comes? to rest|has come to rest|is (?:sitting|standing|resting|lying|placed|positioned|located))",
        r"(?:i|we) (?:say|think|guess|reckon|believe|suppose)", r"you know", r"of course", r"by the way", r"as usual", r"once more",
        r"(?:the|my) (?:following|next thing)", r"what i (?:want|need|would like|am after|am looking for)(?: you to do)? is(?: for you)?(?: to| that)?(?: you)?",
        r"all (?:i|you) (?:want|need|have|ask)(?: to do)? is(?: for you)?(?: to| that)?", r"(?:i|we) (?:think|believe|say|guess) (?:it is|it would be) (?:\w+ )?(?:time|best)(?: to| that| if)?(?: you)?",
        r"show (?:me|us) (?:how|what) (?:\w+ ){1,3}(?:you are|you can be|you can do|you can|arm is)(?: and)?", r"it is (?:about )?time(?: to| that| for you to| you)?", r"(?:the )?time (?:has come )?to", r"show me (?:that you can|you can|how you)",
        r"(?:i|we) (?:bet|know|hear|see) you can", r"in (?:the|a) (?:right|proper) (?:place|way)", r"if (?:you|ya) (?:like|want|wish)", r"ever so", r"a bit", r"a little",
        r"(?:please )?(?:see to it|make sure|ensure|make certain|see|arrange|arrange things so|arrange it so|fix it so|be sure|guarantee|check|take care)(?: that)",
        r"i (?:am|was) (?:just )?(?:asking|begging|telling) you to", r"your (?:help|assistance) (?:is|would be) (?:needed|appreciated)(?: to| in| with)?",
    )
)  # fmt: skip

# Those of them that wish for what follows: "it would be nice if the block was in the bowl".
WISHES = (
    *(
        p
        for p in PASSED_OVER
        if "rearrange" in p.pattern or "|imperative|" in p.pattern or "(?<![^ ])(?:all (?:i|we)" in p.pattern
    ),
    PASSED_OVER[1],
    PASSED_OVER[2],
    PASSED_OVER[3],
    PASSED_OVER[4],
    PASSED_OVER[5],
)
