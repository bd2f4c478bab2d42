"""Decode speed of the main transfer syntaxes, beside pydicom's on the same files in the same run.

    python tests/oracle/decode_speed.py [BENCH]     (needs numpy, pydicom, pylibjpeg with its parts, gdcm, imagecodecs)

BENCH is the built tests/benches/decode.rs; without it `cargo bench --bench decode` builds and runs it. A CT-like
picture of 1024 × 1024 × 16 bit and a photograph-like one of 1024 × 1024 × RGB are written under each syntax to a folder
of their own. Speed is decoded bytes by the best time of many runs, the file being open and parsed on both sides.
"""

import io
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import imagecodecs
import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from media import deflated, scene  # noqa: E402

SIDE = 1024


def dicom(path, syntax, array, coded):
    from dicom_rules import blank

    data = blank(f"1.2.840.10008.1.2.{syntax}")
    data.Rows, data.Columns = array.shape[:2]
    data.SamplesPerPixel = 3 if array.ndim == 3 else 1
    data.PhotometricInterpretation = "RGB" if array.ndim == 3 else "MONOCHROME2"
    if array.ndim == 3:
        data.PlanarConfiguration = 0
        if syntax == "4.50":
            data.PhotometricInterpretation = "YBR_FULL_422"
    data.BitsAllocated = data.BitsStored = array.dtype.itemsize * 8
    if syntax == "4.51":
        data.BitsStored = 12
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, 0
    if syntax in ("1", "2"):
        data.PixelData = coded
    else:
        data.PixelData = encapsulate([coded])
        data["PixelData"].is_undefined_length = True
    data["PixelData"].VR = "OB" if array.dtype.itemsize == 1 else "OW"
    data.save_as(path, implicit_vr=False, little_endian=syntax != "2", force_encoding=True)


def pictures(folder):
    rng = np.random.default_rng(5)
    smooth = np.asarray(scene(SIDE, SIDE).convert("L")).astype(np.float64)
    grey = (smooth * 12 + rng.normal(0, 8, smooth.shape) + 200).clip(0, 4095).astype(np.uint16)
    color = np.asarray(scene(SIDE, SIDE))
    for kind, array in (("grey16", grey), ("rgb8", color)):
        jpeg = io.BytesIO()
        Image.fromarray(color if kind == "rgb8" else (grey >> 4).astype(np.uint8)).save(jpeg, "JPEG", quality=90)
        rle = imagecodecs_rle(array)
        coded = {
            "1": array.tobytes(),
            "2": array.astype(array.dtype.newbyteorder(">")).tobytes(),
            "8.1": deflated(array.tobytes()),
            "4.70": imagecodecs.ljpeg_encode(array) if kind == "grey16" else None,
            "4.80": imagecodecs.jpegls_encode(array),
            "4.90": imagecodecs.jpeg2k_encode(array, level=0, codecformat="j2k", reversible=True),
            "4.91": imagecodecs.jpeg2k_encode(array, level=60, codecformat="j2k", reversible=False),
            "4.201": imagecodecs.htj2k_encode(array, reversible=True),
            "4.110": imagecodecs.jpegxl_encode(array, lossless=True),
            "4.51": imagecodecs.jpeg_encode(array, level=90, bitspersample=12) if kind == "grey16" else None,
            "5": rle,
            "4.50": jpeg.getvalue(),
        }
        for syntax, stream in coded.items():
            if stream is None:
                continue
            stream += b"\0" * (len(stream) % 2)
            shape = (grey >> 4).astype(np.uint8) if (kind, syntax) == ("grey16", "4.50") else array
            dicom(folder / f"{kind}_{syntax}.dcm", syntax, shape, stream)


def imagecodecs_rle(array):
    from pydicom.pixels.encoders import RLELosslessEncoder

    return RLELosslessEncoder.encode(
        array.tobytes(), rows=SIDE, columns=SIDE, samples_per_pixel=array.shape[2] if array.ndim == 3 else 1,
        number_of_frames=1, bits_allocated=array.dtype.itemsize * 8, bits_stored=array.dtype.itemsize * 8,
        pixel_representation=0, planar_configuration=0, photometric_interpretation="RGB" if array.ndim == 3 else "MONOCHROME2",
        encoding_plugin="pylibjpeg")


def reference(path):
    """The best of pydicom's decoders that can."""
    best = {}
    data = dcmread(path)
    for plugin in ("", "pylibjpeg", "gdcm", "pyjpegls"):
        options = {"decoding_plugin": plugin} if plugin else {}
        taken, begun = [], time.perf_counter()
        try:
            while len(taken) < 3 or time.perf_counter() - begun < 0.7:
                start = time.perf_counter()
                pixel_array(data, raw=True, index=0, **options)
                taken.append(time.perf_counter() - start)
        except Exception:  # noqa: BLE001  a plugin that cannot is no result
            continue
        best[plugin or "pydicom"] = min(taken)
    return min(((seconds, name) for name, seconds in best.items()), default=(None, "none"))


def main():
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        pictures(folder)
        paths = sorted(folder.glob("*.dcm"))
        bench = sys.argv[1:] or ["cargo", "bench", "--quiet", "--bench", "decode", "--"]
        answer = subprocess.run([*bench, *map(str, paths)], capture_output=True, text=True, check=True).stdout
        print(f"{'file':<16}{'MB/s':>8}{'reference':>11}  by         times")
        for line in answer.splitlines():
            ours = json.loads(line)
            path = pathlib.Path(ours["path"])
            if "error" in ours:
                print(f"{path.stem:<16} {ours['error']}")
                continue
            size, (seconds, name) = ours["bytes"] / 1e6, reference(path)
            speed = size / ours["decode"]
            theirs = f"{size / seconds:>11.0f}" if seconds else f"{'-':>11}"
            times = f"{speed / (size / seconds):.2f}" if seconds else ""
            print(f"{path.stem:<16}{speed:>8.0f}{theirs}  {name:<10} {times}")


if __name__ == "__main__":
    main()
