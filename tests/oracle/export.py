"""Checks that DuckDB, pandas and pyarrow read what `export` writes, and that they see the same values in all formats.

    python tests/oracle/export.py [PROGRAM]      (needs duckdb, pandas and pyarrow; PROGRAM: target/debug/medivision-tui)

Classifies synthetic studies with the built-in model, by two prompt sets, and exports all results, reviews and measurements as JSONL, CSV and Parquet.
"""

import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile

import duckdb
import pandas
import pyarrow.parquet

program = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "target/debug/medivision-tui").resolve()
with tempfile.TemporaryDirectory() as home:
    environment = {"HOME": home, "PATH": os.environ["PATH"]}

    def run(*arguments: str) -> None:
        command = [program, *arguments, "--model", "demo"]
        subprocess.run(command, cwd=home, env=environment, stdout=subprocess.DEVNULL, check=True)

    run("demo", "studies", "--write-only", "--count", "20", "--seed", "1")
    for prompts in ("general", "chest-xray"):
        run("classify", "studies", "--prompts", prompts)
    for extension in ("jsonl", "csv", "parquet"):
        run("export", "--all", "--output", f"all.{extension}")
    folder = pathlib.Path(home)
    lines = [json.loads(line) for line in (folder / "all.jsonl").read_text().splitlines()]
    frame = pandas.read_parquet(folder / "all.parquet")
    rows = duckdb.sql(f"SELECT * FROM '{folder}/all.parquet'").df()
    table = pandas.read_csv(folder / "all.csv").drop(columns=["error_kind", "error_message"])
    assert len(lines) == len(frame) == len(rows) == len(table) == 40, (len(lines), len(frame), len(rows), len(table))
    assert list(frame) == list(rows) == list(table), (list(frame), list(table))
    for at, line in enumerate(lines):
        scores = {f"p:{score['condition']}": score["probability"] for score in line["scores"]}
        for column in frame:
            expected = line.get(column) if not column.startswith("p:") else scores.get(column)
            for seen in (frame[column][at], rows[column][at], table[column][at]):
                same = seen == expected or expected is None and pandas.isna(seen)
                assert same, (column, seen, expected)
    # Reviews, and a measurement as the interface stores it.
    run("reviews", "import", "studies", "--reviewer", "truth")
    library = sqlite3.connect(folder / ".local/share/medivision-tui/library.sqlite3")
    library.execute(
        "INSERT INTO measurements (key, content, frame, kind, points, measured, unit, author, at) "
        "SELECT 'k', min(content), 0, 'length', '[[0,0],[3,4]]', ?, NULL, 'ana', '2026-01-31T10:00:00Z' FROM files",
        [json.dumps({"length": {"value": 2.5, "unit": "millimetres"}})],
    )
    library.commit()
    facts = {}
    for what in ("reviews", "measurements"):
        for extension in ("jsonl", "parquet"):
            command = [program, "export", "--what", what, "--output", f"{what}.{extension}"]
            subprocess.run(command, cwd=home, env=environment, check=True, capture_output=True)
        said = [json.loads(line) for line in (folder / f"{what}.jsonl").read_text().splitlines()]
        rows = duckdb.sql(f"SELECT * FROM '{folder}/{what}.parquet'").fetchall()
        names = [column[0] for column in duckdb.sql(f"DESCRIBE SELECT * FROM '{folder}/{what}.parquet'").fetchall()]
        assert len(said) == len(rows) > 0, (what, len(said), len(rows))
        for line, row in zip(said, rows):
            row = dict(zip(names, row))
            for name in set(names) & set(line):
                expected = line[name]
                expected = expected["value"] if isinstance(expected, dict) else expected
                expected = "; ".join(expected) if name == "labels" else expected
                expected = expected if name != "points" else row[name]
                assert row[name] == expected, (name, row[name], expected)
        assert (pandas.read_parquet(folder / f"{what}.parquet").columns == names).all()
        facts[what] = len(rows)
    assert row["length_unit"] == "millimetres" and json.loads(row["points"]) == [[0, 0], [3, 4]], row
    metadata = pyarrow.parquet.read_metadata(folder / "all.parquet")
    print(f"{len(lines)} results, {len(list(frame))} columns: {facts['reviews']} reviews, {facts['measurements']} measurement: the same to "
          f"DuckDB, pandas and pyarrow; {metadata.created_by}")
