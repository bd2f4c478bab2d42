"""Exports small objects with special frames: enhanced objects stored out of order, ultrasound regions, whole-slide images.

    python tests/oracle/objects.py        (needs numpy, pydicom, pillow)

Writes tests/fixtures/media/objects/NAME.dcm. The expected result is described at each object, and in the tests that read them.
"""

import pathlib

import numpy as np
from dicom_rules import color, grey
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian

OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "media" / "objects"


def item(**values):
    data = Dataset()
    for key, value in values.items():
        setattr(data, key, value)
    return data


def dimensions(*pointers):
    return [item(DimensionIndexPointer=Tag(pointer)) for pointer in pointers]


def out_of_order():
    """Five sections at z = 30, 0, 40, 20 and 10 mm; all values of a frame are 50 z + 200. The right order is 1 4 3 0 2."""
    places = [30, 0, 40, 20, 10]
    pixels = np.stack([np.full((4, 4), 50 * z + 200, "<u2") for z in places])
    data = grey(pixels, frames=5)
    data.SharedFunctionalGroupsSequence = [
        item(PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])])
    ]
    data.PerFrameFunctionalGroupsSequence = [
        item(
            FrameContentSequence=[item(StackID="1", InStackPositionNumber=z // 10 + 1)],
            PlanePositionSequence=[item(ImagePositionPatient=[-8, -8, z])],
        )
        for z in places
    ]
    return data


def time_points():
    """Two time points of three sections, distinguished by In-Stack Position Number only and stored section by section. The right
    order is time point by time point: 5 1 3 4 0 2."""
    stored = [(2, 2), (2, 1), (3, 2), (3, 1), (1, 2), (1, 1)]  # section, time
    pixels = np.stack([np.full((2, 2), 10 * time + section, "<u2") for section, time in stored])
    data = grey(pixels, frames=6, syntax=ImplicitVRLittleEndian)
    data.DimensionIndexSequence = dimensions("StackID", "InStackPositionNumber", "TemporalPositionIndex")
    data.PerFrameFunctionalGroupsSequence = [
        item(
            FrameContentSequence=[
                item(StackID="A", InStackPositionNumber=section, DimensionIndexValues=[1, section, time])
            ]
        )
        for section, time in stored
    ]
    data.SharedFunctionalGroupsSequence = [Dataset()]
    return data


def region(left, top, right, bottom, units, deltas, space):
    return item(
        RegionSpatialFormat=space,
        RegionDataType=1 if space == 1 else 3,
        RegionFlags=0,
        RegionLocationMinX0=left,
        RegionLocationMinY0=top,
        RegionLocationMaxX1=right,
        RegionLocationMaxY1=bottom,
        PhysicalUnitsXDirection=units[0],
        PhysicalUnitsYDirection=units[1],
        PhysicalDeltaX=deltas[0],
        PhysicalDeltaY=deltas[1],
    )


def doppler():
    """A 2D image of 0.5 mm per pixel, and a curve of speed over time that covers its middle."""
    data = grey(np.tile(np.arange(40, dtype="u1") * 6, (30, 1)))
    data.Modality = "US"
    data.SequenceOfUltrasoundRegions = [
        region(0, 12, 39, 29, (4, 7), (0.01, -1.5), 3),
        region(4, 0, 35, 11, (3, 3), (0.05, 0.05), 1),
    ]
    return data


def tiles(pixel, size, side, planes):
    """RGB tiles row by row and plane by plane; pixels beyond the edge of the image are black."""
    columns, rows = (-(-length // side) for length in size)
    for plane in range(planes):
        for row in range(rows):
            for column in range(columns):
                tile = np.zeros((side, side, 3), "u1")
                for y in range(min(side, size[1] - row * side)):
                    for x in range(min(side, size[0] - column * side)):
                        tile[y, x] = pixel(column * side + x, row * side + y, plane)
                yield plane, column * side, row * side, tile


def slide(frames, size, organization):
    frames = np.stack(frames)
    data = color(frames[0])
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.6"
    data.Modality = "SM"
    data.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.3"
    data.ImageType = ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED"]
    data.NumberOfFrames = len(frames)
    data.DimensionOrganizationType = organization
    data.TotalPixelMatrixColumns, data.TotalPixelMatrixRows = size
    data.SharedFunctionalGroupsSequence = [
        item(PixelMeasuresSequence=[item(PixelSpacing=[0.001, 0.001], SliceThickness=0.004)])
    ]
    data.PixelData = frames.tobytes()
    return data


def place(plane, x, y):
    """A colour whose red encodes the column, green the row, and blue the plane."""
    return x * 8, y * 8, plane * 50


def slide_full():
    """20 × 13 pixels in two focal planes, in tiles of 8 × 8."""
    frames = [tile for *_, tile in tiles(lambda x, y, plane: place(plane, x, y), (20, 13), 8, 2)]
    return slide(frames, (20, 13), "TILED_FULL")


def slide_sparse():
    """As `slide_full`, but with two optical paths, out of order, without the last tile, and on a mid-grey background."""
    all_tiles = list(tiles(lambda x, y, plane: place(plane, x, y), (20, 13), 8, 2))
    kept = [tile for tile in all_tiles if tile[1:3] != (16, 8)]
    # The first optical path comes first, whatever else is shuffled.
    kept = [kept[at] for at in (4, 0, 9, 2, 7, 1, 5, 3, 8, 6)]
    data = slide([tile for *_, tile in kept], (20, 13), "TILED_SPARSE")
    data.RecommendedAbsentPixelCIELabValue = [32768, 32896, 32896]
    data.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSlideSequence=[
                item(
                    ColumnPositionInTotalImagePixelMatrix=x + 1,
                    RowPositionInTotalImagePixelMatrix=y + 1,
                    ZOffsetInSlideCoordinateSystem=0.0,
                )
            ],
            OpticalPathIdentificationSequence=[item(OpticalPathIdentifier=str(plane + 1))],
        )
        for plane, x, y, _ in kept
    ]
    return data


def slide_grey():
    """Fluorescence: a tile of value 1000 beside one of 3000."""
    data = grey(np.stack([np.full((4, 4), value, "<u2") for value in (1000, 3000)]), frames=2)
    data.DimensionOrganizationType = "TILED_FULL"
    data.TotalPixelMatrixColumns, data.TotalPixelMatrixRows = 8, 4
    return data


def main():
    OUT.mkdir(exist_ok=True)
    objects = {
        "enhanced_out_of_order": out_of_order(),
        "enhanced_time_points": time_points(),
        "ultrasound_doppler": doppler(),
        "slide_full": slide_full(),
        "slide_sparse": slide_sparse(),
        "slide_grey": slide_grey(),
    }
    for name, data in objects.items():
        data.save_as(OUT / f"{name}.dcm", enforce_file_format=False)


if __name__ == "__main__":
    main()
