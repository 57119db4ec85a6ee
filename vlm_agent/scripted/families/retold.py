# ruff: noqa: E501 (a pattern reads best on one line)
"""Orders told in another way: pushes by noun, towers and rows told piece by piece, conditions behind a search."""

from __future__ import annotations

import re
from typing import Final

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.families.orders import read_order
from vlm_agent.scripted.families.stacks import read_stack
from vlm_agent.scripted.families.text import thing, things
from vlm_agent.scripted.syntax import Description

_NP: Final = r"(?:the|a|an|my|this|that|all|both)\b(?:[^.,;:?!]|\.(?=\d))+?"
_PUSH: Final = r"(?:push|shove|nudge|slide)"
_LENGTH: Final = (
    r"\d+(?:\.\d+)? ?(?:mm|cm|m|millimet(?:re|er)s?|centimet(?:re|er)s?|met(?:re|er)s?|inch(?:es)?)"
)
_SIDE: Final = r"(?:to (?:the |my |your )?(?:left|right)|left|right|forwards?|backwards?|towards? (?:me|you)|away from (?:me|you))"
_TOWER: Final = r"(?:tower|stack|pile)"
_ANY: Final = re.compile(
    r",?\s*(?:(?:,|and|in|with|using|the|:) )*(?:(?:in )?(?:any|whatever|whichever|which|no particular|no special) (?:order|sequence)(?: (?:you|that you|i|will|works|is|suits|seems|pleases|you'd)(?: \w+){0,3})?|"
    r"(?:the )?(?:order|sequence) (?:is |being )?(?:arbitrary|free|irrelevant|unimportant|optional|up to you|of your choice|your choice|open)|"
    r"(?:(?:it )?(?:does not|doesn't) matter|no matter) (?:in (?:which|what) order|(?:which|what|who)(?: one)? (?:is|goes|comes|stands))(?: (?:on top|at the bottom|where|first))?|(?:either|any)(?: one)?(?: of them)? (?:may|can|could|might) (?:be|go|stand) (?:on top|at the bottom|below))$"
)
_INTO: Final = (
    rf"(?:up )?(?:in|into|to form|to make|to) (?:a |one )?(?:single |tall |little |small |neat )?{_TOWER}"
)
_CHECK: Final = r"(?:check|look|search|scan)(?: (?:the|on the) (?:table|scene|desk))?"
_SAME: Final = r"(?:if (?:there is|there's) (?:one|some|any|enough)(?: there)?|if (?:you|we) (?:see|find|spot) (?:one|it|some|any)|if (?:so|yes|found|you do|there is))"

RETOLD: Final = (
    # pushes
    (rf"give (?:a (?:little |gentle )?{_PUSH} to (?P<x>{_NP})|(?P<a>{_NP}) a (?:little |gentle )?{_PUSH}),?(?P<r>(?: of| by)? .+)", r"push \g<x>\g<a> \g<r>"),
    (rf"(?:make|do|perform|carry out) an? {_PUSH} (?:on|of|to|with) (?P<x>{_NP}) (?P<r>(?:until|till|to|next|by|left|right|\d).+)", r"push \g<x> \g<r>"),
    (rf"(?P<v>{_PUSH}) (?P<s>{_SIDE})[:,] (?P<x>{_NP})[,;:] (?:by |for |distance:? (?:of |is )?)?(?P<n>{_LENGTH})", r"\g<v> \g<x> \g<n> \g<s>"),
    (rf"(?P<v>{_PUSH}) (?P<x>{_NP}) (?P<s>{_SIDE}),? (?:distance:? (?:of |is )?|for |by |over )?(?P<n>{_LENGTH})(?: far)?", r"\g<v> \g<x> \g<n> \g<s>"),
    (rf"(?P<v>{_PUSH}) (?P<x>{_NP}) (?P<r>.*?)(?:beside of|at the side of|to a (?:position|place|spot) (?:adjacent to|beside|next to|near)|adjacent to) (?P<a>{_NP})", r"\g<v> \g<x> \g<r> next to \g<a>"),
    (rf"(?P<v>{_PUSH}) (?P<n>{_LENGTH}) (?P<s>{_SIDE}),? (?P<x>{_NP})", r"\g<v> \g<x> \g<n> \g<s>"),
    (rf"(?:let|have) (?P<x>{_NP}) be (?:pushed|shoved|nudged|slid) (?P<r>.+)", r"push \g<x> \g<r>"),
    (rf"(?:i(?: would|'d) (?:like|love)|i(?: want| need)|i(?: would|'d) (?:like|love) to (?:see|have)) (?P<x>{_NP}) (?:to be )?(?:pushed|shoved|nudged|slid) (?P<r>.+)", r"push \g<x> \g<r>"),
    (rf"(?:make|have|let|get|bring|move|shift|take) (?P<x>{_NP}) (?:end up |go |come |be |over )?(?P<r>(?:next to|beside|near|to|left|right|towards?|up to|\d)[^,]+?),? (?:just )?by (?:pushing|shoving|nudging|sliding)(?: it)?", r"push \g<x> \g<r>"),
    (rf"(?:move|bring|shift|get|take) (?P<x>{_NP}) by (?:pushing|shoving|nudging|sliding)(?: it)? (?P<r>.+)", r"push \g<x> \g<r>"),
    (rf"(?:by|with) (?:pushing|shoving|nudging|sliding)(?: it)?, (?:move|bring|shift|get|take) (?P<x>{_NP}) (?P<r>(?:next to|beside|near|to|left|right|towards?|up to|over|\d)\b.+)", r"push \g<x> \g<r>"),
    (rf"an? (?:little |gentle )?{_PUSH} (?P<r>(?:of |by )?{_LENGTH} {_SIDE}) (?:for|to|on|of) (?P<x>{_NP})", r"push \g<x> \g<r>"),
    (rf"(?P<s>{_SIDE}),? (?P<v>{_PUSH}) (?P<x>{_NP}),? (?:by )?(?P<n>{_LENGTH})", r"\g<v> \g<x> \g<n> \g<s>"),
    (rf"(?P<v>{_PUSH}) it, (?P<x>{_NP}), (?P<r>.+)", r"\g<v> \g<x> \g<r>"),
    (rf"(?P<v>{_PUSH}) (?P<x>{_NP}) (?:so that|so|until|till) it (?:ends up|is|stands|sits|lies) (?P<n>{_LENGTH}) (?:further |farther |more )?(?P<s>{_SIDE})(?: of where it (?:is|was|stands|stood)(?: now)?| than (?:now|before))", r"\g<v> \g<x> \g<n> \g<s>"),
    (rf"(?P<v>{_PUSH}) (?P<x>{_NP}) (?:so that|so|until|till) it (?:ends up|is|stands|sits|lies) (?P<n>{_LENGTH}) (?:further|farther|more) (?P<s>{_SIDE})", r"\g<v> \g<x> \g<n> \g<s>"),
    (rf"give (?:(?P<x>{_NP}) a (?P<n>{_LENGTH}) {_PUSH} (?P<s>{_SIDE})|a (?P<m>{_LENGTH}) {_PUSH} (?P<t>{_SIDE}) to (?P<a>{_NP}))", r"push \g<x>\g<a> \g<n>\g<m> \g<s>\g<t>"),
    (rf"(?P<x>{_NP}) (?:needs|wants|gets|should get|requires) an? {_PUSH} (?P<s>{_SIDE}) (?:of|by) (?P<n>{_LENGTH})", r"push \g<x> \g<n> \g<s>"),
    (rf"by (?P<n>{_LENGTH}),? (?P<v>{_PUSH}) (?P<x>{_NP}) (?P<s>{_SIDE})", r"\g<v> \g<x> \g<n> \g<s>"),
    (rf"(?P<v>{_PUSH}) (?P<s>{_SIDE}) (?P<x>{_NP}),? (?:by )?(?P<n>{_LENGTH})", r"\g<v> \g<x> \g<n> \g<s>"),
    (rf"(?:move|bring|shift|get|take) (?P<x>{_NP}) (?P<r>(?:next to|beside|near|to|left|right|towards?|up to|\d)[^,]+?) with a {_PUSH}", r"push \g<x> \g<r>"),
    (rf"with a {_PUSH},? (?:move|bring|shift|get|take) (?P<x>{_NP}) (?P<r>(?:next to|beside|near|to|left|right|towards?|up to|\d).+)", r"push \g<x> \g<r>"),
    (rf"(?P<p>(?:next to|beside|near) [^,]+), (?:that is|that's) where (?:i want you to|you should|i would like you to|i'd like you to) {_PUSH} (?P<x>{_NP})", r"push \g<x> \g<p>"),
    # towers in any order
    (rf"(?:out of|with|using|from|use) (?P<xs>the .+?),? (?:please )?(?:to )?(?:make|build|form|create) (?:me )?(?:a|one)(?: \w+(?:-\w+)?)? {_TOWER}", r"stack \g<xs>"),
    (rf"(?P<xs>(?:the|all|both) .+?) (?:go|belong|come) (?:in|into|on) (?:a|one)(?: single)? {_TOWER}", r"stack \g<xs>"),
    (rf"on (?:top of )?(?P<a>{_NP}),? (?:put|place|stack|set|goes|comes) (?P<b>{_NP}),? and (?:then )?on (?:top of )?(?:that|it|this) (?:put |place |goes |comes )?(?P<c>{_NP})", r"build a tower from bottom to top: \g<a>, \g<b>, \g<c>"),
    (rf"(?P<xs>(?:the|all|both) .+?) (?:should|shall|must|are to|need to|have to|ought to) (?:form|make|be|become|stand in|go in|be in|end up in)(?: up)? (?:(?:a|one) (?:single |tall )?{_TOWER}|stacked(?: up)?|piled up|on top of (?:each other|one another))", r"stack \g<xs>"),
    (rf"(?:get|have|i(?: would|'d) be (?:happy|glad) to have|i(?: want|'d like| would like| need)) (?P<xs>(?:the|all|both) .+?) (?:stacked(?: up)?|piled up|in (?:a|one) (?:single )?{_TOWER}|on top of (?:each other|one another))", r"stack \g<xs>"),
    (r"(?:put|place|stack|set) one(?: block| thing)? (?:on|on top of|onto) (?:top of )?the other[:,;] (?P<xs>the .+)", r"stack \g<xs>"),
    (r"(?:either )?one of (?P<xs>the .+? and .+?) (?:should|shall|must|has to|is to) (?:be|stand|sit|go|lie|end up) (?:on|on top of|atop) (?:top of )?the other(?: one)?", r"stack \g<xs>"),
    (rf"(?P<a>{_NP}) (?:sits|stands|goes|belongs|should (?:be|go|sit|stand)|is to (?:be|go)) (?:on|on top of|atop) (?P<b>{_NP}),? (?:which|that)(?: in turn)? (?:sits|stands|goes|belongs|should (?:be|go|sit|stand)|is to (?:be|go)|is)(?: in turn)? (?:on|on top of|atop) (?P<c>{_NP})", r"build a tower from bottom to top: \g<c>, \g<b>, \g<a>"),
    # rows
    (r"(?:a )?row of (?:all )?(?:the )?(?P<xs>[^,.;:]+?)[,:;] (?:the )?(?:big|large)(?:gest|st)? ones? (?:on the )?left,? (?:and )?(?:the )?(?:small|little)(?:est)? ones? (?:on the )?right", r"line up the \g<xs> from left to right by size, biggest first"),
    (r"(?:a )?row of (?:all )?(?:the )?(?P<xs>[^,.;:]+?)[,:;] (?:the )?(?:small|little)(?:est)? ones? (?:on the )?left,? (?:and )?(?:the )?(?:big|large)(?:gest|st)? ones? (?:on the )?right", r"line up the \g<xs> from left to right by size"),
    (r"(?P<xs>(?:the|all) .+?) (?:should|shall|must|are to|need to|have to|ought to) (?:be|stand|go|end up|come|be put|be placed|sit|form|make) (?:(?:in|as) )?(?:a|one) (?:row|line)(?P<r>\b.*)", r"put \g<xs> in a row\g<r>"),
    (r"(?P<v>.*\b(?:row|line)\b.*?),? (?:so(?: that)?|such that|with) (?:the|their) (?P<n>size|height|width)s? (?P<g>increase|grow|rise|decrease|shrink|fall)s?(?P<r>(?: from .+)?)", "grow"),
    (rf"(?:take |get |use )?(?P<xs>(?:the|all|both) .+?),? and (?:then )?(?:stack|pile) (?:them|these|those|both|all three|all of them|both of them|all)(?: up)?(?: {_INTO})?", r"stack \g<xs>"),
    (rf"(?:assemble|pile|combine|put|place|set|arrange|turn|make|build|stack|bring|form) (?P<xs>(?:the|all|both) .+?) (?:up |together )?{_INTO}", r"stack \g<xs>"),
    (rf"(?P<xs>(?:the|all|both) .+?)[:;,-]+ (?:as |make |build |form )?(?:a|one)(?: single)? {_TOWER}", r"stack \g<xs>"),
    (r"(?:put|place|set) (?P<xs>(?:the|both) .+?),? (?:one|either)(?: one)? (?:on|on top of|onto|above|over) (?:top of )?the other(?: one)?", r"stack \g<xs>"),
    (rf"(?:make|see to it|ensure|arrange)(?: it)?(?: so)? that (?P<xs>(?:the|all|both) .+?) (?:are|stand|get|become) (?:stacked|piled|on top of (?:each other|one another)|in (?:a|one) {_TOWER})(?: up| together)*", r"stack \g<xs>"),
    (rf"(?:i(?: would|'d) (?:like|love) to (?:see|have|get)|let me (?:see|have)|show me|i want to (?:see|have)|make|build|form|create|give me|construct|put up|erect) (?:me )?(?:a|one|an)(?: \w+(?:-\w+)?)? {_TOWER}(?: made| built)? (?:of|from|out of|using|with|by using) (?P<xs>the [^:]+)", r"stack \g<xs>"),
    # who stands below
    (rf"(?P<b>{_NP}) (?:should|must|shall|has to|needs to|is to|ought to|is supposed to) (?:end up|be|go|sit|stand|come|lie|rest)(?: placed| located)? (?:(?:directly |right |just |immediately )?(?:under|underneath|beneath)|(?:directly|right|immediately) below) (?P<a>{_NP})", r"put \g<a> on top of \g<b>"),
    (rf"i(?: want| would like|'d like| need) (?P<b>{_NP}) (?:to (?:end up|be|go|sit|stand|come|lie|rest) )?(?:(?:directly |right |just |immediately )?(?:under|underneath|beneath)|(?:directly|right|immediately) below) (?P<a>{_NP})", r"put \g<a> on top of \g<b>"),
    # conditions
    (rf"{_CHECK} for (?P<n>(?:a|an|any|some) [^,.;:?!]+?)[:;.,]+ (?:and )?{_SAME},? (?P<r>.+)", r"if there is \g<n>, \g<r>"),
    (rf"{_CHECK} for (?P<n>(?:free |empty |enough |some )*(?:space|room|place)) (?P<p>[^,.;:?!]+?)[:;.,]+ (?:and )?{_SAME},? (?P<r>.+)", r"if there is \g<n> \g<p>, \g<r>"),
    (r"(?P<i>if|when|in case|provided|as long as) (?:have|there have|exists?|has) (?P<r>(?:any |some |enough |free )*(?:place|space|room) .+)", r"if there is \g<r>"),
    (r"(?P<i>if|when|in case|provided(?: that)?|as long as) (?P<p>(?:on|in|next|behind|to|beside|inside|near) [^,]+?) (?:there )?is (?P<n>an? [^,]+?), (?P<r>.+)", r"if there is \g<n> \g<p>, \g<r>"),
    (rf"(?P<i>if|when|in case|provided(?: that)?|as long as) (?P<a>{_NP}) has (?P<b>{_NP}) (?:on|to|at) its (?P<s>left|right)(?:[- ]hand)?(?: side)?,? (?P<r>.+)", r"if \g<b> is to the \g<s> of \g<a>, \g<r>"),
    (rf"(?P<v>put|place|set|move|drop|lay) (?P<x>{_NP}) (?P<p>(?:to|in|into|inside|on|onto|next|behind|between|beside|near|left|right)\b[^,.;]*?),? (?P<i>if|provided(?: that)?|as long as|when|in case) (?:it (?:fits|has (?:room|space)|will fit|would fit)|there is (?:enough |any |some |free )*(?:room|space|place)(?: for it)?)(?: (?:there|in there|in it))?[,;.]? (?:and |but )?(?:otherwise|or else|else|if not),? (?P<r>.+)", r"if there is space \g<p>, put \g<x> there, otherwise \g<r>"),
    (rf"(?:try to |try and )?(?:put|place|set|move|drop|lay) (?P<x>{_NP}) (?P<p>(?:to|in|into|inside|on|onto|next|behind|between|beside|near|left|right)\b[^,.;]*?)[,;.] (?:and |but )?if (?:there is no(?:t enough)? (?:room|space|place)|it (?:does not|doesn't|will not|won't|can't|cannot) fit|that (?:does not|doesn't) work|it is (?:full|taken|occupied))(?: there| in there| in it)?,? (?P<r>.+)", r"if there is space \g<p>, put \g<x> there, otherwise \g<r>"),
    (rf"(?:put|place|set|move|drop|lay) (?P<x>{_NP}) (?P<q>(?:in|into|inside|on|onto)\b[^,.;]*?),? unless there is (?:enough |any |some |free )*(?:room|space|place)(?: for it)? (?P<p>[^,.;]+?)[,;.] (?:in which case|in that case|and then|then|if so)(?: please)?,? (?:put|place|set) it there", r"if there is space \g<p>, put \g<x> there, otherwise put it \g<q>"),
    (r"(?:check|see|look|find out|test|determine|verify)(?: whether| if) (?P<t>[^,;:?]+?),? and,? if (?:it is|it does|so|yes|that is so|that is the case|they are|there is(?: one| some)?),? (?:then )?(?P<r>.+)", r"if \g<t>, \g<r>"),
    (r"compare the (?P<n>heights|widths|lengths|sizes|weights)[:;,.] (?P<r>if .+)", r"\g<r>"),
    (rf"(?P<i>if) (?P<a>{_NP}) is the (?P<m>\w+er) one and (?P<b>{_NP})(?: is)? the (?P<k>\w+er)(?: one)?, (?P<r>.+)", "opposite"),
    # several steps
    (r"(?P<l>two|three) (?:things|steps|tasks|jobs|orders)(?: please)?[:,.] (?:one|first|1|a)[,:.)]+ (?P<r>.+?)[;,.]+ (?:and )?(?:two|second|2|b)[,:.)]+ (?P<t>.+)", r"\g<r>, then \g<t>"),
    (r"(?:put|place|set) (?P<a>the .+?) (?P<p>(?:in|on|into|onto|next|behind|to)\b.+?) first,? and (?:then )?(?P<r>the .+?) (?:afterwards?|after that|after it|next|second|later|then)", r"put \g<a> \g<p>, then put \g<r>"),
    (r"(?:take|gather|collect|grab|get|pick up|find|pick)(?: up| together)? (?P<xs>all (?:of )?(?:the )?[^,.;]+?)(?: you (?:can )?(?:see|find))?,? and (?:then )?(?:put|place|set|drop|bring|move) (?:them|those|these|all of them|it all) (?P<p>.+)", r"put \g<xs> \g<p>"),
    (r"(?P<v>put|place|set|gather|collect|take|move|bring|get)(?: up| together)? the (?P<n>[^,.;]+?), (?:every (?:last|single) one(?: of them)?|each (?:one )?of them|all of them|each and every one(?: of them)?),? (?P<r>.+)", r"\g<v> all the \g<n> \g<r>"),
    (r"(?:whatever|everything that|anything that|all that) is (?P<n>\w+),? (?:put|place|set|move|bring) (?:it|that|them|it all) (?P<p>.+)", r"put all the \g<n> things \g<p>"),
    (r"the (?P<n>[^,.;:]+?)[:,;] (?:all|every one|each)(?: of them)? (?:goes |go |belongs? )?(?P<p>(?:in|into|inside|on|onto|next|behind)\b.+)", r"put all the \g<n> \g<p>"),
    (r"all (?:of )?(?:the )?(?P<n>[^,.;]+?) to (?:put|place|set|move|bring) (?P<p>.+)", r"put all the \g<n> \g<p>"),
    (r"(?P<v>put|place|set|lay) (?P<p>there|(?:in|into|inside|on|onto|next|behind)\b.+?) (?P<x>the .+)", r"\g<v> \g<x> \g<p>"),
    # holes
    (rf"(?P<v>.+?) (?P<k>{_NP}) (?P<w>in|into|inside) the (?P<h>(?:\w+ )?(?:hole|opening|slot)) (?:that|which) (?P<b>{_NP}) has", r"\g<v> \g<k> \g<w> the \g<h> of \g<b>"),
    (rf"(?P<b>{_NP}) has (?P<h>an? (?:\w+ )?(?:hole|opening|slot))(?: in it)?[,;:.]+ (?:and )?(?:please )?(?P<v>put|insert|place|stick|push|drop) (?P<k>{_NP}) (?:in|into|inside) (?:it|there|that)", r"put \g<k> in the hole of \g<b>"),
    (rf"(?:put|insert|place|stick|push|drop) (?:in|into|inside) the (?P<h>(?:\w+ )?(?:hole|opening|slot)) of (?P<b>{_NP}) (?P<k>the .+)", r"put \g<k> in the \g<h> of \g<b>"),
    (r"(?:insertion|stacking|pushing|task|job|order|request|instruction|command|to do|todo|measurement|question)[:-] (?P<r>.+)", r"\g<r>"),
    (rf"(?:in|into|inside) the (?P<h>(?:\w+ )?(?:hole|opening|slot)) (?:of|in) (?P<b>{_NP})[,:]? (?:put|insert|place|stick|push|drop|goes|belongs) (?P<k>the [^,.;]+)", r"put \g<k> in the \g<h> of \g<b>"),
    (rf"the (?P<h>(?:\w+ )?(?:hole|opening|slot)) (?:of|in) (?P<b>{_NP})[,:] (?:put|insert|place|stick|push|drop) (?P<k>the [^,.;]+?) (?:in|into|inside) (?:it|there|that)", r"put \g<k> in the \g<h> of \g<b>"),
    (rf"(?:in|into|to) my (?:hand|hands|palm) with (?P<x>{_NP})", r"give me \g<x>"),
    (rf"give (?P<x>{_NP}) (?:to|in|into) my (?:hand|hands|palm)", r"give me \g<x>"),
)  # fmt: skip

_LIST_HEAD: Final = re.compile(
    rf"^(?:the (?=\w+ (?:should|shall|must))|(?:make|build|form|create|start|construct|do|i(?: want| would like|'d like| need)|i(?: would|'d) (?:like|love) to (?:see|have)|give me|put up|set up|set out|lay out|arrange|get) )?(?:me )?(?:(?:a|one|the)(?: \w+(?:-\w+)?)? )?(?P<kind>{_TOWER}|row|line|queue)\b(?: on the table)?(?: (?:should|shall|must) (?:have|be|consist of|be made of|go))?(?:,? (?:with|where|in which|so that|such that|that goes|that reads|going|that has|as follows|like this|made of|of))*[,:;]?\s+"
)
_LIST_TAIL: Final = re.compile(
    rf",? (?:all )?(?:as|to make|to form|in|into|forming|making) (?:a|one)(?: \w+)? (?P<kind>{_TOWER}|row|line)(?P<d>,? from left to right|,? from right to left)?$"
)
_CUT: Final = re.compile(
    r"\s*(?:,?\s+followed by\s+|[,;.]\s*(?:and\s+)?(?:then\s+|next\s+(?=the)|finally\s+|lastly\s+|after that\s+)*|\s+and\s+(?:then\s+|finally\s+|lastly\s+)*|\s+then\s+)"
)
_VERB: Final = re.compile(
    r"^(?:(?:first comes|first|then|next(?! to\b)|finally|lastly|please|start with|begin with|finish(?: off)? with|end with|using|have|put|place|set|stack|use|take|with|i(?: want| would like|'d like| need)|as)\s+)+"
)
_GO: Final = r"(?:(?:goes|go|is|are|comes|stands|sits|lies|being|should be|should go|must be|to be|placed|rests)\s+)?(?:right |directly |next )?"
_THAT: Final = r"(?:it|that|this|that one|this one|the first|the first one|them|those|both|top of (?:it|that|this|them|those|both))"
_ROLES: Final = (
    ("low", rf"{_GO}(?:(?:at|on|as|for|to|forming) )?(?:(?:the|its|a) )?(?:very )?(?:bottom|base|lowest|lowermost|foundation|underneath)"),
    ("on", rf"{_GO}(?:on|onto|atop|above|over|upon|on top of) {_THAT}"),
    ("high", rf"{_GO}(?:(?:at|on|as|to) )?(?:(?:the|its) )?(?:very )?(?:top|highest|uppermost|topmost)"),
    ("mid", rf"{_GO}(?:(?:in|as) )?(?:(?:the|its) )?(?:middle|between|in between)"),
    ("left", rf"{_GO}(?:(?:at|on|to) (?:the )?)?(?:far |very )?left(?:most)?(?:[- ]?hand)?(?: side| end| edge)?"),
    ("beside", rf"{_GO}(?:(?:to the )?right of|next to|beside) {_THAT}|{_GO}next"),
    ("right", rf"{_GO}(?:(?:at|on|to) (?:the )?)?(?:far |very )?right(?:most)?(?:[- ]?hand)?(?: side| end| edge)?"),
    ("first", "first"),
    ("last", "last|in the end|at the end"),
)  # fmt: skip
_RISING: Final = (
    (r"(?:,? (?:so(?: that)?|such that|with|where))? ?each(?: one| block| of them)? (?:is |being )?(?P<m>\w+er) than (?:the (?:one|block) (?:to|on) its (?P<s>left|right)|the (?:one before(?: it)?|last(?: one)?|previous(?: one)?))", "each"),
    (r",? (?:always|ever|getting|becoming|growing|progressively|gradually|increasingly|steadily) (?P<m>\w+er)\b", "each"),
    (r",? (?:so(?: that)?|such that) (?:they|it) (?:go(?:es)?|climb|rise|look) (?:up )?like (?:stairs|a staircase|steps|a stairway|a flight of stairs)", "up"),
)  # fmt: skip
_GROWING: Final = {"taller": "increasing height", "higher": "increasing height", "shorter": "decreasing height", "lower": "decreasing height",
                   "bigger": "increasing size", "larger": "increasing size", "smaller": "decreasing size", "wider": "increasing width",
                   "narrower": "decreasing width", "longer": "increasing length"}  # fmt: skip
_OPPOSITE: Final = frozenset(
    frozenset(p)
    for p in (
        ("taller", "shorter"), ("higher", "lower"), ("taller", "lower"), ("higher", "shorter"), ("bigger", "smaller"),
        ("larger", "smaller"), ("wider", "narrower"), ("heavier", "lighter"), ("longer", "shorter"),
    )
)  # fmt: skip


def grown(match: re.Match[str]) -> str:
    """Return "a row so that the sizes increase" as a row by size."""
    way = "increasing" if match["g"] in ("increase", "grow", "rise") else "decreasing"
    return f"{match['v']} by {way} {match['n']}{match['r']}"


def opposed(match: re.Match[str]) -> str | None:
    """Return "if A is the taller one and B the shorter one" as one comparison, None if it is no such pair."""
    if frozenset((match["m"], match["k"])) not in _OPPOSITE:
        return None
    return f"if {match['a']} is {match['m']} than {match['b']}, {match['r']}"


def retold_list(text: str) -> str | None:
    """Return a tower or a row that is told piece by piece as a list, None if it is neither."""
    if re.match(r"^(?:what|which|how|is|are|does|do|if|can)\b", text):
        return None
    if re.search(rf"\b(?:{_TOWER}|stack(?:ed)?|pile)\b", text):
        text = re.sub(
            r"\b(?:listed |read |counted |told |given )?(?:from )?(?:the )?top down(?:wards)?\b",
            "from top to bottom",
            text,
        )
        text = re.sub(
            r"\b(?:listed |read |counted |told |given )?(?:from )?(?:the )?bottom up(?:wards)?\b",
            "from bottom to top",
            text,
        )
        text = re.sub(r"^(?=tower\b|one (?:tower|stack|pile)\b|(?:stack|pile)[,:])", "build a ", text)
        text = text.replace("build a one ", "build one ")
        text = re.sub(r"\bfrom the ground up\b", "from bottom to top", text)
        text = re.sub(r"\bboth (?=(?:the|my) [^,.;]+? and (?:the|my) )", "", text)
        text = re.sub(
            r"\b(?:these|those|the) (?:two|three|four)(?: blocks| things| objects)?: (?=the\b)", "", text
        )
        free = _ANY.sub("", text)
        if free != text:
            return free
    risen = _risen(text)
    if risen != text:
        return risen
    text = re.sub(
        r"\bin (?:this|that|the given) order from the (?P<s>left|right)(?: side| end)?$",
        lambda m: f"in that order from {'left to right' if m['s'] == 'left' else 'right to left'}",
        text,
    )
    row = re.match(
        r"^(?:a |one )?(?:row|line),? (?:from )?(?P<d>left to right|right to left): (?P<l>.+)$", text
    ) or re.match(
        r"^from (?P<d>left to right|right to left),? (?:(?:i(?: would|'d) (?:like|love)|i want)(?: to (?:see|have))?|put|place|set|arrange|line up) (?P<l>.+?) (?:in|as) a (?:row|line)$",
        text,
    )
    if row and len(things(row["l"])) > 1:
        return f"put {row['l']} in a row, in that order from {row['d']}"
    return text if _is_read(text) else _pieces(text) or text


def _risen(text: str) -> str:
    if not re.search(r"\b(?:row|line|queue|left to right|lined up)\b", text):
        return text
    for pattern, kind in _RISING:
        match = re.search(pattern, text)
        if match is None:
            continue
        by = "increasing height" if kind == "up" else _GROWING.get(match["m"], "")
        if not by:
            continue
        if kind == "each" and match.groupdict().get("s") == "right":
            by = by.replace("in", "de", 1) if by.startswith("in") else by.replace("de", "in", 1)
        return f"{text[: match.start()]}{text[match.end() :]}, by {by}"
    return text


def _is_read(text: str) -> bool:
    """Whether the families read a text as an ordered tower or row as it stands."""
    steps = read_stack(text) or ()
    if len(steps) == 1 and isinstance(steps[0], ast.Stack) and steps[0].is_ordered:
        return True
    row = read_order(text)
    return isinstance(row, ast.Arrange) and row.is_listed


def _pieces(text: str) -> str | None:
    """Read "A first, then B on it, then C on that", or "a row: A on the left, next B, C on the right"."""
    head, tail = _LIST_HEAD.match(text), _LIST_TAIL.search(text)
    kind = "" if head is None else "tower" if re.fullmatch(_TOWER, head["kind"]) else "row"
    kind = kind if tail is None else "tower" if re.fullmatch(_TOWER, tail["kind"]) else "row"
    body = text[head.end() if head else 0 : tail.start() if tail else len(text)]
    start = re.match(
        r"^(?:starting |beginning )?(?:at|from|on) the (?P<s>left|right)(?: end| side)? with (?P<r>.+)$", body
    )
    if start:
        body = re.sub(r"(,| and| followed)", rf" on the {start['s']}\1", start["r"], count=1)
    body = re.sub(
        r",? from (?P<d>left to right|right to left)$", lambda m: "" if kind == "row" else m[0], body
    )
    direction = re.search(r"from right to left$", text)
    told: list[tuple[str, str] | None] = []
    for part in _CUT.split(body):
        if part.strip():
            below = told[-1][1] if told and told[-1] is not None else ""
            on_it = rf"\b(?:on|onto|on top of|above|atop) {re.escape(below)}$"
            told.append(_piece(re.sub(on_it, "on that", part) if below else part))
    if not 2 <= len(told) <= 5 or any(t is None for t in told):
        return None
    roles, words = zip(*(t for t in told if t is not None), strict=True)
    return _listed(kind, list(roles), list(words), "right to left" if direction else "left to right")


def _listed(kind: str, roles: list[str], words: list[str], direction: str) -> str | None:
    said = ", ".join(words)
    first, between, last = roles[0], set(roles[1:-1]), roles[-1]
    is_told = kind == "tower" or "on" in roles or roles == ["low", "mid", "high"]
    if is_told and first == "low" and between <= {"on", "mid", ""} and last in ("on", "high", "last", ""):
        return f"build a tower from bottom to top: {said}"
    is_finished = first == "first" and "on" in between and last in ("", "last")
    if (
        is_told
        and first in ("first", "")
        and between <= {"on", "mid", "high"}
        and (is_finished or last in ("on", "high"))
    ):
        if first == "" and "on" not in roles:
            return None
        return f"build a tower from bottom to top: {said}"
    if is_told and first == "high" and between <= {"", "mid"} and last == "low" and kind == "tower":
        return f"build a tower from top to bottom: {said}"
    is_row = kind == "row" or (first == "left" and last == "right" and len(roles) > 2)
    if not is_row or not between <= {"", "beside", "mid"}:
        return None
    if first in ("left", "first", "") and last in ("right", "last", "beside", ""):
        way = "left to right" if first == "left" or last == "right" else direction
    elif first == "right" and last in ("left", "last", "beside", ""):
        words, way = words[::-1], "left to right"
    else:
        return None
    return f"put {' and '.join((', '.join(words[:-1]), words[-1]))} in a row, in that order from {way}"


def _piece(part: str) -> tuple[str, str] | None:
    """Return which place a part of a list gives to which thing, None if it is no such part."""
    part = part.strip(" ,")
    bare = re.sub(r" down(?= first$|$)", "", _VERB.sub("", part))
    bare = re.sub(r"^(?P<x>.+?) (?:comes|goes|is) first$", r"\g<x> first", bare)
    ahead_first = part.startswith(("first ", "start with ", "begin with "))
    for role, words in _ROLES:
        behind = re.search(rf"\s+(?:{words})$", bare)
        if behind and _is_plain(bare[: behind.start()]):
            return role, bare[: behind.start()]
        ahead = re.match(rf"^(?:{words}):?\s+(?:goes |comes |is |stands |put )?", bare)
        if ahead and _is_plain(bare[ahead.end() :]):
            return role, bare[ahead.end() :]
    if not _is_plain(bare):
        return None
    return ("first" if ahead_first else ""), bare


def _is_plain(words: str) -> bool:
    """Whether words name one thing and say nothing of where it is."""
    what: Description | None = (
        thing(words) if words.startswith(("the ", "a ", "my ", "that ", "this ")) else None
    )
    return (
        what is not None
        and not what.landmark
        and not any(isinstance(c, ast.Related) for c in what.constraints)
    )
