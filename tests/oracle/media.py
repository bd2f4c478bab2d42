"""Exports small images and the reference's results for them, for the tests of `media`.

    python tests/oracle/media.py        (needs Pillow, numpy, pydicom and imagecodecs)

Each image NAME.jpg has a NAME.expected.png: Pillow's pixels with `exif_transpose` applied, converted to "RGB", or to "L" if the
file is grey. Damaged files have none.

The objects grey_*.dcm all contain the same image, and so do rgb_*.dcm, each in another lossless transfer syntax; all must be
displayed like grey_native.dcm and rgb_native.dcm.
"""

import io
import pathlib
import zlib

import imagecodecs
import numpy as np
from PIL import Image, ImageOps
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

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


def dicom(name, syntax, array, frames, signed, planar=0):
    """Writes an object; `frames` are its coded frames, or the bytes of native pixels."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = UID(syntax)
    data.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7")
    data.file_meta.MediaStorageSOPInstanceUID = UID("1.2.826.0.1.3680043.8.498.1")
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID
    data.Modality = "OT"
    data.Rows, data.Columns = array.shape[:2]
    data.SamplesPerPixel = 3 if array.ndim == 3 else 1
    data.PhotometricInterpretation = "RGB" if array.ndim == 3 else "MONOCHROME2"
    if array.ndim == 3:
        data.PlanarConfiguration = planar
    data.BitsAllocated = data.BitsStored = array.dtype.itemsize * 8
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(signed)
    if isinstance(frames, bytes):
        data.PixelData = frames + b"\0" * (len(frames) % 2)
    else:
        data.PixelData = encapsulate(frames)
        data["PixelData"].is_undefined_length = True
    data["PixelData"].VR = "OB" if array.dtype.itemsize == 1 else "OW"
    data.preamble = b"\0" * 128
    path = OUT / f"{name}.dcm"
    data.save_as(path, implicit_vr=False, little_endian=True, force_encoding=True)


def deflated(data):
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    coded = stream.compress(data) + stream.flush()
    return coded + b"\0" * (len(coded) % 2)


def lossless_objects():
    shades = np.asarray(scene(37, 29).convert("L")).astype(np.int16) * 23 - 2100
    unsigned = shades.view(np.uint16)
    plain = shades.tobytes()
    color = np.asarray(scene(37, 29))
    for kind, array, native in (("grey", unsigned, plain), ("rgb", color, color.tobytes())):
        signed = kind == "grey"

        def write(name, syntax, frames, planar=0):
            dicom(f"{kind}_{name}", f"1.2.840.10008.1.2.{syntax}", array, frames, signed, planar)

        write("native", "1", native)
        write("encapsulated", "1.98", [native])
        write("deflated_frame", "8.1", [deflated(native)])
        write("jpegls", "4.80", [imagecodecs.jpegls_encode(array)])
        # Two's complement is coded as it stands in the cells, with the sign told by the attributes alone, or as
        # signed numbers.
        write("jpeg2000", "4.90", [imagecodecs.jpeg2k_encode(array, level=0, codecformat="j2k", reversible=True)])
        write("htj2k", "4.201", [imagecodecs.htj2k_encode(array, reversible=True)])
        write("jpegxl", "4.110", [imagecodecs.jpegxl_encode(array, lossless=True)])
    dicom("grey_jpeg_lossless", "1.2.840.10008.1.2.4.57", unsigned, [imagecodecs.ljpeg_encode(unsigned)], True)
    signed = imagecodecs.jpeg2k_encode(shades, level=0, codecformat="j2k", reversible=True)
    dicom("grey_jpeg2000_signed", "1.2.840.10008.1.2.4.90", unsigned, [signed], True)
    planes = np.moveaxis(color, -1, 0).tobytes()
    dicom("rgb_planar", "1.2.840.10008.1.2.1", color, planes, False, planar=1)


# Of these, what libjpeg makes at a half, a quarter and an eighth.
SCALED = ["rgb_420_q75", "rgb_422_q75", "rgb_444_q95", "progressive_420", "grey", "cmyk", "size_17x9", "orientation_6"]


def scaled(name):
    for divisor in (2, 4, 8):
        with Image.open(OUT / f"{name}.jpg") as image:
            width, height = (-(-side // divisor) for side in image.size)
            decoder = image.tile[0]
            # What `Image.draft` does, which takes no such small pictures.
            image.tile = [decoder._replace(extents=(0, 0, width, height))]
            image._size = (width, height)
            image.decoderconfig = (divisor, 0)
            picture = ImageOps.exif_transpose(image)
        picture.convert("RGB").save(OUT / f"{name}.scale{divisor}.png", optimize=True)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    lossless_objects()
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
    for name in SCALED:
        scaled(name)
    (OUT / "truncated.jpg").write_bytes((OUT / "rgb_420_q75.jpg").read_bytes()[:-200])
    commented = jpeg("synthetic", scene(16, 16), quality=75, comment=b"SYNTHETIC phantom")
    assert b"SYNTHETIC" in commented


if __name__ == "__main__":
    main()
