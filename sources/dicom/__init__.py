"""DICOM: headers of which only allow-listed facts leave, and frames as they are to be displayed."""

from typing import Any

from sources.dicom.facts import ALLOWED, caption_from, dicom_modality, header_facts

__all__ = ["ALLOWED", "caption_from", "codecs", "dicom_modality", "header_facts"]


def codecs() -> list[dict[str, Any]]:
    """Each transfer syntax by name (`syntax`) and the installed packages that decode it (`decoders`)."""
    from sources.dicom.decoders import decoders_by_syntax

    return [{"syntax": syntax, "decoders": list(packages)} for syntax, packages in decoders_by_syntax()]
