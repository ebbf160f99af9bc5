"""DICOM: headers of which only allow-listed facts leave, and frames as they are to be displayed."""

from sources.dicom.facts import ALLOWED, caption_from, dicom_modality, header_facts

__all__ = ["ALLOWED", "caption_from", "dicom_modality", "header_facts"]
