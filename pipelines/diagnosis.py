"""What this installation can do, and what to install for what it cannot."""

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from packaging.requirements import Requirement

from filters.tokens import HARMONY, load_counter
from pipelines.engines.local import default_workers
from pipelines.plugins import listing
from sources.dicom import codecs

PROBE_TEXT = "No acute cardiopulmonary process (3.2 cm)."
PROBE_TOKENS = 13


def diagnose() -> dict[str, Any]:
    """Packages by extra, DICOM transfer syntaxes by what decodes them, the tokenizer, the machine."""
    packages = [_package(requirement, extra) for requirement, extra in _requirements()]
    tokenizer = _tokenizer()
    core = all(row["installed"] for row in packages if row["extra"] == "core")
    return {
        "ok": core and tokenizer["works"],
        "python": platform.python_version(),
        "packages": packages,
        "tokenizer": tokenizer,
        "dicom": codecs(),
        "steps": listing(),
        "machine": {
            "cores": default_workers(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "free_disk_bytes": shutil.disk_usage(".").free,
        },
    }


def _requirements() -> list[tuple[Requirement, str]]:
    try:
        wanted = requires("curate") or ()
    except PackageNotFoundError:
        return [(Requirement("curate"), "core")]  # run from a checkout that was not installed
    found = []
    for text in wanted:
        requirement = Requirement(text)
        marker = str(requirement.marker or "")
        extra = marker.split("extra ==")[1].strip().strip("\"'") if "extra ==" in marker else "core"
        found.append((requirement, extra))
    return found


def _package(requirement: Requirement, extra: str) -> dict[str, Any]:
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        installed = None
    how = "make setup" if extra == "core" else f"in the checkout: pip install '.[{extra}]'"
    return {
        "name": requirement.name,
        "extra": extra,
        "installed": installed,
        "wanted": str(requirement.specifier) or "any",
        "hint": None if installed else how,
    }


def _tokenizer() -> dict[str, Any]:
    """Whether the GPT-oss tokenizer counts a known text right, without a network."""
    count = load_counter(HARMONY)(PROBE_TEXT)
    return {"name": HARMONY, "works": count == PROBE_TOKENS}


def diagnosis_lines(found: dict[str, Any]) -> list[str]:
    """The answer for people."""
    machine = found["machine"]
    lines = [
        f"python {found['python']}, {machine['cores']} cores",
        f"{machine['memory_bytes'] / 2**30:.1f} GiB of memory, {machine['free_disk_bytes'] / 2**30:.1f} GiB free here",
    ]
    for row in found["packages"]:
        state = row["installed"] or f"MISSING ({row['hint']})"
        lines.append(f"  {row['extra']:<6} {row['name']:<22} {state}")
    lines.append(f"tokenizer {found['tokenizer']['name']}: {'works' if found['tokenizer']['works'] else 'BROKEN'}")
    for row in found["steps"]:
        lines.append(f"step {row['name']} of {row['distribution']} {row['version']}: {row['hint'] or 'works'}")
    decoded = [row for row in found["dicom"] if row["decoders"]]
    lines += [f"DICOM {row['syntax']:<95} {', '.join(row['decoders'])}" for row in decoded]
    lines.append(f"DICOM, quarantined: {', '.join(row['syntax'] for row in found['dicom'] if not row['decoders'])}")
    lines.append("everything a build needs is here" if found["ok"] else "a build would fail: see MISSING above")
    return lines
