"""Checks that highdicom, dciodvfy (dicom3tools) and dsrdump (DCMTK) accept the structured reports that `export` writes.

    python tests/oracle/report.py [PROGRAM]      (needs highdicom, and dciodvfy and dsrdump on the path;
                                                  PROGRAM: target/debug/medivision-tui)

Classifies synthetic studies with the built-in model, writes a report per image and per study, with and without the patient's
identity, and compares what highdicom reads with the JSON lines of the same results, with known labels, imported as reviews, and with
measurements, put into the library as the interface stores them.
"""

import csv
import json
import os
import pathlib
import random
import sqlite3
import subprocess
import sys
import tempfile

import highdicom
import pydicom
from pydicom.sr.codedict import codes

program = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "target/debug/medivision-tui").resolve()
SCORE = highdicom.sr.CodedConcept("score", "99MVTUI", "Score, not calibrated")
PROBABILITY = highdicom.sr.CodedConcept("probability", "99MVTUI", "Probability, calibrated")

UNITS = {"millimetres": ("mm", "mm2"), "at_detector": ("mm", "mm2"), "pixels": ("{pixels}", "{pixels}2")}
STATISTICS = {
    "mean": codes.SCT.Mean,
    "deviation": codes.SCT.StandardDeviation,
    "min": codes.SCT.Minimum,
    "max": codes.SCT.Maximum,
}


def accepted_by_validators(file: pathlib.Path) -> None:
    verified = subprocess.run(["dciodvfy", file], capture_output=True, text=True, check=False)
    faults = [line for line in verified.stderr.splitlines() if line.startswith("Error")]
    assert verified.returncode == 0 and not faults, (file, faults)
    dumped = subprocess.run(["dsrdump", file], capture_output=True, text=True, check=False)
    # It checks no text in UTF-8.
    faults = [line for line in dumped.stderr.splitlines() if "ISO_IR 192" not in line]
    assert dumped.returncode == 0 and not faults, (file, faults)


def measure_something(rng: random.Random, unit: str | None) -> list[tuple[str, list, dict, str | None]]:
    """A figure of each kind, with values."""

    def points(count: int) -> list[list[float]]:
        return [[rng.randrange(100) + 0.5, rng.randrange(100) + 0.5] for _ in range(count)]

    in_unit = rng.choice(list(UNITS))

    def extent() -> dict:
        return {"value": rng.uniform(0.1, 5000), "unit": in_unit}

    def region() -> dict:
        values = {name: rng.uniform(-1000, 3000) for name in STATISTICS}
        return {"area": extent(), "statistics": {"pixels": rng.randrange(1, 5000), **values}}

    return [
        ("length", points(2), {"length": extent()}, None),
        ("angle", points(3), {"degrees": rng.uniform(0, 180)}, None),
        ("ellipse", [[10.5, 20.5], [50.5, rng.choice([40.5, 90.5])]], region(), unit),
        ("polygon", points(rng.randrange(3, 9)), region(), unit),
    ]


def same_measurement(group, roi, known: dict, frames: int) -> None:
    """Compares a group of a report with a measurement of the library. `roi`: the coordinates as highdicom reads them."""
    assert group.tracking_identifier == f"{known['kind']} {known['number']} by {known['author']}", group.tracking_identifier
    source = roi.ContentSequence[0].ReferencedSOPSequence[0]
    # Frames count from 1, and an object of one frame is referred to as a whole.
    frame = source.get("ReferencedFrameNumber")
    assert frame == (known["frame"] + 1 if frames > 1 else None), (frame, known["frame"], frames)
    points = known["points"]
    kind = "POLYLINE"
    if known["kind"] == "polygon":
        points = [*points, points[0]]
    if known["kind"] == "ellipse":
        kind, ((left, top), (right, bottom)) = "ELLIPSE", points
        across = [[left, (top + bottom) / 2], [right, (top + bottom) / 2]]
        down = [[(left + right) / 2, top], [(left + right) / 2, bottom]]
        points = across + down if right - left >= bottom - top else down + across
    # PS3.3 C.18.6.1.1: the upper left corner of the first pixel is 0\\0, as in the library.
    assert (roi.GraphicType, list(roi.GraphicData)) == (kind, [at for point in points for at in point]), (roi, points)
    expected = []
    if "length" in known:
        expected.append((codes.SCT.Length, None, known["length"]["value"], UNITS[known["length"]["unit"]][0]))
    if "degrees" in known:
        expected.append((codes.SCT.Angle, None, known["degrees"], "deg"))
    if "area" in known:
        expected.append((codes.SCT.Area, None, known["area"]["value"], UNITS[known["area"]["unit"]][1]))
    hounsfield = known["unit"] == "HU"
    name = codes.DCM.AttenuationCoefficient if hounsfield else highdicom.sr.CodedConcept("pixel-value", "99MVTUI", "Pixel value")
    unit = "[hnsf'U]" if hounsfield else "{%s}" % known["unit"] if known["unit"] else "1"
    for key, derivation in STATISTICS.items():
        if "statistics" in known:
            expected.append((name, derivation, known["statistics"][key], unit))
    numbers = group.get_measurements()
    assert len(numbers) == len(expected), (len(numbers), expected)
    for number, (name, derivation, value, unit) in zip(numbers, expected):
        assert number.name == name and number.derivation == derivation, (number.name, name)
        assert abs(number.value - value) <= 1e-9 * max(1, abs(value)) and number.unit.value == unit, (number.value, value, unit)
        at_detector = any(known.get(of, {}).get("unit") == "at_detector" for of in ("length", "area"))
        assert bool(number.method) == (at_detector and derivation is None)


def compare(report: highdicom.sr.ComprehensiveSR, lines: dict[str, list[dict]], of_image: dict[str, str]) -> int:
    """Compares the groups of a report with the results; returns how many there are."""
    groups = report.content.get_image_measurement_groups()
    devices = report.content.get_observer_contexts(observer_type=codes.DCM.Device)
    assert [device.observer_identifying_attributes.name for device in devices] == ["medivision-tui"]
    persons = 0
    for group in groups:
        image = group.source_images[0]
        if group.tracking_identifier.split()[0] in ("length", "angle"):
            path = of_image[image.referenced_sop_instance_uid]
            (known,) = [of for of in measured[path] if group.tracking_identifier.startswith(f"{of['kind']} ")]
            (roi,) = group.get_measurements()[0].referenced_coordinates
            same_measurement(group, roi, known, lines[path][0]["frames"])
            persons += 1
            continue
        if group.tracking_identifier.startswith("review by truth"):
            name = pathlib.Path(of_image[image.referenced_sop_instance_uid]).relative_to(folder / "studies")
            assert group.finding_type.value == truth[str(name)], (name, group.finding_type.value)
            reviewed.append(name)
            continue
        frame = image.referenced_frame_numbers
        results = lines[of_image[image.referenced_sop_instance_uid]]
        frame = frame[0] - 1 if frame else (0 if len(results) == 1 else None)
        (result,) = [result for result in results if result["frame"] == frame]
        found = group.finding_type.value if group.finding_type else None
        assert found == result["label"], (found, result["label"])
        scores = group.get_measurements(name=PROBABILITY if result["calibrated"] else SCORE)
        claimed = result["scores"] if result["decision"] != "rejected" else []
        assert len(scores) == len(claimed), (len(scores), len(claimed))
        for item, score in zip(scores, claimed):
            assert abs(item.value - score["probability"]) < 1e-10, (item.value, score)
    regions = report.content.get_planar_roi_measurement_groups()
    for group in regions:
        roi = group.roi
        path = of_image[roi.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID]
        (known,) = [of for of in measured[path] if group.tracking_identifier.startswith(f"{of['kind']} ")]
        same_measurement(group, roi, known, lines[path][0]["frames"])
        persons += 1
    compared.append(persons)
    return len(groups) + len(regions) - persons


with tempfile.TemporaryDirectory() as home:
    environment = {"HOME": home, "PATH": os.environ["PATH"]}
    folder = pathlib.Path(home)

    def run(*arguments: str, code: int = 0) -> str:
        done = subprocess.run([program, *arguments], cwd=home, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, (arguments, done.returncode, done.stderr)
        return done.stdout

    run("demo", "studies", "--write-only", "--count", "40", "--seed", "1")
    for other in [*folder.glob("studies/**/*.png"), *folder.glob("studies/**/*.jpg")]:
        other.unlink()
    run("classify", "studies", "--model", "demo", "--frames", "all")
    lines: dict[str, list[dict]] = {}
    reader = csv.DictReader(open(folder / "studies" / "truth.csv"))
    file, label = reader.fieldnames[:2]
    truth = {row[file]: row[label] for row in reader if (folder / "studies" / row[file]).exists()}
    with open(folder / "truth.csv", "w") as table:
        table.write("path,label\n" + "".join(f"studies/{name},{label}\n" for name, label in truth.items()))
    run("reviews", "import", "truth.csv", "--reviewer", "truth")
    reviewed = []
    for line in map(json.loads, run("export").splitlines()):
        lines.setdefault(line["path"], []).append(line)
    measured: dict[str, list[dict]] = {}
    compared: list[int] = []
    rng = random.Random(16)
    library = sqlite3.connect(folder / ".local/share/medivision-tui/library.sqlite3")
    for path, results in lines.items():
        frame = results[0]["frames"] - 1
        (content,) = library.execute("SELECT content FROM files WHERE path = ?", [path.encode()]).fetchone()
        for number, (kind, points, values, unit) in enumerate(measure_something(rng, rng.choice(["HU", "BQML", None])), 1):
            author = "Ana Ruiz"
            row = [f"{path}-{number}", content, frame, kind, json.dumps(points), json.dumps(values), unit, author]
            library.execute("INSERT INTO measurements (key, content, frame, kind, points, measured, unit, author, at) "
                            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, '2026-01-31T10:00:00Z')", row)
    library.commit()
    library.close()
    # What the library says of them.
    for known in map(json.loads, run("export", "--what", "measurements").splitlines()):
        of_path = measured.setdefault(known["path"], [])
        of_path.append({**known, "number": len(of_path) + 1})
    groups = 0
    for scope in ("instance", "study"):
        for identity in (True, False):
            out = f"{scope}-{identity}"
            run("export", "--format", "sr", "--per", scope, "--output", out, *(["--show-phi"] if identity else []))
            files = sorted((folder / out).iterdir())
            assert files, out
            for file in files:
                accepted_by_validators(file)
                report = highdicom.sr.srread(file)
                assert isinstance(report, highdicom.sr.ComprehensiveSR), type(report)
                assert bool(report.PatientName) == bool(report.PatientID) == bool(report.StudyDate) == identity, file
                if identity:
                    of_image = {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID: path for path in lines}
                    groups += compare(report, lines, of_image)
    results = sum(map(len, lines.values()))
    assert len(set(reviewed)) == len(truth) and len(reviewed) == 2 * len(truth), (len(reviewed), len(truth))
    assert groups == 2 * (results + len(truth)), (groups, results, len(truth))
    assert sum(compared) == 2 * 4 * len(lines), (compared, len(lines))
    version = subprocess.run(["dsrdump", "--version"], capture_output=True, text=True, check=False).stdout.split("\n")[0].strip("$ ")
    print(f"{results} results of {len(lines)} images, in reports per image and per study, and {len(truth)} reviews and {4 * len(lines)} "
          f"measurements of a person: the same to highdicom "
          f"{highdicom.__version__}; accepted by dciodvfy and by {version}")
