//! Reviews on the command line: known labels are imported, and compared with results and with each other.

use super::*;

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn labels_are_imported_once_and_compared_with_results_and_other_reviewers() {
    let home = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| run(home.path(), arguments);
    demo(home.path(), 14, 5);
    let none = run(&["reviews"]);
    assert_eq!(none.status.code(), Some(3), "there is no library yet");
    let classified = run(&[
        "classify",
        "d",
        "--model",
        "demo",
        "--prompts",
        "general",
        "--format",
        "jsonl",
    ]);
    let results = lines(&classified);
    assert!(!results.is_empty(), "{}", stderr(&classified));

    let import = ["reviews", "import", "d", "--reviewer", "truth"];
    let nobody = run(&import[..3]);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(
        stderr(&nobody).contains("--reviewer"),
        "{}",
        stderr(&nobody)
    );
    let imported = run(&import);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let labels = fs::read_to_string(home.path().join("d/truth.csv")).expect("labels");
    let count = labels.lines().count() - 1;
    assert_eq!(
        text(&imported),
        format!("{count} labels imported as reviews of truth, 0 were known\n")
    );
    assert_eq!(
        text(&run(&import)),
        format!("0 labels imported as reviews of truth, {count} were known\n")
    );

    // Another reviewer knows one of the images, and calls it by another name.
    let image = labels
        .lines()
        .nth(1)
        .and_then(|line| line.split(',').next());
    let image = image.expect("a file");
    fs::create_dir_all(home.path().join("one/tumor")).expect("a folder");
    fs::create_dir_all(home.path().join("one/normal")).expect("a folder");
    let is_tumor = labels
        .lines()
        .nth(1)
        .is_some_and(|line| line.contains("tumor"));
    let other = if is_tumor { "normal" } else { "tumor" };
    let copy = home.path().join("one").join(other).join("copy");
    fs::copy(home.path().join("d").join(image), copy).expect("a copy");
    let second = run(&["reviews", "import", "one", "--reviewer", "bo"]);
    assert_eq!(second.status.code(), Some(0), "{}", stderr(&second));

    let told = text(&run(&["reviews"]));
    let of_truth = format!("truth, prompts general: {count} reviewed, 0 of them blind; 0 flagged");
    assert!(told.contains(&of_truth), "{told}");
    assert!(told.contains("with bo: 0 of 1 the same (0.0%"), "{told}");
    let reports: Value = serde_json::from_str(&text(&run(&["reviews", "--json"]))).expect("JSON");
    let truth = &reports[1];
    assert_eq!(
        (&truth["reviewer"], &truth["reviewed"]),
        (&"truth".into(), &count.into())
    );
    let with_model = &truth["agreements"][0];
    // Worked out from the lines themselves.
    let label = |path: &str| {
        let line = labels
            .lines()
            .find(|line| line.split(',').next() == Some(path));
        line.and_then(|line| line.split(',').nth(1))
            .map(str::to_owned)
    };
    let same = results.iter().filter(|line| {
        let path = line["path"].as_str().unwrap_or_default();
        let path = path.strip_prefix("d/").unwrap_or(path);
        let label = label(path);
        label.is_some() && line["label"].as_str() == label.as_deref()
    });
    assert_eq!(with_model["same"], same.count());
    assert_eq!(
        (&with_model["with"], &with_model["cases"]),
        (&"model".into(), &count.into())
    );
    assert!(
        with_model["kappa"]
            .as_f64()
            .is_some_and(|kappa| kappa > 0.5),
        "{with_model}"
    );
    let state = text(&run(&["library", "check"]));
    assert!(state.contains(&format!("{} reviews", count + 1)), "{state}");
}

#[test]
fn reviews_are_exported_as_tables_of_their_own() {
    let home = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| run(home.path(), arguments);
    demo(home.path(), 6, 5);
    run(&["classify", "d", "--model", "demo", "--prompts", "general"]);
    run(&["reviews", "import", "d", "--reviewer", "Ana, Dr."]);
    let labels = fs::read_to_string(home.path().join("d/truth.csv")).expect("labels");
    let exported = lines(&run(&["export", "--what", "reviews"]));
    assert_eq!(exported.len(), labels.lines().count() - 1);
    for review in &exported {
        let path = review["path"].as_str().expect("a path");
        let line = labels.lines().skip(1).find(|line| {
            let name = line.split(',').next().unwrap_or_default();
            path.ends_with(&format!("/d/{name}"))
        });
        let label = line.and_then(|line| line.split(',').nth(1));
        assert_eq!(review["labels"], serde_json::json!([label]));
        assert_eq!(review["reviewer"], "Ana, Dr.");
        assert_eq!(
            (&review["blind"], &review["sampled"]),
            (&false.into(), &false.into())
        );
        assert!(
            review["content"]
                .as_str()
                .is_some_and(|hash| hash.starts_with("blake3:"))
        );
    }
    let csv = run(&["export", "d", "--what", "reviews", "--format", "csv"]);
    let csv = text(&csv);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().expect("a header").clone();
    assert_eq!(
        header.iter().take(4).collect::<Vec<_>>(),
        ["path", "content", "prompts", "reviewer"]
    );
    let rows: Vec<_> = reader.records().map(|row| row.expect("a row")).collect();
    assert_eq!(rows.len(), exported.len());
    assert!(
        rows.iter()
            .all(|row| &row[3] == "Ana, Dr." && &row[7] == "false")
    );
    let none = run(&["export", "elsewhere", "--what", "reviews"]);
    assert_eq!((none.status.code(), text(&none).as_str()), (Some(0), ""));
    for refused in [
        &["--filter", "reviewed"][..],
        &["--all"],
        &["--format", "sr", "--output", "o"],
    ] {
        let output = run(&[&["export", "--what", "reviews"], refused].concat());
        assert_eq!(output.status.code(), Some(2), "{refused:?}");
        assert!(
            stderr(&output).contains("does not apply to reviews"),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn measurements_are_exported_with_their_files() {
    let home = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| run(home.path(), arguments);
    demo(home.path(), 2, 5);
    run(&["classify", "d", "--model", "demo", "--prompts", "general"]);
    let none = run(&["export", "--what", "measurements"]);
    assert_eq!((none.status.code(), text(&none).as_str()), (Some(0), ""));
    let library = home
        .path()
        .join(".local/share/medivision-tui/library.sqlite3");
    let library = rusqlite::Connection::open(library).expect("a library");
    // As the interface stores an ellipse on a CT.
    let insert = r#"INSERT INTO measurements (key, content, frame, kind, points, measured, unit, author, at)
        SELECT 'k', min(content), 2, 'ellipse', '[[0.5,1.5],[20.5,11.5]]',
        '{"area":{"value":157.1,"unit":"millimetres"},"statistics":{"pixels":12,"mean":-3.5,"deviation":0.25,"min":-9.0,"max":7.0}}',
        'HU', 'ana', '2026-01-31T10:00:00Z' FROM files"#;
    library.execute(insert, []).expect("inserted");
    let [line] = &lines(&run(&["export", "d", "--what", "measurements"]))[..] else {
        panic!("one measurement");
    };
    assert_eq!(
        (&line["kind"], &line["unit"], &line["frame"]),
        (&"ellipse".into(), &"HU".into(), &2.into())
    );
    assert_eq!(line["area"]["value"], 157.1);
    assert_eq!(
        line["points"],
        serde_json::json!([[0.5, 1.5], [20.5, 11.5]])
    );
    let csv = text(&run(&[
        "export",
        "--what",
        "measurements",
        "--format",
        "csv",
    ]));
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let row: std::collections::HashMap<String, String> =
        reader.deserialize().next().expect("a row").expect("a row");
    for (column, value) in [
        ("kind", "ellipse"),
        ("area", "157.1"),
        ("area_unit", "millimetres"),
        ("pixels", "12"),
        ("mean", "-3.5"),
        ("deviation", "0.25"),
        ("length", ""),
        ("points", "[[0.5,1.5],[20.5,11.5]]"),
        ("author", "ana"),
    ] {
        assert_eq!(row[column], value, "{column}");
    }
    assert_eq!(row["path"], line["path"]);
}

/// Phantoms that were classified by the sets for their kinds, and a table of those that show a chest.
fn of_several_kinds() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| run(home.path(), arguments);
    demo(home.path(), 14, 5);
    let classified = run(&["classify", "d", "--model", "builtin", "--format", "jsonl"]);
    let sets: std::collections::BTreeSet<String> = lines(&classified)
        .iter()
        .map(|line| line["prompts"].to_string())
        .collect();
    assert!(sets.len() > 1, "{sets:?}");
    let truth = fs::read_to_string(home.path().join("d/truth.csv")).expect("labels");
    let rows = truth.lines().enumerate();
    let chest = rows.filter(|(at, row)| *at == 0 || row.ends_with(",CHEST"));
    let chest: Vec<&str> = chest.map(|(_, row)| row).collect();
    assert!(chest.len() > 2, "{truth}");
    fs::write(home.path().join("d/chest.csv"), chest.join("\n")).expect("written");
    home
}

#[test]
fn labels_become_reviews_under_the_set_of_each_result() {
    let home = of_several_kinds();
    let run = |arguments: &[&str]| run(home.path(), arguments);
    let imported = run(&["reviews", "import", "d", "--reviewer", "truth"]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let reports: Value = serde_json::from_str(&text(&run(&["reviews", "--json"]))).expect("JSON");
    let sets: Vec<&str> = reports
        .as_array()
        .expect("reports")
        .iter()
        .map(|report| report["prompts"].as_str().expect("a name"))
        .collect();
    assert!(sets.contains(&"chest-xray") && sets.len() > 1, "{sets:?}");
    // Each image is compared with its own result.
    for report in reports.as_array().expect("reports") {
        let compared = report["agreements"][0]["cases"].as_u64();
        assert_eq!(compared, report["reviewed"].as_u64(), "{report}");
    }
    // Learning needs one of the sets, and says which there are.
    let learned = run(&["learn", "--model", "builtin", "--dry-run"]);
    assert_eq!(learned.status.code(), Some(2));
    assert!(
        stderr(&learned).contains("chest-xray "),
        "{}",
        stderr(&learned)
    );
    let named = [
        "reviews",
        "import",
        "d",
        "--reviewer",
        "bo",
        "--prompts",
        "brain-mri",
    ];
    let named = run(&named);
    assert_eq!(named.status.code(), Some(2), "it has no fracture");
}

#[test]
fn figures_follow_the_set_that_all_images_choose() {
    let home = of_several_kinds();
    let run = |arguments: &[&str]| run(home.path(), arguments);
    let all = run(&["eval", "d", "--model", "builtin", "--prompts", "auto"]);
    assert_eq!(all.status.code(), Some(2));
    let told = stderr(&all);
    assert!(
        told.contains("several prompt sets") && told.contains("chest-xray "),
        "{told}"
    );
    let chest = [
        "eval",
        "d/chest.csv",
        "--model",
        "builtin",
        "--prompts",
        "auto",
        "--json",
    ];
    let chest = run(&chest);
    assert_eq!(chest.status.code(), Some(0), "{}", stderr(&chest));
    let report: Value = serde_json::from_str(&text(&chest)).expect("JSON");
    assert_eq!(report["prompts"], "chest-xray");
    let named = [
        "eval",
        "d/chest.csv",
        "--model",
        "builtin",
        "--prompts",
        "chest-xray",
        "--json",
    ];
    let named: Value = serde_json::from_str(&text(&run(&named))).expect("JSON");
    assert_eq!(named, report, "as if it had been named");
    let general: Value =
        serde_json::from_str(&text(&run(&["eval", "d", "--model", "builtin", "--json"])))
            .expect("JSON");
    assert_eq!(general["prompts"], "general", "unless auto is asked for");
}

#[test]
fn labels_of_several_conditions_become_reviews() {
    let home = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| run(home.path(), arguments);
    for (name, grey) in [("a.png", 10), ("b.png", 20), ("c.png", 30)] {
        picture(&home.path().join(name), grey);
    }
    let table = "path,label\na.png,pneumonia;tumor\nb.png,\nc.png,fracture\nc.png,tumor\n";
    fs::write(home.path().join("t.csv"), table).expect("written");
    let import = ["reviews", "import", "t.csv", "--reviewer", "bo"];
    let one = run(&[&import[..], &["--prompts", "general"]].concat());
    assert_eq!(one.status.code(), Some(2), "one applies unless it is said");
    let several = [&import[..], &["--prompts", "general", "--mode", "multi"]].concat();
    let imported = run(&several);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let labels = || {
        let exported = lines(&run(&["export", "--what", "reviews"]));
        let labels = exported.into_iter().map(|mut line| line["labels"].take());
        labels.collect::<Vec<_>>()
    };
    let expected = serde_json::json!([["pneumonia", "tumor"], ["normal"], ["tumor", "fracture"]]);
    assert_eq!(Value::from(labels()), expected);
    // Exactly one kind applies, whatever the mode.
    fs::write(
        home.path().join("k.csv"),
        "path,label\na.png,ultrasound;CT slice\nb.png,ultrasound\n",
    )
    .expect("written");
    let kinds = [
        "reviews",
        "import",
        "k.csv",
        "--reviewer",
        "bo",
        "--prompts",
        "kinds",
        "--mode",
        "multi",
    ];
    let refused = run(&kinds);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
}

#[test]
fn a_label_of_what_is_no_image_is_named_and_not_imported() {
    let home = tempfile::tempdir().expect("a folder");
    picture(&home.path().join("a.png"), 20);
    fs::write(home.path().join("notes.txt"), "normal").expect("written");
    fs::write(
        home.path().join("t.csv"),
        "path,label\na.png,normal\nnotes.txt,normal\n",
    )
    .expect("written");
    let import = [
        "reviews",
        "import",
        "t.csv",
        "--reviewer",
        "truth",
        "--prompts",
        "general",
    ];
    let imported = run(home.path(), &import);
    assert_eq!(imported.status.code(), Some(1), "{}", stderr(&imported));
    let said = stderr(&imported);
    assert!(
        said.contains("notes.txt: not a JPEG, PNG or DICOM image"),
        "{said}"
    );
    assert!(text(&imported).starts_with("1 label imported"));
}
