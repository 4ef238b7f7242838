"""Finds what a frame shows that could identify somebody: text drawn into the samples."""
