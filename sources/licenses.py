"""Licences as corpora spell them, normalised to SPDX identifiers."""

import re
from functools import lru_cache

from sources.schema import UNKNOWN_LICENSE

_SPDX = (
    "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CC-PDDC", "CC-PDM-1.0", "CDLA-Permissive-1.0",
    "CDLA-Permissive-2.0", "CDLA-Sharing-1.0", "GPL-2.0-only", "GPL-3.0-only", "ISC", "LGPL-3.0-only", "MIT",
    "MPL-2.0", "ODbL-1.0", "ODC-By-1.0", "PDDL-1.0", "Unlicense",
)  # fmt: skip
_OTHER_SPELLINGS = {
    "apache": "Apache-2.0",
    "apachelicense20": "Apache-2.0",
    "apache2": "Apache-2.0",
    "mitlicense": "MIT",
    "bsd3": "BSD-3-Clause",
    "bsd2": "BSD-2-Clause",
    "cc0": "CC0-1.0",
    "cczero": "CC0-1.0",
    "gpl3": "GPL-3.0-only",
    "odcby": "ODC-By-1.0",
    "odbl": "ODbL-1.0",
    "pddl": "PDDL-1.0",
}
_CC0 = re.compile(r"(?:cc[\s-]*(?:0|zero)|creativecommons\.org/publicdomain/zero)(?:$|[\s/-]*(?:v?1\.0|universal).*)")
_PUBLIC_DOMAIN_MARK = re.compile(r"creativecommons\.org/publicdomain/mark/1\.0")
_CC_PARTS = {"by": "BY", "attribution": "BY", "nc": "NC", "noncommercial": "NC", "sa": "SA", "sharealike": "SA",
             "nd": "ND", "noderivs": "ND", "noderivatives": "ND"}  # fmt: skip
_CC_ALLOWED = ("BY", "BY-SA", "BY-ND", "BY-NC", "BY-NC-SA", "BY-NC-ND")
_CC_VERSION = re.compile(r"(?<![\d.])(?:[1-4]\.0|2\.5)(?![\d.])")
_CC = re.compile(r"^(?:cc\b|creative\s*commons\b|(?:https?://)?(?:www\.)?creativecommons\.org/licenses/)")
_CC_NOISE = {"cc", "creative", "commons", "license", "licence", "international", "unported", "generic", "the", "v",
             "http", "https", "www", "creativecommons", "org", "licenses", "deed", "en", "legalcode"}  # fmt: skip
_KNOWN = {re.sub(r"[^a-z0-9]", "", spdx.lower()): spdx for spdx in _SPDX} | _OTHER_SPELLINGS
_LICENSE_REF = re.compile(r"LicenseRef-[A-Za-z0-9.-]+")


@lru_cache(maxsize=4096)
def spdx_license(stated: str | None) -> str:
    """The SPDX identifier of a licence as stated; `unknown` where none is stated or it is not recognised.

    Creative Commons without a version becomes `LicenseRef-CC-BY-NC` and so on: which version holds is not ours
    to guess. `LicenseRef-` names pass through.
    """
    text = (stated or "").strip()
    if not text:
        return UNKNOWN_LICENSE
    if _LICENSE_REF.fullmatch(text):
        return text
    lowered = text.lower()
    if _CC0.search(lowered):
        return "CC0-1.0"
    if _PUBLIC_DOMAIN_MARK.search(lowered):
        return "CC-PDM-1.0"
    if _CC.match(lowered.replace("_", "-")):
        return _creative_commons(lowered)
    return _KNOWN.get(re.sub(r"[^a-z0-9]", "", lowered), UNKNOWN_LICENSE)


def _creative_commons(lowered: str) -> str:
    version = _CC_VERSION.search(lowered)
    words = re.findall(
        r"[a-z]+", lowered.replace("non-commercial", "noncommercial").replace("share-alike", "sharealike")
    )
    parts = [_CC_PARTS[word] for word in words if word in _CC_PARTS]
    others = [word for word in words if word not in _CC_PARTS and word not in _CC_NOISE]
    kind = "-".join(sorted(set(parts), key=("BY", "NC", "SA", "ND").index))
    if kind not in _CC_ALLOWED or others:
        return UNKNOWN_LICENSE
    return f"CC-{kind}-{version.group()}" if version else f"LicenseRef-CC-{kind}"
