"""Checks that highdicom, dciodvfy (dicom3tools) and dsrdump (DCMTK) accept the structured reports that `export` writes.

    python tests/oracle/report.py [PROGRAM]      (needs highdicom, and dciodvfy and dsrdump on the path;
                                                  PROGRAM: target/debug/medivision-tui)

Classifies synthetic studies with the built-in model, writes a report per image and per study, with and without the patient's
identity, and compares what highdicom reads with the JSON lines of the same results and with known labels, imported as reviews.
"""

import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import highdicom
import pydicom
from pydicom.sr.codedict import codes

program = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "target/debug/medivision-tui").resolve()
SCORE = highdicom.sr.CodedConcept("score", "99MVTUI", "Score, not calibrated")


def accepted_by_validators(file: pathlib.Path) -> None:
    verified = subprocess.run(["dciodvfy", file], capture_output=True, text=True, check=False)
    faults = [line for line in verified.stderr.splitlines() if line.startswith("Error")]
    assert verified.returncode == 0 and not faults, (file, faults)
    dumped = subprocess.run(["dsrdump", file], capture_output=True, text=True, check=False)
    # It checks no text in UTF-8.
    faults = [line for line in dumped.stderr.splitlines() if "ISO_IR 192" not in line]
    assert dumped.returncode == 0 and not faults, (file, faults)


def compare(report: highdicom.sr.ComprehensiveSR, lines: dict[str, list[dict]], of_image: dict[str, str]) -> int:
    """Compares the groups of a report with the results; returns how many there are."""
    groups = report.content.get_image_measurement_groups()
    devices = report.content.get_observer_contexts(observer_type=codes.DCM.Device)
    assert [device.observer_identifying_attributes.name for device in devices] == ["medivision-tui"]
    for group in groups:
        image = group.source_images[0]
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
        scores = group.get_measurements(name=SCORE)
        claimed = result["scores"] if result["decision"] != "rejected" else []
        assert len(scores) == len(claimed), (len(scores), len(claimed))
        for item, score in zip(scores, claimed):
            assert abs(item.value - score["probability"]) < 1e-10, (item.value, score)
    return len(groups)


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
    version = subprocess.run(["dsrdump", "--version"], capture_output=True, text=True, check=False).stdout.split("\n")[0].strip("$ ")
    print(f"{results} results of {len(lines)} images, in reports per image and per study, and {len(truth)} reviews of a "
          f"person: the same to highdicom "
          f"{highdicom.__version__}; accepted by dciodvfy and by {version}")
