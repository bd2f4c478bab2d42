//! What is remembered between runs.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::*;

/// The lines of a run, without its time.
fn results(output: &Output) -> Vec<Value> {
    let mut lines = lines(output);
    for line in &mut lines {
        line.as_object_mut().expect("an object").remove("at");
    }
    lines
}

/// A home with three images, which have been there for a moment.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("in");
    fs::create_dir(&folder).expect("a folder");
    for n in 0..3_u8 {
        let image = image::GrayImage::from_pixel(20, 10, image::Luma([n * 80]));
        image
            .save(folder.join(format!("{n}.png")))
            .expect("written");
    }
    let changed = |n: u8| {
        let metadata = fs::metadata(folder.join(format!("{n}.png")));
        metadata
            .and_then(|metadata| metadata.modified())
            .expect("a time")
    };
    let last = changed(2);
    while last.elapsed().unwrap_or_default().as_millis() < 100 {
        std::thread::yield_now();
    }
    home
}

#[test]
fn a_second_run_gives_the_same_lines_from_the_library() {
    let home = home();
    let first = classify(home.path(), &["in"]);
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    let library = home
        .path()
        .join(".local/share/medivision-tui/library.sqlite3");
    assert!(library.is_file(), "it is in the data folder");
    let check = run(home.path(), &["library", "check"]);
    let text = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(
        text.contains("3 files, 3 contents, 3 embeddings, 3 results, 0 reviews, 3 audit entries")
            && text.contains("sound"),
        "{text}"
    );
    let second = classify(home.path(), &["in"]);
    assert_eq!(results(&second), results(&first));
    let without = classify(home.path(), &["in", "--library", "none"]);
    assert_eq!(results(&without), results(&first));
    let doctor = run(home.path(), &["doctor"]);
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(
        text.contains("journal WAL, 3 files, 3 embeddings"),
        "{text}"
    );
}

#[test]
fn images_are_forgotten_on_request_and_a_library_may_be_elsewhere() {
    let home = home();
    let at = ["--library", "here/lib"];
    let output = classify(home.path(), &["in", at[0], at[1]]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let library = |action: &[&str]| run(home.path(), &[&["library"], action, &at[..]].concat());
    let forgot = library(&["forget", "in/0.png"]);
    let text = String::from_utf8_lossy(&forgot.stdout).into_owned();
    assert_eq!(text, "forgot 1 image, with 1 file name and 1 embedding\n");
    let again = library(&["forget", "in/0.png"]);
    assert_eq!(again.status.code(), Some(1), "{}", stderr(&again));
    assert!(stderr(&again).contains("knows nothing of in/0.png"));
    assert_eq!(library(&["backup", "copy"]).status.code(), Some(0));
    assert_eq!(library(&["backup", "copy"]).status.code(), Some(3));
    assert_eq!(library(&["vacuum"]).status.code(), Some(0));
    let none = run(home.path(), &["library", "check", "--library", "none"]);
    assert_eq!(none.status.code(), Some(2));
    let missing = run(home.path(), &["library", "check"]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(stderr(&missing).contains("there is no library yet"));
}

#[test]
fn several_processes_share_a_library() {
    const PROCESSES: usize = 4;
    const IMAGES: usize = 200;
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("in");
    fs::create_dir(&folder).expect("a folder");
    for n in 0..IMAGES {
        let shade = image::Luma([u8::try_from(n % 256).expect("a byte")]);
        let image = image::GrayImage::from_pixel(20 + u32::from(n >= 128), 10, shade);
        image
            .save(folder.join(format!("{n}.png")))
            .expect("written");
    }
    let classify_all = || {
        let threads: Vec<_> = (0..PROCESSES)
            .map(|_| {
                let home = home.path().to_owned();
                std::thread::spawn(move || classify(&home, &["in"]))
            })
            .collect();
        let ended = threads.into_iter().map(std::thread::JoinHandle::join);
        ended
            .map(|output| output.expect("it ran"))
            .collect::<Vec<_>>()
    };
    let outputs: Vec<Output> = [classify_all(), classify_all()].concat();
    // Batches of another size change the last digits of scores.
    let answers = |output: &Output| {
        let answer = |line: &Value| ["path", "content", "label"].map(|key| line[key].to_string());
        lines(output).iter().map(answer).collect::<Vec<_>>()
    };
    let expected = answers(&outputs[0]);
    assert_eq!(expected.len(), IMAGES);
    for output in &outputs {
        let said = stderr(output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(!said.contains("library"), "nobody is refused: {said}");
        assert!(answers(output) == expected);
    }
    let check = run(home.path(), &["library", "check"]);
    let text = String::from_utf8_lossy(&check.stdout).into_owned();
    let printed = outputs.len() * IMAGES;
    let counted = format!(
        "{IMAGES} files, {IMAGES} contents, {IMAGES} embeddings, {IMAGES} results, 0 reviews, {printed} audit entries"
    );
    assert!(
        text.contains(&counted) && text.contains("sound"),
        "{text}, expected: {counted}"
    );
}

#[test]
fn a_library_that_cannot_be_used_costs_no_result() {
    let home = home();
    for name in ["lib.sqlite3", "notes"] {
        fs::write(home.path().join(name), vec![7; 9000]).expect("written");
    }
    let expected = results(&classify(home.path(), &["in", "--library", "none"]));
    for (file, fault) in [
        ("lib.sqlite3", "is damaged"),
        ("notes", "is not used: it is not a database"),
        ("/dev/full", "is not used"),
        ("/proc/lib", "is not used"),
    ] {
        let output = classify(home.path(), &["in", "--library", file]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(results(&output), expected, "{file}");
        let said = stderr(&output);
        assert_eq!(said.matches(fault).count(), 1, "{said}");
    }
    let notes = fs::read(home.path().join("notes")).expect("still there");
    assert_eq!(notes, vec![7; 9000], "a file of the user's stays");
    // Whoever only reads does not begin a new one.
    let damaged = home.path().join("copy.sqlite3");
    fs::write(&damaged, vec![7; 9000]).expect("written");
    let output = run(home.path(), &["export", "--library", "copy.sqlite3"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert_eq!(fs::read(&damaged).expect("still there"), vec![7; 9000]);
}

#[test]
fn a_library_damaged_within_is_named_with_what_to_do_and_repaired() {
    let home = home();
    let at = ["--library", "lib"];
    classify(home.path(), &["in", at[0], at[1]]);
    let run = |arguments: &[&str]| run(home.path(), &[arguments, &at[..]].concat());
    let imported = run(&["library", "repair"]);
    assert_eq!(
        String::from_utf8_lossy(&imported.stdout),
        "sound; nothing to repair\n"
    );
    let file = home.path().join("lib");
    let mut bytes = fs::read(&file).expect("read");
    // All but the list of tables.
    bytes[16_384..].fill(0xa5);
    fs::write(&file, &bytes).expect("written");
    for (arguments, code) in [(&["library", "check"][..], 3), (&["doctor"], 0)] {
        let output = run(arguments);
        let said = stderr(&output) + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains("medivision-tui library repair"), "{said}");
    }
    assert!(fs::read(&file).expect("read") == bytes, "it stays");
    let repaired = run(&["library", "repair"]);
    let said = String::from_utf8_lossy(&repaired.stdout).into_owned();
    assert!(
        said.contains("it was renamed to"),
        "{said}{}",
        stderr(&repaired)
    );
    assert_eq!(run(&["library", "check"]).status.code(), Some(0));
}

#[test]
fn a_file_is_known_by_one_name_however_its_path_is_written() {
    let home = home();
    let odd = home.path().join("in").join(OsStr::from_bytes(b"b\xff.png"));
    fs::copy(home.path().join("in/0.png"), &odd).expect("copied");
    fs::create_dir(home.path().join("other")).expect("a folder");
    let classified = classify(home.path(), &["other/../in", "--library", "lib"]);
    assert_eq!(classified.status.code(), Some(0), "{}", stderr(&classified));
    let exported =
        |path: &str| lines(&run(home.path(), &["export", path, "--library", "lib"])).len();
    for path in ["in", "in/", "./in//", "other/../in"] {
        assert_eq!(exported(path), 4, "{path}");
    }
    let forget = |path: &OsStr| {
        let mut command = program(home.path());
        let command = command.args(["library", "forget"]).arg(path);
        command
            .args(["--library", "lib"])
            .output()
            .expect("it runs")
    };
    // Its copy goes with it.
    let output = forget(OsStr::from_bytes(b"in/b\xff.png"));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(exported("in"), 2);
    let output = forget(OsStr::new("other/../in/"));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(exported("in"), 0);
}
