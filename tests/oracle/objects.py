"""Exports small objects whose frames belong together: enhanced ones stored out of order, regions of ultrasound, slides.

    python tests/oracle/objects.py        (needs numpy, pydicom, pillow)

Writes tests/fixtures/media/objects/NAME.dcm. What is right is said beside each object, and in the tests that read them.
"""

import pathlib

import numpy as np
from dicom_rules import grey
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
    """Five sections at z = 30, 0, 40, 20 and 10 mm; all values of a frame are 50 z + 200. Its order is 1 4 3 0 2."""
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
    """Two time points of three sections, which only In-Stack Position Number tells, section by section. Its order is time
    point by time point: 5 1 3 4 0 2."""
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
    """A 2D picture of half a millimetre a pixel above a curve of speed over time, which covers the middle."""
    data = grey(np.tile(np.arange(40, dtype="u1") * 6, (30, 1)))
    data.Modality = "US"
    data.SequenceOfUltrasoundRegions = [
        region(0, 12, 39, 29, (4, 7), (0.01, -1.5), 3),
        region(4, 0, 35, 11, (3, 3), (0.05, 0.05), 1),
    ]
    return data


def main():
    OUT.mkdir(exist_ok=True)
    objects = {
        "enhanced_out_of_order": out_of_order(),
        "enhanced_time_points": time_points(),
        "ultrasound_doppler": doppler(),
    }
    for name, data in objects.items():
        data.save_as(OUT / f"{name}.dcm", enforce_file_format=False)


if __name__ == "__main__":
    main()
