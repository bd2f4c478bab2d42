"""Measures how efficiently `classify` uses the processor, and its peak memory. Needs Python only.

    python3 tests/oracle/measure_classify.py --binary target/release/medivision-tui --model OUT --pictures JPEGS

OUT and OUT-tiny come from `vit_b32.py`, JPEGS from `jpegs.py`. Run it on an idle machine, as other load lowers
the ratio; the load before the first run is printed. The exit code is 1 if a limit is missed.

A pipeline wastes time when its stages wait for each other. Its own processor time does not show how much, as a thread that
spins while it waits counts as busy. So each stage is measured alone, on the same number of images and with the same threads,
and the sum of their processor seconds is compared with what the whole run had available, wall time times cores. A stage is the
difference between two runs of the same binary, so that nothing is counted twice:

    start-up   the model with 1 small image: reading weights, encoding texts
    forward    the model with N small images (64x64 grey PNGs, which cost almost nothing to decode), less start-up
    pictures   a tiny model with the N images, less the same with N small ones: decoding and preprocessing, as start-up, output,
               the tiny forward pass and the small images' own cost are in both

Processor seconds and peak memory are those of the child process, as reported by `wait4`. A round makes all runs once, so that a
change of the machine's speed affects all; each figure is the median over the rounds.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib

BUSY_LIMIT = 0.90
MEMORY_FACTOR, MEMORY_EXTRA = 1.3, 300e6


def grey_png(path, dice):
    """A grey image of 64x64, different for each number."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + dice.randbytes(64) for _ in range(64))
    header = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)
    whole = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + whole)


def small_pictures(folder, count):
    dice = random.Random(32)
    folder.mkdir()
    for number in range(count):
        grey_png(folder / f"{number:05}.png", dice)
    return folder


def run(binary, model, pictures, home):
    """Runs `classify` without the user's settings; returns lines, wall and processor seconds, and peak memory in bytes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEDIVISION_")}
    command = [binary, "classify", "--model", model, pictures, "--format", "jsonl"]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        begun = time.perf_counter()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors,
                                 env=kept | {"XDG_CONFIG_HOME": str(home), "MEDIVISION_LIBRARY": "none"})
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), errors.seek(0)
        if child.returncode != 0:
            sys.exit(f"{binary} ended with {child.returncode}: {errors.read().decode(errors='replace')[-2000:]}")
        lines = sum(1 for _ in out)
    return {"lines": lines, "wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss * 1024}


def measure(chosen, scratch):
    """The number of images, the runs of each kind, and the medians of their figures."""

    def once(model, pictures):
        return run(chosen.binary, model, pictures, scratch)

    # Brings the pictures and the tiny model into the file cache, and counts what is to be classified.
    count = once(chosen.tiny, chosen.pictures)["lines"]
    small, one = small_pictures(scratch / "small", count), small_pictures(scratch / "one", 1)
    once(chosen.model, one)
    kinds = {
        "whole": (chosen.model, chosen.pictures, count),
        "model, N small": (chosen.model, small, count),
        "model, 1 small": (chosen.model, one, 1),
        "tiny, N": (chosen.tiny, chosen.pictures, count),
        "tiny, N small": (chosen.tiny, small, count),
    }
    runs = {kind: [] for kind in kinds}
    for _ in range(chosen.rounds):
        for kind, (model, pictures, expected) in kinds.items():
            figures = once(model, pictures)
            if figures["lines"] != expected:
                sys.exit(f"{kind}: {figures['lines']} lines instead of {expected}")
            runs[kind].append(figures)
    medians = {
        kind: {figure: statistics.median(r[figure] for r in several) for figure in ("wall", "cpu", "peak")}
        for kind, several in runs.items()
    }
    return count, runs, medians


def judge(chosen, count, runs, medians):
    """Prints the stages and compares the figures with the limits."""
    cpu = {kind: figures["cpu"] for kind, figures in medians.items()}
    stages = {
        "start-up": cpu["model, 1 small"],
        "forward": cpu["model, N small"] - cpu["model, 1 small"],
        "pictures": cpu["tiny, N"] - cpu["tiny, N small"],
    }
    wall, walls = medians["whole"]["wall"], [r["wall"] for r in runs["whole"]]
    weights = sum(file.stat().st_size for file in chosen.model.glob("*.safetensors"))
    return {
        "pictures": count, "rounds": chosen.rounds, "cores": chosen.cores,
        "runs": medians, "stages_cpu_seconds": stages,
        "wall_seconds": wall, "wall_range": [min(walls), max(walls)],
        "busy": sum(stages.values()) / (wall * chosen.cores), "busy_limit": BUSY_LIMIT,
        # The largest, not the median: a limit on memory holds for every run.
        "peak_bytes": max(r["peak"] for r in runs["whole"]), "weights_bytes": weights,
        "peak_limit_bytes": MEMORY_FACTOR * weights + MEMORY_EXTRA,
    }


def show(made):
    print(f"{made['pictures']} pictures, {made['cores']} cores, {made['rounds']} rounds, "
          f"load before {made['load_before']:.2f}\n")
    print(f"{'run':16} {'wall s':>9} {'cpu s':>9} {'peak MB':>9}")
    for kind, figures in made["runs"].items():
        print(f"{kind:16} {figures['wall']:9.2f} {figures['cpu']:9.2f} {figures['peak'] / 1e6:9.0f}")
    print(f"\n{'stage alone':16} {'cpu s':>19}")
    for stage, seconds in made["stages_cpu_seconds"].items():
        print(f"{stage:16} {seconds:19.2f}")
    least, most = made["wall_range"]
    print(f"{'sum':16} {sum(made['stages_cpu_seconds'].values()):19.2f}")
    print(f"{'wall x cores':16} {made['wall_seconds'] * made['cores']:19.2f}   (wall {least:.2f} to {most:.2f})\n")
    print(f"busy   {made['busy']:6.3f}     at least {made['busy_limit']:.2f}     {verdict(busy_enough(made))}")
    print(f"memory {made['peak_bytes'] / 1e6:6.0f} MB  at most {made['peak_limit_bytes'] / 1e6:6.0f} MB  "
          f"{verdict(small_enough(made))}   (weights {made['weights_bytes'] / 1e6:.0f} MB)")


def busy_enough(made):
    return made["busy"] >= made["busy_limit"]


def small_enough(made):
    return made["peak_bytes"] <= made["peak_limit_bytes"]


def verdict(held):
    return "held" if held else "MISSED"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--binary", type=pathlib.Path, required=True)
    arguments.add_argument("--model", type=pathlib.Path, required=True)
    arguments.add_argument("--tiny", type=pathlib.Path, help="its tiny counterpart [default: MODEL-tiny]")
    arguments.add_argument("--pictures", type=pathlib.Path, required=True)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    chosen.binary, chosen.model = chosen.binary.resolve(), chosen.model.resolve()
    chosen.tiny = chosen.tiny or chosen.model.with_name(chosen.model.name + "-tiny")
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        made = judge(chosen, *measure(chosen, pathlib.Path(scratch))) | {"load_before": load}
    if chosen.json:
        print(json.dumps(made, indent=2))
    else:
        show(made)
    sys.exit(0 if busy_enough(made) and small_enough(made) else 1)


if __name__ == "__main__":
    main()
