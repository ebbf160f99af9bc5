"""What the licences and the kinds of access of a mix oblige its users to.

A summary for people who decide, not legal advice: the licences themselves are what holds.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sources.schema import UNKNOWN_LICENSE


class Obligation(StrEnum):
    """What may be asked of a user, the strictest first."""

    CREDENTIALED = "credentialed access"
    UNKNOWN = "licence not known"
    GATED = "gated access"
    OWN_TERMS = "terms of its own"
    NO_DERIVATIVES = "no derivatives"
    NONCOMMERCIAL = "non-commercial"
    SHARE_ALIKE = "share alike"
    ATTRIBUTION = "attribution"
    NOTICE = "licence notice"


MEANING = {
    Obligation.CREDENTIALED: "only people with the source's own credentials and signed agreement may use it; it must "
    "not be passed on",
    Obligation.UNKNOWN: "no licence is stated, so nobody has given leave to copy or pass it on; ask the source",
    Obligation.GATED: "every user accepts the owner's terms at the source first; do not pass it on without them",
    Obligation.OWN_TERMS: "the licence is not a standard one, or its version is not stated; read the source's terms",
    Obligation.NO_DERIVATIVES: "may be passed on unchanged only",
    Obligation.NONCOMMERCIAL: "not for commercial use",
    Obligation.SHARE_ALIKE: "what is adapted from it and passed on carries the same licence",
    Obligation.ATTRIBUTION: "name the source and its licence, and say what was changed",
    Obligation.NOTICE: "keep the copyright and licence notice with copies",
}
_FREE = ("CC0-1.0", "CC-PDDC", "PDDL-1.0", "Unlicense")
_PERMISSIVE = ("MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "CDLA-Permissive-1.0", "CDLA-Permissive-2.0")
_COPYLEFT = ("CDLA-Sharing-1.0", "GPL-2.0-only", "GPL-3.0-only", "LGPL-3.0-only", "MPL-2.0")
_KNOWN = {
    **dict.fromkeys(_FREE, frozenset[Obligation]()),
    **dict.fromkeys(_PERMISSIVE, frozenset({Obligation.NOTICE})),
    **dict.fromkeys(_COPYLEFT, frozenset({Obligation.NOTICE, Obligation.SHARE_ALIKE})),
    "ODC-By-1.0": frozenset({Obligation.ATTRIBUTION}),
    "ODbL-1.0": frozenset({Obligation.ATTRIBUTION, Obligation.SHARE_ALIKE}),
    UNKNOWN_LICENSE: frozenset({Obligation.UNKNOWN}),
}
_RESTRICTIONS = frozenset({Obligation.NONCOMMERCIAL, Obligation.NO_DERIVATIVES})
_VERSION = re.compile(r"-\d+(\.\d+)?$")
_CC_PARTS = {"NC": Obligation.NONCOMMERCIAL, "ND": Obligation.NO_DERIVATIVES, "SA": Obligation.SHARE_ALIKE}
_ACCESS = {
    "credentialed": Obligation.CREDENTIALED,
    "gated": Obligation.GATED,
    "noncommercial": Obligation.NONCOMMERCIAL,
}


@dataclass(frozen=True)
class Terms:
    """The terms under which some samples of a source stand."""

    source: str
    license: str
    access: str
    samples: int


def license_obligations(license_id: str) -> frozenset[Obligation]:
    """What an SPDX identifier, a `LicenseRef-`, or `unknown` asks for."""
    if license_id in _KNOWN:
        return _KNOWN[license_id]
    parts = license_id.removeprefix("LicenseRef-").split("-")
    if parts[:2] != ["CC", "BY"]:
        return frozenset({Obligation.OWN_TERMS})
    own = {Obligation.OWN_TERMS} if license_id.startswith("LicenseRef-") else set()
    return frozenset({Obligation.ATTRIBUTION, *own, *(_CC_PARTS[part] for part in parts if part in _CC_PARTS)})


def obligations(terms: Terms) -> frozenset[Obligation]:
    """What the licence and the access of some samples ask for together."""
    found = license_obligations(terms.license)
    return found | {_ACCESS[terms.access]} if terms.access in _ACCESS else found


def combined(mix: Iterable[Terms]) -> dict[Obligation, list[Terms]]:
    """Every obligation that holds for the mix as a whole, the strictest first, and the terms it comes from."""
    mix = [terms for terms in mix if terms.samples]
    found = {wanted: [terms for terms in mix if wanted in obligations(terms)] for wanted in Obligation}
    return {wanted: terms for wanted, terms in found.items() if terms}


def contradictions(mix: Iterable[Terms]) -> list[str]:
    """Licences of the mix that ask for opposite things of one adaptation that uses both, as sentences."""
    licenses = sorted({terms.license for terms in mix if terms.samples})
    asked = {name: license_obligations(name) for name in licenses}
    sharing = [name for name in licenses if Obligation.SHARE_ALIKE in asked[name]]
    found = []
    if len({_VERSION.sub("", name) for name in sharing}) > 1:
        found.append(
            f"{_listed(sharing)} each ask that adaptations carry the same licence: one work adapted from all of them "
            "cannot carry every one."
        )
    for name in sharing:
        stricter = [other for other in licenses if (asked[other] & _RESTRICTIONS) - asked[name]]
        if stricter:
            found.append(
                f"{name} asks that adaptations may be used as freely as it may itself, which {_listed(stricter)} "
                "does not allow: do not adapt them into one work."
            )
    return found


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
