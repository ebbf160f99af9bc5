"""Decontamination: what of an eval set is in the data, how, and on what evidence."""
