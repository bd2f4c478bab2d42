"""Measures what the library saves: classifies a folder of small images twice, and prints the times and the library's size.

    python3 tests/oracle/library_speed.py [--images 100000] [--model demo] [--binary target/release/medivision-tui]

The images are different 64x64 grey PNGs. The second run finds them unchanged. Needs Python only.
"""

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

from measure_classify import small_pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--binary", default="target/release/medivision-tui")
    arguments = parser.parse_args()
    binary = Path(arguments.binary).resolve()
    with tempfile.TemporaryDirectory() as home:
        folder, library = Path(home) / "in", Path(home) / "library.sqlite3"
        small_pictures(folder, arguments.images)
        # Files that have only just been written could change again without their times telling.
        time.sleep(0.2)
        command = [binary, "classify", folder, "--model", arguments.model, "--library", library]
        lines = []
        for run in ("first", "second"):
            begun = time.monotonic()
            output = subprocess.run(
                command, env={**os.environ, "HOME": home}, stdout=subprocess.PIPE, check=True
            ).stdout
            seconds = time.monotonic() - begun
            lines.append(output.count(b"\n"))
            print(f"{run} run: {lines[-1]} lines in {seconds:.1f} s")
        assert lines == [arguments.images] * 2, lines
        megabytes = library.stat().st_size / 1e6
        print(f"library: {megabytes:.1f} MB")


if __name__ == "__main__":
    main()
