"""Writes a synthetic CT series: a head of ellipsoids, to look at the planes of a volume and to measure how long they take.

    python tests/oracle/volume.py OUT [SECTIONS [SIDE]]        (needs numpy, pydicom)

Each voxel is 1 mm wide and 2 mm high for 60 sections of 256 x 256 pixels (the defaults), or in proportion.
"""

import pathlib
import sys

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UID

CT = UID("1.2.840.10008.5.1.4.1.1.2")
ROOT = "2.25.2026112716"
# Centre and half axes in parts of the volume's sides (x, y, z), Hounsfield units.
PARTS = [
    ((0.5, 0.5, 0.5), (0.40, 0.46, 0.47), 60),
    ((0.5, 0.5, 0.5), (0.38, 0.44, 0.45), 1000),
    ((0.5, 0.5, 0.5), (0.35, 0.41, 0.42), 35),
    ((0.44, 0.45, 0.52), (0.05, 0.14, 0.10), 8),
    ((0.56, 0.45, 0.52), (0.05, 0.14, 0.10), 8),
    ((0.66, 0.60, 0.45), (0.07, 0.07, 0.07), 75),
    ((0.5, 0.12, 0.30), (0.08, 0.06, 0.12), -950),
]


def main():
    out = pathlib.Path(sys.argv[1])
    sections, side = (int(text) for text in (sys.argv[2:] + ["60", "256"][len(sys.argv) - 2 :])[:2])
    out.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[0:side, 0:side] / side
    noise = np.random.default_rng(7)
    for number in range(sections):
        z = number / sections
        values = np.full((side, side), -1000.0)
        for (cx, cy, cz), (ax, ay, az), hounsfield in PARTS:
            inside = ((x - cx) / ax) ** 2 + ((y - cy) / ay) ** 2 + ((z - cz) / az) ** 2 < 1
            values[inside] = hounsfield
        values += noise.normal(0, 6, values.shape)
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CT, f"{ROOT}.3.{number + 1}"
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        section = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        section.SOPClassUID, section.SOPInstanceUID = CT, meta.MediaStorageSOPInstanceUID
        section.StudyInstanceUID, section.SeriesInstanceUID = f"{ROOT}.1", f"{ROOT}.2"
        section.Modality, section.SeriesDescription, section.BodyPartExamined = "CT", "SYNTHETIC", "HEAD"
        section.PatientName, section.PatientID, section.SeriesNumber = "SYNTHETIC", "SYNTHETIC", 1
        section.InstanceNumber = number + 1
        section.PixelSpacing = [256 / side, 256 / side]
        section.SliceThickness = 120 / sections
        section.ImagePositionPatient = [-128, -128, 120 * number / sections - 60]
        section.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        section.Rows = section.Columns = side
        section.SamplesPerPixel, section.PhotometricInterpretation = 1, "MONOCHROME2"
        section.BitsAllocated, section.BitsStored, section.HighBit, section.PixelRepresentation = 16, 16, 15, 1
        section.RescaleSlope, section.RescaleIntercept = 1, 0
        section.WindowCenter, section.WindowWidth = 40, 120
        section.PixelData = np.clip(np.rint(values), -1024, 3071).astype("<i2").tobytes()
        section.save_as(out / f"{number + 1:04}.dcm", enforce_file_format=True)


if __name__ == "__main__":
    main()
