"""Exports a small study with objects that refer to its images, and the expected display of each.

    python tests/oracle/related.py        (needs numpy, pillow, pydicom)

Writes tests/fixtures/media/related/: three CT-like sections of 32 × 32 pixels (ct1.dcm to ct3.dcm), presentation states,
segmentations and a structure set for them, and NAME.png: a section as a presentation state displays it, the tint of a
segmentation (as RGBA), or the pixels that a contour encloses. All of it is computed here with numpy, directly from the formulas
of PS3.3 and PS3.4.
"""

import pathlib

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "media" / "related"
ROOT = "1.2.826.0.1.3680043.8.498.13."
STUDY, SERIES, SPACE = ROOT + "1", ROOT + "2", ROOT + "3"
CT, SEG, LABELS = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"
GREY, COLOR, PSEUDO, STRUCT = (f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("11.1", "11.2", "11.3", "481.3"))
SIZE = 32
# Pixels are not square, and rows do not begin at the origin of the patient.
ORIGIN, ORIENTATION, SPACING, THICKNESS = (-8.0, 12.0), [1, 0, 0, 0, 1, 0], (0.75, 0.5), 2.5


def blank(name, sop_class, modality, number, series=None):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = sop_class
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = instance(name)
    data.SpecificCharacterSet = "ISO_IR 192"
    data.StudyInstanceUID = STUDY
    data.SeriesInstanceUID = series or ROOT + f"9.{number}"
    data.Modality = modality
    data.SeriesNumber = number
    data.SyntheticData = "YES"
    data.PatientName, data.PatientID = "Phantom^Related", "PHANTOM-13"
    data.preamble = b"\0" * 128
    return data


def instance(name):
    return ROOT + "5." + str(sum(ord(c) * 31**i for i, c in enumerate(name)) % 10**9)


def write(name, data, implicit=False):
    OUT.mkdir(parents=True, exist_ok=True)
    if implicit:
        data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    data.save_as(OUT / f"{name}.dcm", implicit_vr=implicit, little_endian=True, force_encoding=True)


def item(**values):
    data = Dataset()
    for key, value in values.items():
        setattr(data, key, Sequence(value) if isinstance(value, list) and value and isinstance(value[0], Dataset) else value)
    return data


def refer(*names, frames=None):
    extra = {"ReferencedFrameNumber": frames} if frames else {}
    return [item(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID=instance(name), **extra) for name in names]


# ── images ────────────────────────────────────────────────────────────────────────────────────────────────────────

ROWS, COLUMNS = np.mgrid[0:SIZE, 0:SIZE]


def stored(section):
    """A bright disc on a gradient, in stored values of 12 bits."""
    disc = (ROWS - 15.5) ** 2 + (COLUMNS - 15.5) ** 2 <= (6 + 2 * section) ** 2
    return (400 + 20 * COLUMNS + 5 * ROWS + 900 * disc).astype(np.uint16)


def position(section):
    return [ORIGIN[0], ORIGIN[1], 10.0 + section * THICKNESS]


def image(section):
    data = blank(f"ct{section + 1}", CT, "CT", 1, SERIES)
    data.InstanceNumber = section + 1
    data.FrameOfReferenceUID = SPACE
    data.ImagePositionPatient, data.ImageOrientationPatient = position(section), ORIENTATION
    data.PixelSpacing, data.SliceThickness = list(SPACING), THICKNESS
    data.Rows = data.Columns = SIZE
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.RescaleSlope, data.RescaleIntercept = 1, -1024
    data.WindowCenter, data.WindowWidth = 40, 400
    data.PixelData = stored(section).tobytes()
    data["PixelData"].VR = "OW"
    return data


# ── presentation states ───────────────────────────────────────────────────────────────────────────────────────────


def eight(values):
    return np.floor(np.clip(values, 0, 255) + 0.5).astype(np.uint8)


def window(x, center, width):
    """PS3.3 C.11.2.1.2.1 with an output range of 0 to 255."""
    y = ((x - (center - 0.5)) / (width - 1) + 0.5) * 255
    low, high = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    return np.where(x <= low, 0, np.where(x > high, 255, y))


def state(name, sop_class, number, images, label, **values):
    data = blank(name, sop_class, "PR", number)
    data.ContentLabel, data.ContentDescription = label, f"made by an oracle: {name}"
    data.PresentationCreationDate, data.PresentationCreationTime = "20260131", "120000"
    data.ReferencedSeriesSequence = Sequence([item(SeriesInstanceUID=SERIES, **({"ReferencedImageSequence": refer(*images)} if images else {}))])
    for key, value in values.items():
        setattr(data, key, value)
    return data


def lab(l, a, b):
    return [round(v * 65535) for v in (l / 100, (a + 128) / 255, (b + 128) / 255)]


def annotated():
    """A state of the second section: a window, a rectangular and a circular shutter, texts and drawings."""
    text = item(
        BoundingBoxAnnotationUnits="PIXEL", AnchorPointAnnotationUnits="PIXEL", UnformattedTextValue="Nodule?\r\n5 mm",
        BoundingBoxTopLeftHandCorner=[20.0, 4.0], BoundingBoxBottomRightHandCorner=[30.0, 8.0],
        BoundingBoxTextHorizontalJustification="LEFT", AnchorPoint=[16.0, 16.0], AnchorPointVisibility="Y")
    graphics = [
        item(GraphicAnnotationUnits="PIXEL", GraphicDimensions=2, NumberOfGraphicPoints=3, GraphicData=[2.0, 2.0, 10.0, 2.0, 10.0, 6.5], GraphicType="POLYLINE", GraphicFilled="N"),
        item(GraphicAnnotationUnits="DISPLAY", GraphicDimensions=2, NumberOfGraphicPoints=2, GraphicData=[0.25, 0.5, 0.75, 0.5], GraphicType="POLYLINE", GraphicFilled="N"),
        item(GraphicAnnotationUnits="PIXEL", GraphicDimensions=2, NumberOfGraphicPoints=2, GraphicData=[16.0, 16.0, 20.0, 16.0], GraphicType="CIRCLE", GraphicFilled="N"),
        item(GraphicAnnotationUnits="PIXEL", GraphicDimensions=2, NumberOfGraphicPoints=4, GraphicData=[8.0, 16.0, 24.0, 16.0, 16.0, 12.0, 16.0, 20.0], GraphicType="ELLIPSE", GraphicFilled="N"),
        item(GraphicAnnotationUnits="PIXEL", GraphicDimensions=2, NumberOfGraphicPoints=1, GraphicData=[5.5, 25.5], GraphicType="POINT", GraphicFilled="N"),
    ]
    data = state("gsps", GREY, 11, ["ct2"], "READING", PresentationLUTShape="IDENTITY", RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
    data.SoftcopyVOILUTSequence = Sequence([item(ReferencedImageSequence=refer("ct2"), WindowCenter=300, WindowWidth=1200)])
    data.ShutterShape = ["RECTANGULAR", "CIRCULAR"]
    data.ShutterLeftVerticalEdge, data.ShutterRightVerticalEdge = 3, 30
    data.ShutterUpperHorizontalEdge, data.ShutterLowerHorizontalEdge = 2, 29
    data.CenterOfCircularShutter, data.RadiusOfCircularShutter = [15, 18], 14
    data.ShutterPresentationValue = 0x4000
    data.GraphicLayerSequence = Sequence([item(GraphicLayer="MARKS", GraphicLayerOrder=1, GraphicLayerRecommendedDisplayCIELabValue=lab(54.29, 80.81, 69.89))])
    data.GraphicAnnotationSequence = Sequence([item(ReferencedImageSequence=refer("ct2"), GraphicLayer="MARKS", TextObjectSequence=[text], GraphicObjectSequence=graphics)])
    data.DisplayedAreaSelectionSequence = Sequence([item(DisplayedAreaTopLeftHandCorner=[1, 1], DisplayedAreaBottomRightHandCorner=[SIZE, SIZE], PresentationSizeMode="SCALE TO FIT", PresentationPixelSpacing=list(SPACING))])
    write("gsps", data, implicit=True)
    grey = eight(window(stored(1) - 1024.0, 300, 1200))
    # The height of a pixel is 1.5 times its width.
    circle = np.hypot(COLUMNS + 1 - 18, (ROWS + 1 - 15) * SPACING[0] / SPACING[1]) <= 14
    rectangle = (COLUMNS + 1 >= 3) & (COLUMNS + 1 <= 30) & (ROWS + 1 >= 2) & (ROWS + 1 <= 29)
    png("gsps", np.where(circle & rectangle, grey, 0x40))


def turned():
    """A state of the whole series: rotated, mirrored, cropped, with a VOI LUT, inverted, with a polygonal shutter."""
    data = state("turned", GREY, 12, [], "TURNED", PresentationLUTShape="INVERSE")
    table = (np.arange(1024)[::-1] * 4 + 3).astype(np.uint16)
    lut = item(LUTDescriptor=[1024, 500, 12], LUTExplanation="falling")
    lut.add_new(0x00283006, "OW", table.tobytes())
    data.SoftcopyVOILUTSequence = Sequence([item(VOILUTSequence=[lut])])
    data.ImageRotation, data.ImageHorizontalFlip = 90, "Y"
    data.DisplayedAreaSelectionSequence = Sequence([item(DisplayedAreaTopLeftHandCorner=[5, 25], DisplayedAreaBottomRightHandCorner=[28, 8], PresentationSizeMode="MAGNIFY", PresentationPixelAspectRatio=[1, 1], PresentationPixelMagnificationRatio=2.0)])
    line = item(GraphicAnnotationUnits="DISPLAY", GraphicDimensions=2, NumberOfGraphicPoints=2, GraphicData=[0.0, 0.0, 1.0, 0.5], GraphicType="POLYLINE", GraphicFilled="N")
    data.GraphicAnnotationSequence = Sequence([item(GraphicLayer="A", GraphicObjectSequence=[line])])
    data.GraphicLayerSequence = Sequence([item(GraphicLayer="A", GraphicLayerOrder=1, GraphicLayerRecommendedDisplayGrayscaleValue=0x8000)])
    data.ShutterShape, data.VerticesOfThePolygonalShutter = "POLYGONAL", [1, 1, 1, 32, 32, 1]
    data.ShutterPresentationValue = 0
    write("turned", data)
    # No modality LUT in the state: stored values go into the table.
    looked = table[np.clip(stored(0).astype(int) - 500, 0, 1023)] / 4095 * 255
    png("turned", np.where(COLUMNS + ROWS + 2 <= 33, 255 - eight(looked), 0))


def pseudo():
    """A pseudo-colour state: a palette from blue to red over the full range of 12 bits."""
    data = state("pseudo", PSEUDO, 13, ["ct1"], "HOT")
    n = 64
    red, blue = (np.arange(n) * 1040).astype(np.uint16), (np.arange(n)[::-1] * 1040).astype(np.uint16)
    for name, table in (("Red", red), ("Green", np.zeros(n, np.uint16)), ("Blue", blue)):
        setattr(data, f"{name}PaletteColorLookupTableDescriptor", [n, 0, 16])
        data.add_new({"Red": 0x00281201, "Green": 0x00281202, "Blue": 0x00281203}[name], "OW", table.tobytes())
    data.RescaleSlope, data.RescaleIntercept, data.RescaleType = 1, -1024, "HU"
    write("pseudo", data)
    shade = eight(stored(0) / 4095 * 255).astype(int)
    at = (shade * (n - 1) + 127) // 255
    png("pseudo", np.dstack([red[at] >> 8, np.zeros_like(at), blue[at] >> 8]).astype(np.uint8))


def color():
    """A colour state: a bitmap shutter, and a text at its anchor. It does not define grey values."""
    data = state("color", COLOR, 14, ["ct3"], "COLOR")
    hidden = (ROWS < 4) | (COLUMNS >= 28)
    data.add_new(0x60020010, "US", SIZE)
    data.add_new(0x60020011, "US", SIZE)
    data.add_new(0x60020040, "CS", "G")
    data.add_new(0x60020050, "SS", [1, 1])
    data.add_new(0x60020100, "US", 1)
    data.add_new(0x60020102, "US", 0)
    data.add_new(0x60023000, "OW", np.packbits(hidden.ravel(), bitorder="little").tobytes())
    data.ShutterShape, data.ShutterOverlayGroup, data.ShutterPresentationColorCIELabValue = "BITMAP", 0x6002, lab(29.57, 68.30, -112.03)
    text = item(AnchorPointAnnotationUnits="PIXEL", UnformattedTextValue="anchored", AnchorPoint=[4.5, 20.0], AnchorPointVisibility="Y")
    data.GraphicAnnotationSequence = Sequence([item(GraphicLayer="A", TextObjectSequence=[text])])
    write("color", data)
    rgb = np.repeat(eight(window(stored(2) - 1024.0, 40, 400))[..., None], 3, axis=2)
    rgb[hidden] = (0, 0, 255)
    png("color", rgb)


# ── segmentations ─────────────────────────────────────────────────────────────────────────────────────────────────


def regions(section):
    """Two overlapping segments, a disc and a stripe."""
    disc = (ROWS - 15.5) ** 2 + (COLUMNS - 15.5) ** 2 <= (6 + 2 * section) ** 2
    stripe = (COLUMNS >= 14) & (COLUMNS < 20) & (ROWS >= 20 - 2 * section)
    return disc, stripe


ORANGE, GREEN = (230, 159, 0), (0, 255, 0)


def segmentation(name, sop_class, kind, number, series=ROOT + "9.21"):
    data = blank(name, sop_class, "SEG", number, series)
    data.ContentLabel, data.ContentDescription, data.ContentDate = "ORGANS", "disc and stripe", "20260131"
    data.SeriesDescription = "segments"
    data.FrameOfReferenceUID = SPACE
    data.SegmentationType = kind
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.Rows = data.Columns = SIZE
    data.SegmentSequence = Sequence([
        item(SegmentNumber=1, SegmentLabel="disc", SegmentAlgorithmType="MANUAL"),
        item(SegmentNumber=2, SegmentLabel="stripe", SegmentAlgorithmType="MANUAL", RecommendedDisplayCIELabValue=lab(87.82, -79.29, 80.99)),
    ])
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=ORIENTATION)],
        PixelMeasuresSequence=[item(PixelSpacing=list(SPACING), SliceThickness=THICKNESS)])
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    return data


def frame(segment, place, sources=()):
    group = item(PlanePositionSequence=[item(ImagePositionPatient=place)])
    if segment:
        group.SegmentIdentificationSequence = Sequence([item(ReferencedSegmentNumber=segment)])
    if sources:
        group.DerivationImageSequence = Sequence([item(SourceImageSequence=refer(*sources))])
    return group


def frames_of(data, groups, pixels, bits):
    data.NumberOfFrames = len(groups)
    data.PerFrameFunctionalGroupsSequence = Sequence(groups)
    data.BitsAllocated = data.BitsStored = bits
    data.HighBit = bits - 1
    data.PixelData = pixels + b"\0" * (len(pixels) % 2)
    data["PixelData"].VR = "OB"


def mixed(covers):
    """Blends the segments' colours in the order of their numbers, each with its share of the pixel as opacity."""
    out = np.zeros((SIZE, SIZE, 4), np.int64)
    for color, cover in covers:
        before, new = out[..., 3], cover.astype(np.int64)
        total = np.maximum(before + new, 1)
        for i in range(3):
            out[..., i] = np.where(new > 0, (out[..., i] * before + color[i] * new) // total, out[..., i])
        out[..., 3] = np.maximum(before, new)
    return out.astype(np.uint8)


def binary():
    data = segmentation("seg_binary", SEG, "BINARY", 21)
    data.ReferencedSeriesSequence = Sequence([item(SeriesInstanceUID=SERIES, ReferencedInstanceSequence=refer("ct1", "ct2", "ct3"))])
    groups, bits = [], []
    for segment in (1, 2):
        for section in range(3):
            groups.append(frame(segment, position(section), [f"ct{section + 1}"]))
            bits.append(regions(section)[segment - 1])
    frames_of(data, groups, np.packbits(np.array(bits).ravel(), bitorder="little").tobytes(), 1)
    write("seg_binary", data)
    for section in range(3):
        disc, stripe = regions(section)
        png(f"seg_binary.ct{section + 1}", mixed([(ORANGE, disc * 255), (GREEN, stripe * 255)]))


def fractional():
    """A fractional segmentation of the second section, related by position and Frame of Reference only; at most 100, half of a pixel."""
    data = segmentation("seg_fractional", SEG, "FRACTIONAL", 22, ROOT + "9.22")
    data.SegmentationFractionalType, data.MaximumFractionalValue = "OCCUPANCY", 100
    share = np.clip(100 - 8 * np.hypot(ROWS - 15.5, COLUMNS - 15.5), 0, 100).astype(np.uint8)
    place = position(1)
    place[2] += 0.8
    frames_of(data, [frame(1, place)], share.tobytes(), 8)
    write("seg_fractional", data)
    cover = np.floor(share / 100 * 255 + 0.5).astype(np.uint8)
    png("seg_fractional.ct2", mixed([(ORANGE, cover)]))


def labels():
    """A label map on a grid of its own: 16 × 24 pixels of 1 mm, rotated by 90° (rows run to the back)."""
    data = segmentation("seg_labels", LABELS, "LABELMAP", 23, ROOT + "9.23")
    data.Rows, data.Columns = 16, 24
    shared = data.SharedFunctionalGroupsSequence[0]
    orientation = [0, 1, 0, 1, 0, 0]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = orientation
    shared.PixelMeasuresSequence[0].PixelSpacing = [1.0, 1.0]
    rows, columns = np.mgrid[0:16, 0:24]
    values = np.where(columns < 6, 0, np.where(rows < 8, 1, 2)).astype(np.uint8)
    start = [ORIGIN[0] + 0.25, ORIGIN[1] + 0.5, position(2)[2]]
    frames_of(data, [frame(None, start, ["ct3"])], values.tobytes(), 8)
    data.PixelPaddingValue = 0
    write("seg_labels", data)
    x = ORIGIN[0] + COLUMNS * SPACING[1]
    y = ORIGIN[1] + ROWS * SPACING[0]
    # Rows of the segmentation lead along y, columns along x; the nearest of its pixels counts.
    column, row = np.floor(y - start[1] + 0.5).astype(int), np.floor(x - start[0] + 0.5).astype(int)
    inside = (column >= 0) & (column < 24) & (row >= 0) & (row < 16)
    label = np.where(inside, values[np.clip(row, 0, 15), np.clip(column, 0, 23)], 0)
    png("seg_labels.ct3", mixed([(ORANGE, (label == 1) * 255), (GREEN, (label == 2) * 255)]))


# ── structures ────────────────────────────────────────────────────────────────────────────────────────────────────


def patient(columns, rows, z):
    """PS3.3 equation C.7.6.2.1-1, for columns and rows whose centres are integers."""
    return np.dstack([ORIGIN[0] + columns * SPACING[1], ORIGIN[1] + rows * SPACING[0], np.full(len(columns), z)]).ravel()


def structures():
    data = blank("rtstruct", STRUCT, "RTSTRUCT", 31)
    data.StructureSetLabel, data.StructureSetName, data.StructureSetDate = "PLAN A", "of Phantom", "20260131"
    data.ReferencedFrameOfReferenceSequence = Sequence([item(FrameOfReferenceUID=SPACE, RTReferencedStudySequence=[item(
        ReferencedSOPInstanceUID=STUDY, RTReferencedSeriesSequence=[item(SeriesInstanceUID=SERIES, ContourImageSequence=refer("ct1", "ct2", "ct3"))])])])
    data.StructureSetROISequence = Sequence([
        item(ROINumber=1, ReferencedFrameOfReferenceUID=SPACE, ROIName="Bladder", ROIGenerationAlgorithm="MANUAL"),
        item(ROINumber=7, ReferencedFrameOfReferenceUID=SPACE, ROIName="Prostata Ärztin", ROIGenerationAlgorithm="MANUAL"),
    ])

    def contour(kind, points, image=None):
        extra = {"ContourImageSequence": refer(image)} if image else {}
        return item(ContourGeometricType=kind, NumberOfContourPoints=len(points) // 3, ContourData=[f"{v:.4f}" for v in points], **extra)

    square = (np.array([8.0, 22.0, 22.0, 8.0]), np.array([9.0, 9.0, 20.0, 20.0]))
    by_place = patient(np.array([4.0, 12.0, 8.0]), np.array([4.0, 4.0, 10.0]), position(2)[2] + 1.0)
    marks = patient(np.array([25.0, 27.0]), np.array([25.0, 28.0]), position(1)[2])
    data.ROIContourSequence = Sequence([
        item(ROIDisplayColor=[255, 0, 0], ReferencedROINumber=1, ContourSequence=[
            contour("CLOSED_PLANAR", patient(*square, position(1)[2]), "ct2"), contour("CLOSED_PLANAR", by_place)]),
        item(ReferencedROINumber=7, ContourSequence=[contour("POINT", marks, "ct2")]),
    ])
    write("rtstruct", data)
    columns, rows = square
    inside = (COLUMNS >= columns.min()) & (COLUMNS <= columns.max()) & (ROWS >= rows.min()) & (ROWS <= rows.max())
    png("rtstruct.ct2", (inside * 255).astype(np.uint8))


def png(name, array):
    OUT.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(array, np.uint8)).save(OUT / f"{name}.png", optimize=True)


if __name__ == "__main__":
    for section in range(3):
        write(f"ct{section + 1}", image(section))
    for make in (annotated, turned, pseudo, color, binary, fractional, labels, structures):
        make()
