"""Safelight: a DICOMweb image server that develops every answer at the level the caller's role earns."""

__version__ = "0.1.0"
