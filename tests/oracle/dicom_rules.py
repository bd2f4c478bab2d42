"""Exports one small object for each rule of how DICOM pixels are displayed, with the expected image.

    python tests/oracle/dicom_rules.py        (needs numpy, pydicom, pylibjpeg with its libjpeg and openjpeg parts)

Writes tests/fixtures/media/rules/NAME.dcm and expected.json: for each frame of each object the displayed
8-bit samples. Stored values come from pydicom's decoder if it has one for the case, modality and VOI LUTs and palettes from
pydicom, the window functions directly from the formulas of PS3.3 C.11.2.
"""

import json
import pathlib

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.pixels import apply_color_lut, apply_modality_lut, convert_color_space
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "media" / "rules"
EXPECTED = {}


def blank(syntax=ExplicitVRLittleEndian):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = UID(syntax)
    data.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7")
    data.file_meta.MediaStorageSOPInstanceUID = UID("1.2.826.0.1.3680043.8.498.2")
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID
    data.Modality = "OT"
    data.preamble = b"\0" * 128
    return data


def grey(array, stored=None, high=None, photometric="MONOCHROME2", syntax=ExplicitVRLittleEndian, frames=1, **more):
    """An object of `array`: rows × columns, or frames × rows × columns."""
    data = blank(syntax)
    array = np.asarray(array)
    data.Rows, data.Columns = array.shape[-2:]
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = photometric
    data.BitsAllocated = array.dtype.itemsize * 8
    data.BitsStored = stored or data.BitsAllocated
    data.HighBit = data.BitsStored - 1 if high is None else high
    data.PixelRepresentation = int(array.dtype.kind == "i")
    if frames > 1:
        data.NumberOfFrames = frames
    for key, value in more.items():
        setattr(data, key, value)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    raw = array.astype(array.dtype.newbyteorder(order)).tobytes()
    data.PixelData = raw + b"\0" * (len(raw) % 2)
    data["PixelData"].VR = "OB" if data.BitsAllocated == 8 else "OW"
    return data


def color(array, photometric="RGB", planar=0, **more):
    data = blank()
    array = np.asarray(array)
    data.Rows, data.Columns = array.shape[:2]
    data.SamplesPerPixel = 3
    data.PhotometricInterpretation = photometric
    data.PlanarConfiguration = planar
    data.BitsAllocated = data.BitsStored = array.dtype.itemsize * 8
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = 0
    for key, value in more.items():
        setattr(data, key, value)
    raw = (np.moveaxis(array, -1, 0) if planar else array).tobytes()
    data.PixelData = raw + b"\0" * (len(raw) % 2)
    data["PixelData"].VR = "OB" if array.dtype.itemsize == 1 else "OW"
    return data


def window(x, center, width, function="LINEAR"):
    """PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2 with an output range of 0 to 255."""
    x = np.asarray(x, float)
    if function == "SIGMOID":
        return 255 / (1 + np.exp(-4 * (x - center) / width))
    if function == "LINEAR_EXACT":
        y = ((x - center) / width + 0.5) * 255
        return np.where(x <= center - width / 2, 0, np.where(x > center + width / 2, 255, y))
    if width == 1:
        return np.where(x <= center - 0.5, 0.0, 255.0)
    y = ((x - (center - 0.5)) / (width - 1) + 0.5) * 255
    low, high = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    return np.where(x <= low, 0, np.where(x > high, 255, y))


def minmax(x, padding=None):
    x = np.asarray(x, float)
    kept = x if padding is None else x[~padding]
    low, high = kept.min(), kept.max()
    return np.where(x <= low, 0, np.where(x > high, 255, (x - low) / max(high - low, 1e-30) * 255))


def eight(values, inverted=False):
    rounded = np.floor(np.clip(values, 0, 255) + 0.5).astype(int)
    return (255 - rounded if inverted else rounded).ravel().tolist()


def write(name, data, frames, **options):
    OUT.mkdir(parents=True, exist_ok=True)
    syntax = data.file_meta.TransferSyntaxUID
    little, implicit = syntax != ExplicitVRBigEndian, syntax == ImplicitVRLittleEndian
    data.save_as(OUT / f"{name}.dcm", implicit_vr=implicit, little_endian=little, force_encoding=True)
    EXPECTED[name] = [frame if isinstance(frame, list) else eight(frame, **options) for frame in frames]


def ramp(low, high, rows=6, columns=8, dtype=np.int16):
    return np.linspace(low, high, rows * columns).round().astype(dtype).reshape(rows, columns)


def windows():
    values = ramp(-1000, 2000)
    for function in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        data = grey(values, WindowCenter=40, WindowWidth=400, VOILUTFunction=function)
        write(f"window_{function.lower()}", data, [window(values, 40, 400, function)])
    data = grey(values, WindowCenter=[300, 40], WindowWidth=[1500, 400], WindowCenterWidthExplanation=["BONE", "SOFT"])
    write("window_several", data, [window(values, 300, 1500)])
    data = grey(values, WindowCenter=100, WindowWidth=1)
    write("window_of_one", data, [window(values, 100, 1)])
    data = grey(values, WindowCenter="40.5", WindowWidth="399.5", RescaleSlope="0.5", RescaleIntercept="-100")
    write("window_fractions", data, [window(values * 0.5 - 100, 40.5, 399.5)])
    data = grey(values, photometric="MONOCHROME1", WindowCenter=40, WindowWidth=400)
    write("window_monochrome1", data, [window(values, 40, 400)], inverted=True)
    data = grey(values, RescaleSlope="-2", RescaleIntercept="10", WindowCenter=0, WindowWidth=3000)
    write("slope_negative", data, [window(values * -2.0 + 10, 0, 3000)])


def cells():
    values = ramp(-2048, 2047)
    high = ((values.astype(np.int32) & 0xFFF) << 4).astype(np.uint16)
    data = grey(high, stored=12, high=15, PixelRepresentation=1)
    write("high_bit_at_the_top", data, [minmax(values)])
    middle = ((values.astype(np.int32) & 0xFFF) << 2 | 0x8001).astype(np.uint16)
    data = grey(middle, stored=12, high=13, PixelRepresentation=1)
    write("value_in_the_middle", data, [minmax(values)])
    data = grey((values.astype(np.int32) & 0xFFF).astype(np.uint16), stored=12, high=11, PixelRepresentation=1)
    write("sign_not_extended", data, [minmax(values)])
    small = ramp(-100, 100, dtype=np.int8)
    write("signed_8", grey(small), [minmax(small)])
    wide = ramp(-2_000_000_000, 2_000_000_000, dtype=np.int32)
    write("signed_32", grey(wide), [minmax(wide)])
    write("unsigned_32_big_endian", grey(wide.astype(np.int64).clip(0).astype(np.uint32), syntax=ExplicitVRBigEndian),
          [minmax(wide.clip(0))])
    odd = ramp(0, 255, rows=3, columns=5, dtype=np.uint8)
    data = grey(odd, syntax=ExplicitVRBigEndian)
    swapped = np.frombuffer(data.PixelData, np.uint8).reshape(-1, 2)[:, ::-1].tobytes()
    data.PixelData = swapped
    data["PixelData"].VR = "OW"
    write("words_of_bytes_big_endian", data, [minmax(odd)])
    for width in (10, 12):
        frames = np.stack([ramp(0, 2**width - 1, 5, 7, np.uint16), ramp(2**width - 1, 0, 5, 7, np.uint16)])
        data = grey(frames, stored=width, frames=2)
        data.BitsAllocated = width
        # Each cell begins at the bit where the one before it ended (PS3.5-2004 8.1.1).
        stream = np.concatenate([(frames.reshape(-1, 1) >> np.arange(width)) & 1], -1).astype(np.uint8).ravel()
        raw = np.packbits(stream, bitorder="little").tobytes()
        data.PixelData = raw + b"\0" * (len(raw) % 2)
        write(f"packed_{width}", data, [minmax(frame) for frame in frames])
    bits = (np.arange(3 * 5 * 7) * 7 % 3 == 0).reshape(3, 5, 7)
    data = grey(bits.astype(np.uint8), frames=3)
    data.BitsAllocated = data.BitsStored = 1
    data.HighBit = 0
    raw = np.packbits(bits.ravel(), bitorder="little").tobytes()
    data.PixelData = raw + b"\0" * (len(raw) % 2)
    write("bits", data, [minmax(frame) for frame in bits])


def reals():
    values = np.linspace(-0.2, 1.1, 48).reshape(6, 8)
    for name, keyword, dtype in (("float", "FloatPixelData", np.float32), ("double", "DoubleFloatPixelData", np.float64)):
        data = grey(np.zeros((6, 8), np.uint16))
        del data.PixelData
        data.BitsAllocated = dtype().itemsize * 8
        for key in ("BitsStored", "HighBit", "PixelRepresentation"):
            delattr(data, key)
        padded = values.astype(dtype)
        padded[0, 0] = -9999
        setattr(data, keyword, padded.tobytes())
        setattr(data, "FloatPixelPaddingValue" if name == "float" else "DoubleFloatPixelPaddingValue", -9999.0)
        write(name, data, [minmax(padded.astype(float), padded == -9999)])
        data.WindowCenter, data.WindowWidth = "0.5", "1"
        write(f"{name}_window", data, [window(padded.astype(float), 0.5, 1, "LINEAR_EXACT")])


def padding():
    values = ramp(-500, 1500)
    values[0, :3] = -2000
    data = grey(values, PixelPaddingValue=-2000)
    data["PixelPaddingValue"].VR = "SS"
    write("padding", data, [minmax(values, values == -2000)])
    values[1, :3] = [-1990, -1980, -2000]
    data = grey(values, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1980)
    for key in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        data[key].VR = "SS"
    write("padding_range", data, [minmax(values, values <= -1980)])
    unsigned = (values + 2000).astype(np.uint16)
    data = grey(unsigned, PixelPaddingValue=0, photometric="MONOCHROME1", RescaleSlope="2", RescaleIntercept="-10")
    write("padding_monochrome1", data, [minmax(unsigned * 2.0 - 10, unsigned == 0)], inverted=True)


def lut(first, entries, bits, vr="US", explanation=None):
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item["LUTDescriptor"].VR = vr
    item.LUTData = np.asarray(entries, "<u2").tobytes()
    item["LUTData"].VR = "OW"
    item.ModalityLUTType = "OD"
    if explanation:
        item.LUTExplanation = explanation
    return item


def tables():
    values = ramp(0, 300, dtype=np.uint16)
    curve = (np.sqrt(np.arange(256) / 255) * 4095).round().astype(int)
    data = grey(values, VOILUTSequence=Sequence([lut(20, curve, 12, explanation="CURVE")]))
    data.VOILUTSequence[0].__delattr__("ModalityLUTType")
    looked_up = curve[np.clip(values.astype(int) - 20, 0, 255)]
    write("voi_lut", data, [looked_up / 4095 * 255])
    signed = ramp(-200, 200)
    data = grey(signed, VOILUTSequence=Sequence([lut(-100, curve, 12, "SS")]))
    write("voi_lut_signed", data, [curve[np.clip(signed.astype(int) + 100, 0, 255)] / 4095 * 255])
    data = grey(values, ModalityLUTSequence=Sequence([lut(0, curve[::-1], 16)]), WindowCenter=2000, WindowWidth=3000)
    write("modality_lut", data, [window(apply_modality_lut(values, data), 2000, 3000)])
    data = grey(values)
    item = lut(10, curve[:3], 8)
    item.LUTDescriptor = [256, 10, 8]
    packed = (curve // 16).astype(np.uint8)
    item.LUTData = packed.tobytes()
    data.VOILUTSequence = Sequence([item])
    write("voi_lut_packed", data, [packed[np.clip(values.astype(int) - 10, 0, 255)]])


def groups():
    frames = np.stack([ramp(0, 1000, dtype=np.uint16)] * 3)
    data = grey(frames, frames=3)
    shared, own = Dataset(), []
    transformation = Dataset()
    transformation.RescaleSlope, transformation.RescaleIntercept, transformation.RescaleType = "2", "-100", "HU"
    shared.PixelValueTransformationSequence = Sequence([transformation])
    for center in (500, 900, 1300):
        voi, group = Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth = [center, 1], [600, 2]
        group.FrameVOILUTSequence = Sequence([voi])
        own.append(group)
    other = Dataset()
    other.RescaleSlope, other.RescaleIntercept, other.RescaleType = "1", "0", "US"
    own[2].PixelValueTransformationSequence = Sequence([other])
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    data.PerFrameFunctionalGroupsSequence = Sequence(own)
    # What stands outside of the groups does not hold for frames that have their own.
    data.WindowCenter, data.WindowWidth = 10, 20
    slopes = ((2, -100, 500), (2, -100, 900), (1, 0, 1300))
    write("functional_groups", data, [window(frames[0] * float(a) + b, c, 600) for a, b, c in slopes])


def palettes():
    values = np.arange(48, dtype=np.uint8).reshape(6, 8)
    rng = np.random.default_rng(7)
    entries = np.sort(rng.integers(0, 65536, (3, 40)), -1)
    for name, bits, first in (("palette_16", 16, 4), ("palette_8", 8, 0)):
        data = grey(values, photometric="PALETTE COLOR")
        table = entries if bits == 16 else entries >> 8
        for channel, key in zip(table, ("Red", "Green", "Blue")):
            setattr(data, f"{key}PaletteColorLookupTableDescriptor", [40, first, bits])
            data[f"{key}PaletteColorLookupTableDescriptor"].VR = "US"
            raw = channel.astype("<u2").tobytes() if bits == 16 else channel.astype(np.uint8).tobytes()
            setattr(data, f"{key}PaletteColorLookupTableData", raw)
            data[f"{key}PaletteColorLookupTableData"].VR = "OW"
        rgb = apply_color_lut(values, data)
        write(name, data, [(rgb >> 8 if bits == 16 else rgb).astype(int).ravel().tolist()])
    data = grey(values, photometric="PALETTE COLOR")
    # A segment of values, one of a line, and both once more (PS3.3 C.7.9.2).
    segments = {"Red": [0, 4, 0, 5000, 9000, 12000, 1, 16, 60000], "Green": [0, 1, 65000, 1, 19, 0], "Blue": [0, 1, 0, 1, 19, 65535]}
    segments["Red"] += [2, 2, 0, 0]
    for key in segments:
        count = 40 if key == "Red" else 20
        setattr(data, f"{key}PaletteColorLookupTableDescriptor", [count, 0, 16])
        data[f"{key}PaletteColorLookupTableDescriptor"].VR = "US"
        setattr(data, f"Segmented{key}PaletteColorLookupTableData", np.asarray(segments[key], "<u2").tobytes())
        data[f"Segmented{key}PaletteColorLookupTableData"].VR = "OW"
    once = [0, 5000, 9000, 12000] + [round(12000 + 48000 / 16 * i) for i in range(1, 17)]
    red = np.asarray(once * 2)
    green = np.asarray([65000] + [round(65000 - 65000 / 19 * i) for i in range(1, 20)])
    blue = np.asarray([0] + [round(65535 / 19 * i) for i in range(1, 20)])
    looked_up = [table[np.clip(values.astype(int), 0, len(table) - 1)] >> 8 for table in (red, green, blue)]
    write("palette_segmented", data, [np.stack(looked_up, -1).ravel().tolist()])


def colors():
    rng = np.random.default_rng(3)
    rgb = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    ybr = convert_color_space(rgb, "RGB", "YBR_FULL")
    back = convert_color_space(ybr, "YBR_FULL", "RGB")
    for planar in (0, 1):
        write(f"ybr_full_planar_{planar}", color(ybr, "YBR_FULL", planar), [back.astype(int).ravel().tolist()])
    halved = ybr.copy()
    halved[:, 1::2, 1:] = halved[:, ::2, 1:]
    data = color(halved, "YBR_FULL_422")
    pairs = np.stack([halved[:, ::2, 0], halved[:, 1::2, 0], halved[:, ::2, 1], halved[:, ::2, 2]], -1)
    data.PixelData = pairs.tobytes()
    write("ybr_full_422", data, [convert_color_space(halved, "YBR_FULL", "RGB").astype(int).ravel().tolist()])
    deep = rng.integers(0, 65536, (6, 8, 3), dtype=np.uint16)
    write("rgb_16_planar", color(deep, planar=1), [(deep >> 8).astype(int).ravel().tolist()])
    twelve = (deep >> 4).astype(np.uint16)
    data = color((twelve << 4).astype(np.uint16))
    data.BitsStored, data.HighBit = 12, 15
    write("rgb_12_at_the_top", data, [(twelve >> 4).astype(int).ravel().tolist()])


def containers():
    frames = np.stack([ramp(0, 200 + 300 * n, dtype=np.uint16) for n in range(3)])
    expected = [minmax(frame) for frame in frames]
    data = grey(frames, frames=3)
    data.compress(RLELossless, encoding_plugin="pydicom")
    coded = [bytes(f) for f in __import__("pydicom").encaps.generate_frames(data.PixelData, number_of_frames=3)]
    write("rle_basic_table", data, expected)
    data.PixelData = encapsulate(coded, has_bot=False)
    write("rle_no_table", data, expected)
    data.PixelData, data.ExtendedOffsetTable, data.ExtendedOffsetTableLengths = encapsulate_extended(coded)
    write("rle_extended_table", data, expected)
    del data.ExtendedOffsetTable, data.ExtendedOffsetTableLengths
    # Two fragments a frame, found by the basic table.
    data.PixelData = encapsulate(coded, fragments_per_frame=2, has_bot=True)
    write("rle_fragments", data, expected)
    # Implicit value representations, and a value of undefined length in a private group.
    data = grey(frames, frames=3, syntax=ImplicitVRLittleEndian)
    item = Dataset()
    item.add_new(0x00111010, "LO", "inside")
    data.add_new(0x00110010, "LO", "PRIVATE")
    data.add_new(0x00111001, "SQ", Sequence([item]))
    data[0x00111001].is_undefined_length = True
    write("implicit", data, expected)


def main():
    for part in (windows, cells, reals, padding, tables, groups, palettes, colors, containers):
        part()
    lines = [f'"{name}": {json.dumps(frames, separators=(",", ":"))}' for name, frames in sorted(EXPECTED.items())]
    (OUT / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    for path in sorted(OUT.glob("*.dcm")):
        assert path.stem in EXPECTED and dcmread(path).Rows


if __name__ == "__main__":
    main()
