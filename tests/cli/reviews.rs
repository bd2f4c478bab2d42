//! Reviews on the command line: known labels are imported, and compared with results and with each other.

use super::*;

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn labels_are_imported_once_and_compared_with_results_and_other_reviewers() {
    let home = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| run(home.path(), arguments);
    run(&["demo", "d", "--write-only", "--count", "14", "--seed", "5"]);
    let none = run(&["reviews"]);
    assert_eq!(none.status.code(), Some(3), "there is no library yet");
    let classified = run(&["classify", "d", "--model", "demo", "--format", "jsonl"]);
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
