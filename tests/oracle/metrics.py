"""Checks the file of `watch --metrics` with the parser of Prometheus' own client for Python.

    python tests/oracle/metrics.py [PROGRAM]        (needs prometheus_client; PROGRAM: target/debug/medivision-tui)

Watches a folder, in whose name the format must escape characters, with synthetic images, a damaged one and a text file in it, by the
built-in model; compares the numbers with the lines written, and the names with Prometheus' conventions.
"""

import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter

from prometheus_client.parser import text_string_to_metric_families

FOLDER = 'in "quotes" and \\ bäckslash'
IMAGES = 8
DEADLINE = 120


def main():
    program = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "target/debug/medivision-tui").resolve()
    with tempfile.TemporaryDirectory() as name:
        home = pathlib.Path(name)
        lines, text = watch(program, home)
        check(lines, text, str(home.resolve() / FOLDER))
    print(f"{len(text.splitlines())} lines of metrics are well-formed and agree with {len(lines)} results")


def watch(program, home):
    """Watches until there is a line for each image; returns the lines and the text of the metrics."""
    folder, output, metrics = home / FOLDER, home / "out.jsonl", home / "watch.prom"
    environment = {"HOME": str(home)}
    demo = [program, "demo", folder, "--seed", "5", "--count", str(IMAGES), "--write-only"]
    subprocess.run(demo, check=True, env=environment, stderr=subprocess.DEVNULL)
    (folder / "note.txt").write_text("not an image")
    (folder / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    arguments = ["watch", folder, "--model", "demo", "--output", output, "--metrics", metrics, "--exec", "true"]
    arguments += ["--move-to", home / "done/{label}"]
    watch = subprocess.Popen([program, *arguments], env=environment)
    try:
        end = time.monotonic() + DEADLINE
        while not output.exists() or len(output.read_text().splitlines()) < IMAGES + 1:
            assert time.monotonic() < end and watch.poll() is None, "not all lines were written"
            time.sleep(0.1)
    finally:
        watch.send_signal(signal.SIGTERM)
    assert watch.wait(DEADLINE) == 0
    return [json.loads(line) for line in output.read_text().splitlines()], metrics.read_text()


def check(lines, text, folder):
    families = list(text_string_to_metric_families(text))
    assert len(families) == text.count("# TYPE") == text.count("# HELP")
    samples = {}
    for family in families:
        assert family.documentation, family.name
        assert re.fullmatch(r"medivision_[a-z0-9_]+", family.name), family.name
        assert family.type in ("counter", "gauge"), family
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample
            labels = dict(sample.labels)
            assert labels.pop("folder") == folder, sample
            key = (sample.name, frozenset(labels.items()))
            assert key not in samples, sample
            samples[key] = sample.value
    value = lambda name, **labels: samples.get((f"medivision_{name}", frozenset(labels.items())), 0)

    results = [line for line in lines if "error" not in line]
    assert len(results) == IMAGES and len(lines) == IMAGES + 1
    for (label, decision), count in Counter((r["label"] or "", r["decision"]) for r in results).items():
        assert value("results_total", label=label, decision=decision) == count
    rejected = sum(result["decision"] == "rejected" for result in results)
    expected = {"classified": IMAGES - rejected, "rejected": rejected, "failed": 1}
    for outcome, count in expected.items():
        assert value("files_total", outcome=outcome) == count, outcome
    # The table of labels that `demo` writes, and the note.
    assert value("files_total", outcome="skipped") == 2
    assert value("lines_written_total") == len(lines)
    assert value("exec_runs_total", outcome="succeeded") == IMAGES
    # The damaged one is moved, too, unless the signal ends its attempts.
    assert value("moves_total", outcome="moved") in (IMAGES, IMAGES + 1)
    assert value("files_waiting") == value("files_retrying") == value("exec_runs_waiting") == 0
    assert value("scan_done") == 1
    assert abs(value("last_result_timestamp_seconds") - time.time()) < DEADLINE
    assert any(name == "medivision_build_info" and number == 1 for (name, _), number in samples.items())


if __name__ == "__main__":
    main()
