"""Everything that is not a pixel: reading and writing Part 10, the attribute masker, pseudonyms, JSON and matching."""
