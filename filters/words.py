"""What rules about texts count as a word: Chinese and Japanese are written without blanks, so each character is one."""

import re

_CHARACTERS = (
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
WORD = re.compile(rf"([{_CHARACTERS}])|[^\W{_CHARACTERS}]+")
"""A word, or, as its group, a character of Chinese or Japanese."""
