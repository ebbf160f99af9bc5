"""The comparable text of samples (dedup/exact.py: `comparable_text`) from their columns, for those all in ASCII."""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

import numpy as np

from dedup.kernels.compiled import kernel, part

PLACEHOLDER = np.frombuffer(b"<image>", np.uint8)
AFTER_ROLE = np.frombuffer(b": ", np.uint8)
USER = np.frombuffer(b"user", np.uint8)
BLANK = np.frombuffer(b"\n", np.uint8)
_SPACE, _LOWER = np.uint8(32), np.uint8(32)
_ASCII_END, _UPPER_A, _UPPER_Z = np.uint8(0x80), np.uint8(65), np.uint8(90)
_TAB, _RETURN, _FS, _US = np.uint8(9), np.uint8(13), np.uint8(28), np.uint8(31)
_OPENING = np.uint8(60)
_SAME = np.uint8(0)
BLOCK = 64
"""Bytes written at once where none of them needs a look of its own."""


@kernel
def write_normal_forms(
    prompted, turns, role_data, role_offsets, text_data, text_offsets, question_data, question_offsets,
    out, offsets, other,
):  # fmt: skip
    """Write each sample's text to `out`, where it starts and stops to `offsets`.

    `turns` are the offsets of each sample's turns among roles and texts, `prompted` whether the user's turns are left
    out. `other` is set for a sample with a byte that is not ASCII: it gets an empty text, to be made otherwise.
    """
    end = 0
    offsets[0] = 0
    for sample in range(prompted.shape[0]):
        start = end
        plain = True
        if prompted[sample]:
            low, high = question_offsets[sample], question_offsets[sample + 1]
            end, plain = _piece(question_data, low, high, out, start, end)
        for turn in range(turns[sample], turns[sample + 1]):
            role, role_end = role_offsets[turn], role_offsets[turn + 1]
            low, high = text_offsets[turn], text_offsets[turn + 1]
            if prompted[sample]:
                if _equal(role_data, role, role_end, USER):
                    continue
            else:
                end, _ = _piece(BLANK, 0, 1, out, start, end)
                end, good = _piece(role_data, role, role_end, out, start, end)
                end, _ = _piece(AFTER_ROLE, 0, 2, out, start, end)
                plain = plain and good
            if prompted[sample]:
                end, _ = _piece(BLANK, 0, 1, out, start, end)
            end, good = _piece(text_data, low, high, out, start, end)
            plain = plain and good
        if end > start and out[end - 1] == _SPACE:
            end -= 1
        if not plain:
            other[sample] = True
            end = start
        offsets[sample + 1] = end


@part
def _piece(data, start, stop, out, begin, end):
    """Write a piece of a text that began at `begin`: lower case, white space once, a placeholder as white space.

    Returns the new end, and whether all is ASCII. A blank at the end is written: what follows may need it.
    """
    at, by_bytes = start, start
    while at < stop:
        while at >= by_bytes and stop - at >= BLOCK:
            if not _block(data, at, out, begin, end):
                by_bytes = at + BLOCK
                break
            at += BLOCK
            end += BLOCK
        if at == stop:
            break
        byte = data[at]
        if byte >= _ASCII_END:
            return end, False
        if byte == PLACEHOLDER[0] and _equal(data, at, min(stop, at + 7), PLACEHOLDER):
            at += 7
            byte = _SPACE
        else:
            at += 1
        if byte == _SPACE or 9 <= byte <= 13 or 28 <= byte <= 31:
            if end > begin and out[end - 1] != _SPACE:
                out[end] = _SPACE
                end += 1
            continue
        out[end] = byte | _LOWER if _UPPER_A <= byte <= _UPPER_Z else byte
        end += 1
    return end, True


@part
def _block(data, at, out, begin, end):
    """Write the next BLOCK bytes in lower case, white space as blanks; False where that is not their normal form.

    Not so are those with a byte that is not ASCII, the sign that opens a placeholder, or two blanks together (what was
    written is then overwritten). Without branches, so that the compiler takes many bytes at once.
    """
    given, made = data[at : at + BLOCK], out[end : end + BLOCK]
    special = _SAME
    for k in range(BLOCK):
        byte = given[k]
        blank = (byte == _SPACE) | ((byte >= _TAB) & (byte <= _RETURN)) | ((byte >= _FS) & (byte <= _US))
        lower = byte | (_LOWER if (byte >= _UPPER_A) & (byte <= _UPPER_Z) else _SAME)
        made[k] = _SPACE if blank else lower
        special |= np.uint8((byte >= _ASCII_END) | (byte == _OPENING))
    for k in range(1, BLOCK):
        special |= np.uint8((made[k] == _SPACE) & (made[k - 1] == _SPACE))
    opens_blank = made[0] == _SPACE and (end == begin or out[end - 1] == _SPACE)
    return special == _SAME and not opens_blank


@part
def _equal(data, start, stop, word):
    """Whether `data[start:stop]` is a word."""
    if stop - start != word.shape[0]:
        return False
    for k in range(word.shape[0]):  # noqa: SIM110 - numba has no all() over a generator
        if data[start + k] != word[k]:
            return False
    return True
