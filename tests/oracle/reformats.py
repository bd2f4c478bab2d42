"""Reformats a small stack with numpy, as a reference for `media::volume`.

    python tests/oracle/reformats.py        (needs numpy, pydicom; the sections come from related.py)

Writes tests/fixtures/media/reformatted/planes.json: for each plane the values as rows, and where its first pixel and its
directions lie in the patient, worked out from the coordinates of all voxels.
"""

import json
import pathlib

import numpy as np
import pydicom

MEDIA = pathlib.Path(__file__).parent.parent / "fixtures" / "media"
# To the right and down, in the patient's coordinates (x to the left, y to the back, z to the head).
SEEN = {"axial": ((0, +1), (1, +1)), "sagittal": ((1, +1), (2, -1)), "coronal": ((0, +1), (2, -1))}
PLANES = [
    ("sagittal", 0, None),
    ("sagittal", 17, None),
    ("coronal", 5, None),
    ("coronal", 31, None),
    ("axial", 1, None),
    ("sagittal", 10, ("maximum", 2.0)),
    ("coronal", 3, ("minimum", 3.0)),
    ("axial", 1, ("maximum", 100.0)),
    ("sagittal", 31, ("minimum", 2.5)),
]


def main():
    sections = [pydicom.dcmread(MEDIA / "related" / f"ct{n}.dcm") for n in (1, 2, 3)]
    sections.sort(key=lambda section: float(section.ImagePositionPatient[2]))
    values = np.stack([s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in sections])
    # Indexed by x, y, z in the patient: rows run along x, columns along y.
    volume = values.transpose(2, 1, 0)
    down, across = (float(v) for v in sections[0].PixelSpacing)
    heights = [float(s.ImagePositionPatient[2]) for s in sections]
    steps = [across, down, heights[1] - heights[0]]
    start = [float(v) for v in sections[0].ImagePositionPatient]
    planes = []
    for name, at, slab in PLANES:
        (right, way_right), (below, way_below) = SEEN[name]
        through = 3 - right - below
        count = volume.shape[through]
        take = 1 if slab is None else min(count, max(1, round(slab[1] / steps[through])))
        first = min(max(at - (take - 1) // 2, 0), count - take)
        part = np.take(volume, range(first, first + take), axis=through)
        flat = {None: lambda a: a.max(axis=through), "maximum": lambda a: a.max(axis=through), "minimum": lambda a: a.min(axis=through)}
        plane = flat[slab and slab[0]](part)
        # The axes that are left are in ascending order.
        if right < below:
            plane = plane.T
        plane = plane[::way_below, ::way_right]
        origin = list(start)
        origin[through] += at * steps[through]
        for axis, way in ((right, way_right), (below, way_below)):
            if way < 0:
                origin[axis] += (volume.shape[axis] - 1) * steps[axis]
        direction = lambda axis, way: [way if i == axis else 0 for i in range(3)]
        planes.append({
            "plane": name, "at": at, "slab": slab, "position": origin,
            "orientation": direction(right, way_right) + direction(below, way_below),
            "spacing": [steps[below], steps[right]],
            "rows": plane.astype(int).tolist(),
        })
    out = MEDIA / "reformatted" / "planes.json"
    out.parent.mkdir(exist_ok=True)
    lines = ",\n".join(" " + json.dumps(plane) for plane in planes)
    out.write_text(f"[\n{lines}\n]\n")


main()
