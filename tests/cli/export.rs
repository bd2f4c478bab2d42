//! Results out of the library.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use super::*;

/// A home with two images, one of them in a folder, classified by two prompt sets, the second one `chest-xray`.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(home.path().join("in/b")).expect("made");
    picture(&home.path().join("in/a.png"), 20);
    picture(&home.path().join("in/b/c.png"), 30);
    for prompts in ["general", "chest-xray"] {
        let output = classify(home.path(), &["in", "--prompts", prompts]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    home
}

fn export(home: &Path, arguments: &[&str]) -> Output {
    let output = run(home, &[&["export"], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    output
}

/// The values of a field, by line.
fn column(output: &Output, name: &str) -> Vec<String> {
    let text = |line: Value| line[name].as_str().unwrap_or_default().to_owned();
    lines(output).into_iter().map(text).collect()
}

#[test]
fn results_are_exported_by_path_the_newest_of_each_image_or_all() {
    let home = home();
    let path = |name: &str| home.path().join(name).display().to_string();
    let newest = export(home.path(), &[]);
    assert_eq!(
        column(&newest, "path"),
        [path("in/a.png"), path("in/b/c.png")]
    );
    assert_eq!(column(&newest, "prompts"), ["chest-xray"; 2]);
    let all = export(home.path(), &["--all"]);
    let sets = ["general", "chest-xray", "general", "chest-xray"];
    assert_eq!(column(&all, "prompts"), sets);
    assert_eq!(export(home.path(), &["--all"]).stdout, all.stdout);
    let general = export(home.path(), &["--prompts", "general", "in/b"]);
    assert_eq!(column(&general, "path"), [path("in/b/c.png")]);
    assert_eq!(column(&general, "prompts"), ["general"]);

    // Apart from its path and time, a line is the one that `classify` prints.
    let mut exported = lines(&newest).remove(0);
    let mut printed = lines(&classify(
        home.path(),
        &["in/a.png", "--prompts", "chest-xray"],
    ));
    for line in [&mut exported, &mut printed[0]] {
        let line = line.as_object_mut().expect("an object");
        line.remove("path");
        line.remove("at");
    }
    assert_eq!(exported, printed[0]);

    let check = run(home.path(), &["library", "check"]);
    let check = String::from_utf8_lossy(&check.stdout).into_owned();
    // 5 lines of `classify`, and 11 exported ones.
    assert!(check.contains("16 audit entries"), "{check}");
    let none = export(home.path(), &["elsewhere"]);
    assert!(none.stdout.is_empty() && stderr(&none).contains("no such results"));
}

#[test]
fn lines_of_every_kind_have_the_form_of_the_schema() {
    let home = home();
    let frames = "tests/fixtures/media/objects/enhanced_time_points.dcm";
    let frames = Path::new(env!("CARGO_MANIFEST_DIR")).join(frames);
    fs::copy(frames, home.path().join("in/frames.dcm")).expect("copied");
    let whole = fs::read(home.path().join("in/a.png")).expect("read");
    let name = std::ffi::OsStr::from_bytes(b"in/\xff.png");
    fs::write(home.path().join(name), &whole[..50]).expect("written");
    let mut seen = classify(home.path(), &["in", "--frames", "all"]).stdout;
    seen.extend(classify(home.path(), &["in/a.png", "--mode", "multi"]).stdout);
    seen.extend(
        run(
            home.path(),
            &[
                "classify",
                "in/a.png",
                "--model",
                "builtin",
                "--prompts",
                "general",
            ],
        )
        .stdout,
    );
    seen.extend(export(home.path(), &["--all"]).stdout);
    let text = String::from_utf8(seen).expect("UTF-8");
    let lines = text.lines().map(serde_json::from_str);
    let lines: Vec<Value> = lines.collect::<Result<_, _>>().expect("JSON");
    for line in &lines {
        assert!(schema::is_valid(line), "{line}");
    }
    let has = |test: &dyn Fn(&Value) -> bool| assert!(lines.iter().any(test), "{text}");
    has(&|line| line["error"]["kind"] == "truncated" && line["path_bytes"].is_string());
    has(&|line| line["aggregate"] == "mean" && line["scores"][0]["max"].is_number());
    has(&|line| line["decision"] == "rejected" && line["label"].is_null());
    has(&|line| line["mode"] == "multi");

    // A line that is none of ours is not accepted.
    for (field, value) in [
        ("frame", Value::from("0")),
        ("extra", Value::from(1)),
        ("probability", Value::Null),
        ("probability", Value::from(1.5)),
        ("content", Value::from("abc")),
        ("aggregate", Value::from("mean")),
    ] {
        let claimed = |line: &&Value| line["decision"] == "uncertain" && line["frame"] == 0;
        let mut line = lines.iter().find(claimed).expect("one").clone();
        line[field] = value;
        assert!(!schema::is_valid(&line), "{line}");
    }
}

#[test]
fn the_terms_of_the_lists_filter_choose_results() {
    let home = home();
    let all = lines(&export(home.path(), &["--all"]));
    let label = all[0]["label"].as_str().expect("a label");
    let matching = |line: &&Value| line["label"] == label;
    let count = |arguments: &[&str]| lines(&export(home.path(), arguments)).len();
    let term = format!("label:{label}");
    let expected = all.iter().filter(matching).count();
    assert_eq!(count(&["--all", "--filter", &term]), expected);
    let others = format!("!label:{label}");
    assert_eq!(count(&["--all", "--filter", &others]), all.len() - expected);
    assert_eq!(count(&["--all", "--filter", "in/b/ p>=0"]), 2);
    assert_eq!(count(&["--all", "--filter", "p>=0 rejected"]), 0);
    for (filter, said) in [
        ("lable:x", "did you mean `label`"),
        ("urgency>0.5", "urgency"),
    ] {
        let wrong = run(home.path(), &["export", "--filter", filter]);
        assert_eq!(wrong.status.code(), Some(2));
        assert!(stderr(&wrong).contains(said), "{}", stderr(&wrong));
    }
    // The model's other name.
    run(home.path(), &["classify", "in/a.png", "--model", "demo"]);
    assert_eq!(count(&["--model", "builtin"]), 1);
}

#[test]
fn a_file_is_replaced_when_the_export_is_complete() {
    let home = home();
    export(home.path(), &["--all", "--output", "all.csv"]);
    let text = fs::read_to_string(home.path().join("all.csv")).expect("written");
    assert_eq!(text.lines().count(), 5, "a header and four results");
    let piped = export(home.path(), &["--all", "--format", "csv"]);
    assert_eq!(String::from_utf8_lossy(&piped.stdout), text);
    let link = home.path().join("out.csv");
    std::os::unix::fs::symlink("/proc/self/fd/1", &link).expect("linked");
    let piped = export(home.path(), &["--all", "--output", "out.csv"]);
    assert_eq!(String::from_utf8_lossy(&piped.stdout), text);
    assert!(link.is_symlink(), "the reader's end is not replaced");
    export(home.path(), &["--output", "all.csv"]);
    let text = fs::read_to_string(home.path().join("all.csv")).expect("written");
    assert_eq!(text.lines().count(), 3);
    let unknown = run(home.path(), &["export", "--output", "all.txt"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", stderr(&unknown));
    assert!(
        stderr(&unknown).contains("use .jsonl, .csv or .parquet, or --format"),
        "{}",
        stderr(&unknown)
    );
    let lost = run(home.path(), &["export", "--output", "no/such/folder.csv"]);
    assert_eq!(lost.status.code(), Some(2), "{}", stderr(&lost));
    let hidden = fs::read_dir(home.path()).expect("read").filter(|entry| {
        let name = entry.as_ref().expect("an entry").file_name();
        name.to_string_lossy().starts_with(".medivision")
    });
    assert_eq!(hidden.count(), 0);
}

#[test]
fn an_export_replaces_neither_links_nor_pipes_nor_the_library() {
    let home = home();
    let at = |name: &str| home.path().join(name);
    // Links of our own: never a device of the machine.
    symlink("real.csv", at("link.csv")).expect("a link");
    fs::write(at("real.csv"), "older").expect("written");
    fs::set_permissions(at("real.csv"), fs::Permissions::from_mode(0o600)).expect("set");
    export(home.path(), &["--output", "link.csv"]);
    assert!(at("link.csv").is_symlink());
    let text = fs::read_to_string(at("real.csv")).expect("read");
    assert_eq!(text.lines().count(), 3, "{text}");
    let mode = fs::metadata(at("real.csv")).expect("there").mode();
    assert_eq!(mode & 0o777, 0o600);

    rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe.csv"), 0o600.into()).expect("made");
    let reader = {
        let pipe = at("pipe.csv");
        std::thread::spawn(move || fs::read_to_string(pipe).expect("read"))
    };
    export(home.path(), &["--output", "pipe.csv"]);
    let is_pipe = |name| fs::metadata(at(name)).expect("there").file_type().is_fifo();
    assert!(is_pipe("pipe.csv"));
    assert_eq!(reader.join().expect("it ended"), text);

    let stdout = export(home.path(), &["--output", "-", "--format", "csv"]);
    assert_eq!(String::from_utf8_lossy(&stdout.stdout), text);
    assert_eq!(lines(&export(home.path(), &["--output", "-"])).len(), 2);
    assert!(!at("-").exists());

    let library = at(".local/share/medivision-tui/library.sqlite3");
    symlink(&library, at("lib.csv")).expect("a link");
    let own = library.to_str().expect("UTF-8");
    for name in [own, "lib.csv", &format!("{own}-wal")] {
        for what in ["results", "reviews"] {
            let arguments = [
                "export", "--format", "csv", "--what", what, "--output", name,
            ];
            let refused = run(home.path(), &arguments);
            assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
            let said = stderr(&refused);
            assert!(said.contains("belongs to the library"), "{said}");
        }
    }
    assert_eq!(lines(&export(home.path(), &[])).len(), 2, "all is there");
    let folder = run(
        home.path(),
        &["export", "--format", "csv", "--output", "in"],
    );
    let said = stderr(&folder);
    assert!(said.contains("in: it is a folder"), "{said}");
}

#[test]
fn files_that_are_gone_are_counted_and_a_renamed_one_is_listed_once() {
    let home = home();
    fs::remove_file(home.path().join("in/b/c.png")).expect("removed");
    let said = stderr(&export(home.path(), &[]));
    assert!(
        said.contains("1 of 2 files are not there any more"),
        "{said}"
    );
    fs::rename(home.path().join("in/a.png"), home.path().join("in/z.png")).expect("renamed");
    classify(home.path(), &["in"]);
    let output = export(home.path(), &["in"]);
    let path = |name: &str| home.path().join(name).display().to_string();
    assert_eq!(
        column(&output, "path"),
        [path("in/b/c.png"), path("in/z.png")]
    );
}

#[test]
fn parquet_holds_the_cells_of_the_csv_with_types() {
    let home = home();
    export(home.path(), &["--all", "--output", "all.parquet"]);
    let csv = export(home.path(), &["--all", "--format", "csv"]);
    let mut csv = csv::Reader::from_reader(&csv.stdout[..]);
    let header = csv.headers().expect("a header").clone();
    let rows: Vec<_> = csv.records().map(|row| row.expect("a row")).collect();

    let file = fs::File::open(home.path().join("all.parquet")).expect("written");
    let reader = SerializedFileReader::new(file).expect("Parquet");
    let found: Vec<_> = reader.get_row_iter(None).expect("rows").collect();
    assert_eq!(found.len(), rows.len());
    for (found, row) in found.into_iter().zip(&rows) {
        let found = found.expect("a row");
        let cells = found.get_column_iter().map(|(name, value)| {
            let text = match value {
                Field::Null => String::new(),
                Field::Str(text) => text.clone(),
                Field::Int(number) => number.to_string(),
                Field::Double(number) => number.to_string(),
                Field::Bool(flag) => flag.to_string(),
                other => panic!("{name}: {other:?}"),
            };
            (name.clone(), text)
        });
        let expected = header
            .iter()
            .zip(row)
            .filter(|(name, _)| !name.starts_with("error_"));
        let expected = expected.map(|(name, cell)| (name.to_owned(), cell.to_owned()));
        assert_eq!(cells.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}
