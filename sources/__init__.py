"""Corpora in: canonical tables, storage, catalogue cards, readers, pictures and DICOM."""
