"""Words that the tolerant reading may pass over, and words that it never does.

Closed classes of English (auxiliaries, pronouns, adverbs of manner) are listed as completely as possible; a
word that is in none of these tables is never passed over.
"""

from __future__ import annotations

_HARMLESS = """
i you we me us myself yourself ourselves my your our can could would will shall may might do did have has
had having to for at by as so and also too now then there here please kindly pls plz thanks thank cheers ta
ok okay alright right well oh ah hey hi hello yo um uh er erm hmm hm uhm right so just simply really very
quite pretty rather actually basically essentially literally even still already maybe perhaps possibly
probably hopefully ideally preferably surely certainly definitely absolutely real nice nicely good great
lovely wonderful brilliant perfect excellent fantastic amazing awesome super straight directly immediately
instantly promptly soon asap quick quickly fast safely carefully gently bit little moment second minute sec
tad touch go come get see make try let that it this if job task goal mission assignment objective aim idea
plan wish request order instruction command buddy bud pal mate dear love honey sweetie sweetheart darling
friend robot chief boss sir madam champ dude man bro folks guys machine bot better best well fine neat
neater later earlier today tonight think thought know say says said tell told mean means feel looks seem
seems regards sincerely yours someone somebody everyone anyone world life day morning afternoon evening
night week guess suppose reckon bet believe sure certain honest true fact sake purpose point sense deal
matter nearby meantime extra special gentle slow careful steady quiet smooth soft whenever wherever finally
hurry rush guy happy glad grateful thankful delighted pleased thrilled kind able willing ready time next
first finally lastly proceed continue start begin help ahead order way care up down away over across along
back onwards
""".split()  # fmt: skip

HARMLESS = frozenset(_HARMLESS) - {"if", "it", "this", "that", "then", "first", "right"}

# Adverbs that are not harmless although they end in -ly.
TELLING_ADVERBS = frozenset(
    "only separately partly partially repeatedly nearly hardly barely scarcely rarely early hourly daily "
    "doubly upwardly inversely oppositely exclusively jointly vertically horizontally diagonally".split()
)

# A clause with one of these is never background: it may forbid, limit, count, order or choose.
TELLING = frozenset(
    "not no never none nothing neither nor without unless except excluding excepting besides but instead "
    "rather "
    "otherwise only if whether when whenever until till before after afterwards once while or either "
    "twice thrice "
    "times time second third then next first last again another other others else both all every each any "
    "anything everything stop halt wait abort cancel freeze nevermind ignore avoid skip cease refrain forget "
    "don't dont won't cannot half already yet undo false pretend imagine "
    "question tomorrow later minutes seconds hours".split()
)

ADDRESS = frozenset(
    "buddy bud pal mate dear love honey sweetie sweetheart darling friend robot chief boss sir madam "
    "champ dude "
    "man bro folks guys machine bot bot's old my habilis arm there now again then man please thanks cheers "
    "guy young lady gentleman sport tiger genius kiddo matey lovely beautiful gorgeous smart clever "
    "metal mechanical mister miss teacher helper assistant companion partner comrade "
    "babe hon sweet pet lad lass chap fella fellow big little good clever kind helper assistant".split()
)
