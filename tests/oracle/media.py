"""Exports small pictures and what Pillow makes of them, for the tests of `media`.

    python tests/oracle/media.py        (needs Pillow and numpy)

Each picture NAME.jpg or NAME.png comes with NAME.expected.png: Pillow's pixels, `exif_transpose` applied,
`convert("RGB")`, or "L" where the file is grey. Damaged files come without.
"""

import io
import pathlib

import numpy as np
from PIL import Image, ImageOps

OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "media"


def scene(width, height, seed=0):
    """Smooth shades, sharp edges, saturated colour and a little noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(float)
    r = 128 + 100 * np.sin(x / 9) * np.cos(y / 7)
    g = 255 * x / max(width - 1, 1)
    b = 255 * y / max(height - 1, 1)
    rgb = np.stack([r, g, b], -1)
    rgb[height // 4 : height // 2, width // 3 : width // 2] = [255, 0, 0]
    rgb[height // 2 :, : width // 5] = [0, 0, 255]
    rgb += rng.normal(0, 6, rgb.shape)
    return Image.fromarray(rgb.clip(0, 255).astype(np.uint8), "RGB")


def expected(data):
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    return picture if picture.mode == "L" else picture.convert("RGB")


def write(name, data):
    (OUT / name).write_bytes(data)
    expected(data).save(OUT / f"{name.rsplit('.', 1)[0]}.expected.png", optimize=True)


def jpeg(name, picture, **options):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", **options)
    write(f"{name}.jpg", buffer.getvalue())
    return buffer.getvalue()


def png(name, picture, **options):
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **options)
    write(f"{name}.png", buffer.getvalue())
    return buffer.getvalue()


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    picture = scene(61, 47)
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        name = subsampling.replace(":", "")
        for quality in (30, 75, 95):
            jpeg(f"rgb_{name}_q{quality}", picture, quality=quality, subsampling=subsampling)
        jpeg(f"progressive_{name}", picture, quality=80, subsampling=subsampling, progressive=True)
    jpeg("restart", picture, quality=80, restart_marker_blocks=3)
    jpeg("no_transform", picture, quality=85, keep_rgb=True)
    jpeg("grey", picture.convert("L"), quality=80)
    jpeg("grey_progressive", picture.convert("L"), quality=60, progressive=True)
    jpeg("cmyk", picture.convert("CMYK"), quality=85)
    for width, height in ((1, 1), (2, 3), (3, 2), (17, 9), (8, 33)):
        jpeg(f"size_{width}x{height}", scene(width, height), quality=90)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        jpeg(f"orientation_{orientation}", scene(20, 12), quality=95, exif=exif)
    (OUT / "truncated.jpg").write_bytes((OUT / "rgb_420_q75.jpg").read_bytes()[:-200])
    commented = jpeg("synthetic", scene(16, 16), quality=75, comment=b"SYNTHETIC phantom")
    assert b"SYNTHETIC" in commented


if __name__ == "__main__":
    main()
