"""Compares the decoding speed of the main transfer syntaxes with pydicom's, on the same files in the same run.

    python tests/oracle/decode_speed.py [--rounds N] [OLD] [BENCH]
                                (needs numpy, pydicom, pylibjpeg with its parts, gdcm, imagecodecs)

BENCH is the built tests/benches/decode.rs; without it `cargo` builds it. OLD is the same bench built from an earlier
commit (`cargo build --release -p medivision-media --bench decode`; cargo prints the executable's path). A CT-like image of
1024 × 1024 × 16 bit and a photograph-like one of 1024 × 1024 × RGB are written in each syntax to a temporary folder. Speed is
decoded bytes divided by the best time of many runs, with the file already open and parsed on both sides.

In each round, each file is given to OLD, BENCH and the reference in turn, so that other load on the machine affects all of
them. Medians over the rounds are printed: speeds in MB/s, and the ratios within a round, BENCH ÷ OLD, BENCH ÷ reference and, for
uncompressed files, BENCH ÷ copying as many bytes in memory. The large image exceeds a processor's caches, so for it this ratio is
the share of memory bandwidth.
"""

import argparse
import io
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import zlib

import imagecodecs
import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import pixel_array

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from media import deflated, scene  # noqa: E402

SIDE = 1024
# What decodes for pydicom; "pydicom" is its own choice.
PLUGINS = ["pydicom", "pylibjpeg", "gdcm", "pyjpegls", "alone"]
# What pydicom cannot decode: the codec without it.
ALONE = {
    "1.2.840.10008.1.2.8.1": lambda stream: zlib.decompress(stream, wbits=-15),
    "1.2.840.10008.1.2.4.110": imagecodecs.jpegxl_decode,
}


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
    # 34 MB.
    large = rng.integers(0, 4096, (4 * SIDE, 4 * SIDE), np.uint16)
    dicom(folder / "large16_1.dcm", "1", large, large.tobytes())
    dicom(folder / "large16_2.dcm", "2", large, large.astype(">u2").tobytes())
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


def decoder(data, plugin):
    if plugin == "pydicom":
        return lambda: pixel_array(data, raw=True, index=0)
    if plugin != "alone":
        return lambda: pixel_array(data, raw=True, index=0, decoding_plugin=plugin)
    codec = ALONE.get(data.file_meta.TransferSyntaxUID)
    stream = get_frame(data.PixelData, 0, number_of_frames=1) if codec else b""
    return lambda: codec(stream)


def reference(path, plugins, duration):
    """The seconds that each of pydicom's decoders takes, for those that can decode the file."""
    best = {}
    data = dcmread(path)
    for plugin in plugins:
        decode = decoder(data, plugin)
        taken, begun = [], time.perf_counter()
        try:
            while len(taken) < 3 or time.perf_counter() - begun < duration:
                start = time.perf_counter()
                decode()
                taken.append(time.perf_counter() - start)
        except Exception:  # noqa: BLE001  a plugin that cannot is no result
            continue
        best[plugin] = min(taken)
    return best


def built():
    """Builds the bench of this checkout; returns its path."""
    command = ["cargo", "build", "--release", "-p", "medivision-media", "--bench", "decode", "--message-format", "json"]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    executables = [json.loads(line).get("executable") for line in output.splitlines()]
    return next(path for path in reversed(executables) if path)


def ours(bench, path, duration):
    command = [bench, "--seconds", str(duration), str(path)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def measure(path, old, bench, rounds, duration):
    """One line of the table."""
    plugins, answers = PLUGINS, []
    for _ in range(rounds):
        before = ours(old, path, duration) if old else None
        after = ours(bench, path, duration)
        theirs = reference(path, plugins, duration)
        plugins = list(theirs)
        answers.append((before, after, theirs))
    median = lambda values: statistics.median(values)  # noqa: E731
    errors = [answer["error"] for before, after, _ in answers for answer in (before, after) if answer and "error" in answer]
    if errors:
        return errors[0]
    size = answers[0][1]["bytes"] / 1e6
    cells = []
    if old:
        cells += [f"{median([size / before['decode'] for before, _, _ in answers]):>8.0f}"]
    cells += [f"{median([size / after['decode'] for _, after, _ in answers]):>8.0f}"]
    if old:
        cells += [f"{median([before['decode'] / after['decode'] for before, after, _ in answers]):>7.2f}"]
    share = median([after["copy"] / after["decode"] for _, after, _ in answers])
    cells += [f"{share:>7.2f}" if path.stem.endswith(("_1", "_2")) else f"{'':>7}"]
    if plugins:
        name = min(plugins, key=lambda plugin: median([theirs[plugin] for _, _, theirs in answers]))
        cells += [f"{median([size / theirs[name] for _, _, theirs in answers]):>10.0f}"]
        cells += [f"{median([theirs[name] / after['decode'] for _, after, theirs in answers]):>7.2f}  {name}"]
    return "".join(cells)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="for each measurement of a round")
    parser.add_argument("benches", nargs="*", metavar="BENCH")
    options = parser.parse_args()
    if len(options.benches) > 2:
        parser.error("two builds are compared, no more")
    bench = options.benches[-1] if options.benches else built()
    old = options.benches[0] if len(options.benches) == 2 else None
    titles = ["old", "new", "÷ old", "÷ copy"] if old else ["MB/s", "÷ copy"]
    widths = [8, 8, 7, 7] if old else [8, 7]
    titled = "".join(f"{title:>{width}}" for title, width in zip(titles, widths))
    print(f"{'file':<14}{titled}{'reference':>10}{'÷ ref':>7}  by")
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        pictures(folder)
        for path in sorted(folder.glob("*.dcm")):
            line = measure(path, old, bench, options.rounds, options.seconds)
            print(f"{path.stem:<14}{line}", flush=True)


if __name__ == "__main__":
    main()
