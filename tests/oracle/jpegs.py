"""Writes JPEGs of 1 to 4 megapixels that cost as much as photographs to decode; for benchmarks, no test reads them.

    oracle/bin/python tests/oracle/jpegs.py OUT [--count 200]

Noise of several scales, shapes with hard edges, and grain: about as many bytes per pixel as photographs have at these qualities
(85 to 92), which determines the decoding time. Every third image is grey, the others are colour in 4:2:0. Image number n does
not depend on the count.
"""

import argparse
import pathlib

import numpy as np
from PIL import Image, ImageDraw

SIDES = [(4, 3), (3, 2), (1, 1), (3, 4), (16, 9)]


def clouds(dice, width, height, channels):
    """Smooth noise, stronger at larger scales as in natural images; [height, width, channels], centred at 0."""
    total = np.zeros((height, width, channels), np.float32)
    for cells, strength in ((4, 50), (24, 22), (120, 12)):
        for channel in range(channels):
            grid = Image.fromarray(dice.normal(0, strength, (cells, cells)).astype(np.float32))
            total[:, :, channel] += np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))
    return total


def shapes(dice, width, height, mode):
    image = Image.new(mode, (width, height), "grey")
    draw = ImageDraw.Draw(image)
    for _ in range(24):
        (x, y), (w, h) = dice.integers(0, (width, height)), dice.integers(8, (width // 3, height // 3))
        fill = tuple(int(v) for v in dice.integers(60, 196, len(image.getbands())))
        if dice.integers(2):
            draw.ellipse((x, y, x + w, y + h), fill=fill)
        else:
            draw.polygon([(x, y), (x + w, y + h // 3), (x + w // 2, y + h)], fill=fill)
    return image


def jpeg(number):
    """The image, and its quality."""
    dice = np.random.default_rng([32, number])
    across, down = SIDES[dice.integers(len(SIDES))]
    unit = (dice.uniform(1.05e6, 3.95e6) / (across * down)) ** 0.5
    width, height = round(across * unit), round(down * unit)
    mode = "L" if number % 3 == 2 else "RGB"
    drawn = np.atleast_3d(np.asarray(shapes(dice, width, height, mode), np.float32))
    grain = dice.standard_normal((height, width, 1), np.float32) * 6
    pixels = np.clip(drawn + clouds(dice, width, height, drawn.shape[2]) + grain, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels[:, :, 0] if mode == "L" else pixels), int(dice.integers(85, 93))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--count", type=int, default=200)
    chosen = arguments.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    for number in range(chosen.count):
        image, quality = jpeg(number)
        sampling = {} if image.mode == "L" else {"subsampling": "4:2:0"}
        image.save(chosen.out / f"{number:04}.jpg", quality=quality, **sampling)


if __name__ == "__main__":
    main()
