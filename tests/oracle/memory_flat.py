"""Checks that the memory of `classify` does not grow with the number of images. Needs Python only.

    python3 tests/oracle/memory_flat.py --binary target/release/medivision-tui [--pictures 50000]

The images are different 64x64 grey PNGs, classified by the built-in model. Resident memory is read from /proc after every twentieth
of the results. The exit code is 1 if the second half takes more than LIMIT beyond the first.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from measure_classify import small_pictures

PARTS = 20
LIMIT = 10e6


def resident(pid):
    """Resident memory in bytes."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    sys.exit("no VmRSS: the process is gone")


def measure(binary, count, scratch):
    """The number of results and the bytes after each part, and the total seconds."""
    pictures = small_pictures(scratch / "pictures", count)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEDIVISION_")}
    command = [binary, "classify", "--model", "demo", pictures, "--format", "jsonl"]
    begun = time.perf_counter()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             env=kept | {"XDG_CONFIG_HOME": str(scratch), "MEDIVISION_LIBRARY": "none"})
    points, results = [], 0
    for _ in child.stdout:
        results += 1
        # The process is surely alive while it has something left to write.
        if results % (count // PARTS) == 0 and results < count:
            points.append((results, resident(child.pid)))
    took = time.perf_counter() - begun
    if child.wait() != 0 or results != count:
        sys.exit(f"{results} results of {count}, exit code {child.returncode}")
    return points, took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--pictures", type=int, default=50_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        points, took = measure(chosen.binary, chosen.pictures, pathlib.Path(folder))
    for results, size in points:
        print(f"{results:8} results {size / 1e6:8.1f} MB")
    half = len(points) // 2
    growth = max(size for _, size in points[half:]) - max(size for _, size in points[:half])
    print(f"\n{chosen.pictures / took:.0f} pictures a second; the second half takes {growth / 1e6:+.1f} MB more than the first "
          f"(limit {LIMIT / 1e6:.0f})")
    sys.exit(growth > LIMIT)


if __name__ == "__main__":
    main()
