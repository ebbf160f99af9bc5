"""What this installation can do, and what to install for what it cannot."""

import hashlib
import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from filters import efficientnet
from filters.tokens import HARMONY, load_counter
from filters.torch_file import WeightsError
from pipelines.engines.local import default_workers
from pipelines.plugins import listing
from sources.dicom import codecs
from sources.extras import install_extra

PROBE_TEXT = "No acute cardiopulmonary process (3.2 cm)."
PROBE_TOKENS = 13
AWS_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
                   "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")  # fmt: skip
COMPARE = "compare it with the model's page, then copy it into the recipe"
GOOGLE_DEFAULT = ".config/gcloud/application_default_credentials.json"
"""Where `gcloud auth application-default login` leaves them."""


def diagnose(biomedclip: Path | None = None) -> dict[str, Any]:
    """Packages by extra, weights of models, DICOM transfer syntaxes by what decodes them, the tokenizer, the machine.

    `biomedclip` is a directory with that model's files: their sha256 is what a recipe names. One that cannot be used is
    not `ok`, since a build that names it would fail.
    """
    packages = [_package(requirement, extra) for requirement, extra in _requirements()]
    tokenizer = _tokenizer()
    named = None if biomedclip is None else _biomedclip(biomedclip)
    core = all(row["installed"] for row in packages if row["extra"] == "core")
    return {
        "ok": core and tokenizer["works"] and (named is None or named["sha256"] is not None),
        "python": platform.python_version(),
        "packages": packages,
        "extras": {
            extra: all(row["installed"] for row in packages if row["extra"] == extra)
            for extra in dict.fromkeys(row["extra"] for row in packages)
        },
        "models": [_efficientnet(), *([] if named is None else [named])],
        "tokenizer": tokenizer,
        "dicom": codecs(),
        "steps": listing(),
        "credentials": credentials(),
        "machine": {
            "cores": default_workers(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "free_disk_bytes": shutil.disk_usage(".").free,
            "gpus": gpus(),
        },
    }


def _efficientnet() -> dict[str, Any]:
    """The weights that come in a package: known by their sha256."""
    told: dict[str, Any] = {"name": efficientnet.NETWORK, "sha256": None, "known": False}
    try:
        told["sha256"] = hashlib.sha256(efficientnet.weights_file().read_bytes()).hexdigest()
    except (WeightsError, OSError):
        return {**told, "hint": efficientnet.HINT}
    known = told["sha256"] == efficientnet.SHA256
    return {**told, "known": known, "hint": None if known else "not the weights this version was made for"}


def _biomedclip(directory: Path) -> dict[str, Any]:
    """The weights of a directory: nobody but its user knows which sha256 they should have."""
    from filters.biomedclip import weights_file
    from filters.model_files import file_sha256

    told: dict[str, Any] = {"name": "biomedclip", "sha256": None, "known": False}
    try:
        return {**told, "sha256": file_sha256(weights_file(directory)), "hint": COMPARE}
    except (WeightsError, OSError) as error:
        why = str(error) if isinstance(error, WeightsError) else "cannot be read"
        return {**told, "hint": f"MISSING ({why})"}


def gpus() -> int:
    """GPUs that the driver of their maker shows; none where CUDA_VISIBLE_DEVICES hides them all."""
    try:
        found = len(list(Path("/proc/driver/nvidia/gpus").iterdir()))
    except OSError:
        return 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return found if visible is None else min(found, len([name for name in visible.split(",") if name.strip()]))


def credentials() -> dict[str, bool]:
    """Whether there are any for object storage, by scheme; never which. Roles of a machine are not asked for."""
    home = Path.home()
    aws = any(os.environ.get(name) for name in AWS_CREDENTIALS) or (home / ".aws" / "credentials").is_file()
    google = "GOOGLE_APPLICATION_CREDENTIALS" in os.environ or (home / GOOGLE_DEFAULT).is_file()
    return {"s3": aws, "gs": google}


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
    how = "make setup" if extra == "core" else install_extra(extra)
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


def _found(there: bool) -> str:  # noqa: FBT001 - a fact to be told
    return "found" if there else "not found in environment or files"


def diagnosis_lines(found: dict[str, Any]) -> list[str]:
    """The answer for people."""
    machine = found["machine"]
    lines = [
        f"python {found['python']}, {machine['cores']} cores",
        f"{machine['memory_bytes'] / 2**30:.1f} GiB of memory, {machine['free_disk_bytes'] / 2**30:.1f} GiB free here",
        f"{machine['gpus']} GPUs visible",
        *(f"credentials for {scheme}:// {_found(there)}" for scheme, there in found["credentials"].items()),
    ]
    for row in found["packages"]:
        state = row["installed"] or f"MISSING ({row['hint']})"
        lines.append(f"  {row['extra']:<10} {row['name']:<32} {state}")
    there = ", ".join(f"{extra} {'complete' if whole else 'incomplete'}" for extra, whole in found["extras"].items())
    lines.append(f"extras: {there}")
    for row in found["models"]:
        state = " and ".join(part for part in (row["sha256"] and f"sha256 {row['sha256']}", row["hint"]) if part)
        lines.append(f"weights of {row['name']}: {state}")
    lines.append(f"tokenizer {found['tokenizer']['name']}: {'works' if found['tokenizer']['works'] else 'BROKEN'}")
    for row in found["steps"]:
        lines.append(f"step {row['name']} of {row['distribution']} {row['version']}: {row['hint'] or 'works'}")
    decoded = [row for row in found["dicom"] if row["decoders"]]
    lines += [f"DICOM {row['syntax']:<95} {', '.join(row['decoders'])}" for row in decoded]
    lines.append(f"DICOM, quarantined: {', '.join(row['syntax'] for row in found['dicom'] if not row['decoders'])}")
    lines.append("everything a build needs is here" if found["ok"] else "a build would fail: see MISSING above")
    return lines
