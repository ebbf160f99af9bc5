"""Which language a text in Latin letters is in, by its commonest words.

English, and the languages of Europe that medical texts are mixed with. A text with few such words (a list of findings,
a title) is of none: a rule about language never drops it.
"""

import re
from collections import Counter

_WORDS = {
    "en": "the of and in to with is was for that this are by from as were which at on shows showing without left right",
    "de": "der die das und ist mit von den des eine ein im auf nicht für sich dem wird zur nach bei sind zeigt ohne",
    "fr": "le la les des et est une un du dans avec pour sur qui par au aux ne pas sont plus ou chez cette montre sans",
    "es": "el la los las de que y en un una con por para se del es al como más su lo muestra sin paciente izquierdo",
    "it": "il lo la gli le di che e un una con per non del della nel nella si è da al sono come mostra senza paziente",
    "pt": "o a os as de que e um uma com por para não do da no na se dos das em ao mais como mostra sem paciente",
    "nl": "de het een en van in is met op voor niet te zijn dat die aan bij door ook als werd wordt naar toont zonder",
}  # fmt: skip
LANGUAGES = tuple(_WORDS)
FEWEST = 4
"""Words of a language that must be there, and a fifth of all words, before a text is said to be in it."""
_OF: dict[str, tuple[str, ...]] = {}
for _language, _words in _WORDS.items():
    for _word in _words.split():
        _OF[_word] = (*_OF.get(_word, ()), _language)
_LETTERS = re.compile(r"[^\W\d_]+")


def language_of(text: str) -> str | None:
    """One of LANGUAGES; None where no language has enough of the words, and more of them than any other."""
    words = [word.casefold() for word in _LETTERS.findall(text)]
    counted = Counter(language for word in words for language in _OF.get(word, ()))
    (first, most), (_, second) = (*counted.most_common(2), ("", 0), ("", 0))[:2]
    return first if most >= FEWEST and 5 * most >= len(words) and most > second else None
