"""Contexts for the tests of cleaned descriptions: made-up patients, one of them in a hospital of common words."""

from __future__ import annotations

from server.metadata.cleaning import CleaningContext, context_of
from server.metadata.elements import Element, Elements, in_order, string_element

NAME, PATIENT_ID, BIRTH_DATE = 0x00100010, 0x00100020, 0x00100030
UTF8 = string_element(0x00080005, "CS", "ISO_IR 192")


def film(name: str = "MUSTER^MAXIMA", patient_id: str = "MRN-0815", *more: Element) -> Elements:
    own = [UTF8, string_element(NAME, "PN", name), string_element(PATIENT_ID, "LO", patient_id)]
    return in_order([*own, string_element(BIRTH_DATE, "DA", "19600131"), *more])


def context(name: str = "MUSTER^MAXIMA", patient_id: str = "MRN-0815", *more: Element) -> CleaningContext:
    return context_of(film(name, patient_id, *more))


MUSTER = context()
ZHANG = context("Zhang^San=张^三=")
LIBRARY = context(
    "EXAMPLE^PATIENT",
    "CT-2023-0042",
    string_element(0x00080080, "LO", "Royal Chest Hospital"),
    string_element(0x00081040, "LO", "CHEST"),
    string_element(0x00101040, "LO", "12 LUNG ROW, HEADTOWN"),
    string_element(0x00080050, "SH", "120"),
    string_element(0x00101000, "LO", "HAND-FOOT", "T2", "AB-DOMEN", "VIEW-HAND"),
)
