"""Pixels: from the stored frame to the masked picture, in one shape, (rows, columns, samples)."""
