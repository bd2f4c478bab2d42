"""Test images from formulas, so that golden files need not contain them.

`tests/parity` has the same formulas; change both together.
"""

import numpy as np

# name, width, height, channels, pattern
PICTURES = [
    ("grey noise", 37, 53, 1, "noise"),
    ("colour noise", 64, 48, 3, "noise"),
    ("colour waves", 100, 75, 3, "waves"),
    ("grey squares", 33, 33, 1, "squares"),
    ("square already", 32, 32, 3, "noise"),
    ("one off", 31, 32, 3, "waves"),
    ("one pixel", 1, 1, 3, "noise"),
    ("tiny", 3, 5, 1, "noise"),
    ("very wide", 300, 20, 3, "noise"),
    ("very tall", 20, 300, 1, "waves"),
    ("large", 640, 427, 3, "squares"),
]


def picture(width, height, channels, pattern):
    """Bytes of the shape [height, width, channels]."""
    y, x, c = np.mgrid[0:height, 0:width, 0:channels].astype(np.uint32)
    if pattern == "noise":
        # A linear congruential generator's top byte, one step a sample.
        samples = np.empty(width * height * channels, np.uint8)
        state = 1
        for i in range(samples.size):
            state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
            samples[i] = state >> 24
        return samples.reshape(height, width, channels)
    if pattern == "waves":
        # Slow slopes that turn over at 256: smooth parts and hard edges.
        return ((x * (c + 3) + y * (5 - c)) & 255).astype(np.uint8)
    if pattern == "squares":
        on = ((x // 7 + y // 5 + c) & 1) == 1
        return np.where(on, 230 - 40 * c, 20 + 30 * c).astype(np.uint8)
    raise ValueError(pattern)
