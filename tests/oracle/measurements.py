"""Measures figures on a CT-like section, as a reference for `media::measure`.

    python tests/oracle/measurements.py        (needs pydicom; the section comes from related.py)

Writes tests/fixtures/media/measured/figures.json. The values are computed here in ways of their own: which pixels a figure
encloses by the angle that it subtends at their centres (for an ellipse: by the distances to its foci), sums with exact
fractions, the area of a polygon by triangles.
"""

import json
import math
import pathlib
from fractions import Fraction

import pydicom

MEDIA = pathlib.Path(__file__).parent.parent / "fixtures" / "media"
# Points are columns and rows from the outer corner of the first pixel. None lies on a pixel's centre, so that what is enclosed
# does not depend on a convention.
FIGURES = [
    ("length", [(3.25, 4.75), (19.5, 28.0)]),
    ("length", [(10.0, 2.0), (10.0, 30.0)]),
    ("angle", [(2.0, 2.0), (10.25, 12.0), (28.0, 9.5)]),
    ("angle", [(20.0, 5.0), (8.0, 5.0), (8.0, 21.0)]),
    ("ellipse", [(4.1, 6.3), (25.7, 22.9)]),
    ("ellipse", [(30.2, 30.3), (12.7, 20.1)]),
    ("ellipse", [(-5.3, -3.2), (9.4, 11.7)]),
    ("polygon", [(3.2, 3.1), (20.4, 6.7), (15.8, 27.3)]),
    ("polygon", [(2.3, 2.2), (29.7, 4.1), (16.2, 12.6), (28.4, 29.1), (4.9, 25.3)]),
    ("polygon", [(-4.4, 10.2), (40.1, 12.3), (36.2, 19.9), (-6.3, 20.6)]),
]


def encloses(kind, points, spot):
    if kind == "polygon":
        angle = 0.0
        for (x1, y1), (x2, y2) in zip(points, points[1:] + points[:1]):
            one = math.atan2(y1 - spot[1], x1 - spot[0])
            other = math.atan2(y2 - spot[1], x2 - spot[0])
            angle += (other - one + math.pi) % (2 * math.pi) - math.pi
        return abs(angle) > math.pi
    (x1, y1), (x2, y2) = points
    centre = ((x1 + x2) / 2, (y1 + y2) / 2)
    half = (abs(x2 - x1) / 2, abs(y2 - y1) / 2)
    focus = math.sqrt(abs(half[0] ** 2 - half[1] ** 2))
    along = (focus, 0.0) if half[0] >= half[1] else (0.0, focus)
    foci = [(centre[0] + s * along[0], centre[1] + s * along[1]) for s in (-1, 1)]
    return sum(math.dist(spot, point) for point in foci) <= 2 * max(half)


def area(kind, points):
    if kind == "ellipse":
        (x1, y1), (x2, y2) = points
        return math.pi * abs(x2 - x1) * abs(y2 - y1) / 4
    first, total = points[0], 0.0
    for one, other in zip(points[1:], points[2:]):
        a = (one[0] - first[0], one[1] - first[1])
        b = (other[0] - first[0], other[1] - first[1])
        total += (a[0] * b[1] - a[1] * b[0]) / 2
    return abs(total)


def measure(kind, points, section):
    down, across = (float(value) for value in section.PixelSpacing)
    mm = [(x * across, y * down) for x, y in points]
    if kind == "length":
        return {"length_mm": math.dist(*mm)}
    if kind == "angle":
        sides = [math.dist(mm[1], mm[0]), math.dist(mm[1], mm[2]), math.dist(mm[0], mm[2])]
        # The law of cosines.
        cosine = (sides[0] ** 2 + sides[1] ** 2 - sides[2] ** 2) / (2 * sides[0] * sides[1])
        return {"degrees": math.degrees(math.acos(cosine))}
    values = [
        Fraction(int(section.pixel_array[y, x])) * Fraction(section.RescaleSlope) + Fraction(section.RescaleIntercept)
        for y in range(section.Rows)
        for x in range(section.Columns)
        if encloses(kind, points, (x + 0.5, y + 0.5))
    ]
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    return {
        "area_mm2": area(kind, mm),
        "pixels": len(values),
        "mean": float(mean),
        "deviation": math.sqrt(variance),
        "min": float(min(values)),
        "max": float(max(values)),
    }


def main():
    section = pydicom.dcmread(MEDIA / "related" / "ct1.dcm")
    figures = [
        {"kind": kind, "points": points, **measure(kind, points, section)} for kind, points in FIGURES
    ]
    out = MEDIA / "measured" / "figures.json"
    lines = ",\n".join(" " + json.dumps(figure) for figure in figures)
    out.write_text(f"[\n{lines}\n]\n")


main()
