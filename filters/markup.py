"""HTML and JATS left in a text: tags, and entities where there are many."""

import html
import re

from filters.words import WORD

_PAIRED = r"(?:a|b|i|u)"
"""Alone and bare, `<a>` or `<b>` points at a part of a picture."""
_NAMED = (
    r"(?:p|br|div|span|em|strong|sub|sup|img|table|tr|td|th|ul|ol|li|h[1-6]|font|html|body|xref|italic|bold|ext-link"
    r"|inline-formula|tex-math)"
)
_ATTRIBUTE = r"(?:\s+[\w:-]{1,40}\s*=\s*(?:\"[^\"<>]{0,400}\"|'[^'<>]{0,400}'|[^\s<>\"']{1,400}))"
_TAG = re.compile(
    rf"</{_PAIRED}\s*>|<{_PAIRED}{_ATTRIBUTE}{{1,20}}\s*/?>|</?{_NAMED}{_ATTRIBUTE}{{0,20}}\s*/?>", re.IGNORECASE
)
_ENTITY = re.compile(r"&(?:amp;){0,3}(?:[a-z]{2,8}[1-4]?|#\d{2,6}|#x[0-9a-f]{2,5});", re.IGNORECASE)
_ESCAPED = re.compile(r"&(?:amp;){0,3}(?:lt|#60|#x3c);", re.IGNORECASE)
_MEANT = re.compile(r"</?(?:think|answer|image)>", re.IGNORECASE)
FEW = 2
"""Entities that any text may have: one or two signs that somebody typed by their names."""


def tags_in(text: str) -> int:
    """The number of tags, those written with entities ("&lt;b&gt;") among them; `<think>` and `<image>` are none."""
    if _ESCAPED.search(text):
        text = html.unescape(html.unescape(text))
    return len(_TAG.findall(_MEANT.sub(" ", text)))


def entities_share(text: str) -> float:
    """Entities beyond the first two, over the words: 0 of "kept at 37&deg;C", more than 1 of a text made of them."""
    entities = len(_ENTITY.findall(text))
    if entities <= FEW:
        return 0.0
    return (entities - FEW) / max(len(WORD.findall(_ENTITY.sub(" ", text))), 1)
