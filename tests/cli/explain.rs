//! `explain`.

use std::collections::HashMap;

use super::*;

#[test]
fn contributions_add_up_and_leads_order_the_conditions() {
    let home = tempfile::tempdir().expect("a home");
    demo(home.path(), 14, 5);
    let first = fs::read_dir(home.path().join("d"))
        .expect("files")
        .flatten();
    let first = first.map(|entry| entry.path()).find(|path| {
        path.extension()
            .is_some_and(|extension| extension == "png" || extension == "jpg")
    });
    let file = first.expect("an image").to_string_lossy().into_owned();
    // Nothing else of the folder is known yet.
    let alone = run(
        home.path(),
        &["explain", &file, "--prompts", "general", "--json"],
    );
    assert_eq!(alone.status.code(), Some(0), "{}", stderr(&alone));
    let alone: Value = serde_json::from_slice(&alone.stdout).expect("JSON");
    assert_eq!(alone["compared"], 0);
    assert!(alone["conditions"][0]["phrases"][0]["percentile"].is_null());
    run(home.path(), &["classify", "d", "--prompts", "general"]);
    let known = run(
        home.path(),
        &["explain", &file, "--prompts", "general", "--json"],
    );
    let known: Value = serde_json::from_slice(&known.stdout).expect("JSON");
    assert_eq!(known["compared"], 13, "not with itself");
    let number = |value: &Value| value.as_f64().expect("a number");
    let conditions = known["conditions"].as_array().expect("conditions");
    assert_eq!(conditions.len(), 4);
    assert_eq!(conditions[0]["condition"], known["label"]);
    let mut similarities = HashMap::new();
    for score in known["scores"].as_array().expect("scores") {
        similarities.insert(score["condition"].to_string(), number(&score["similarity"]));
    }
    let logits: Vec<f64> = conditions.iter().map(|c| number(&c["logit"])).collect();
    assert!(logits.is_sorted_by(|a, b| a >= b), "{logits:?}");
    let scale = logits[0] / similarities[&conditions[0]["condition"].to_string()];
    for condition in conditions {
        let sum = |key: &str| {
            let phrases = condition["phrases"].as_array().expect("phrases");
            phrases
                .iter()
                .map(|phrase| number(&phrase[key]))
                .sum::<f64>()
        };
        assert!((sum("contribution") - number(&condition["logit"])).abs() < 1e-5);
        assert!((sum("lead") - number(&condition["lead"])).abs() < 1e-5);
        // The logit is that of the result.
        let similarity = similarities[&condition["condition"].to_string()];
        assert!((scale * similarity - number(&condition["logit"])).abs() < 1e-3);
        for phrase in condition["phrases"].as_array().expect("phrases") {
            assert!((0.0..1.0).contains(&number(&phrase["percentile"])));
        }
        let placebo = condition["placebo"]["phrases"].as_array().expect("phrases");
        assert_eq!(
            placebo.len(),
            condition["phrases"].as_array().expect("phrases").len()
        );
    }
    assert_eq!(known["notice"], "Research use only; not a diagnosis.");
    let table = run(home.path(), &["explain", &file, "--prompts", "general"]);
    let text = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(
        text.contains("placebo") && text.contains("It is no reason"),
        "{text}"
    );
    assert!(!text.contains("because"), "{text}");
}

/// A phantom with a finding that the demo has written, and its condition.
fn finding(home: &Path, suffix: &str) -> (String, String) {
    let truth = fs::read_to_string(home.join("d/truth.csv")).expect("a truth");
    let mut rows = truth
        .lines()
        .skip(1)
        .map(|row| row.split(',').collect::<Vec<_>>());
    let row = rows.find(|row| row[0].ends_with(suffix) && row[1] != "normal");
    let row = row.expect("a finding");
    (format!("d/{}", row[0]), row[1].to_owned())
}

/// Asserts that `--method eclip` is followed, and that its values, which do not add up to the score, are withheld or printed as its check
/// says.
fn assert_mapped_by_grad_eclip(home: &Path, file: &str) {
    let output = run(
        home,
        &[
            "explain",
            file,
            "--prompts",
            "general",
            "--method",
            "eclip",
            "--json",
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let map = &report["map"];
    assert_eq!(
        (&map["method"], &map["rest"]),
        (&"eclip".into(), &Value::Null)
    );
    assert_eq!(map["deletion"]["passed"], map["values"].is_array());
    assert_eq!(map["deletion"]["passed"], map["withheld"].is_null());
}

#[test]
fn a_heat_map_is_checked_and_drawn_over_the_image() {
    let home = tempfile::tempdir().expect("a home");
    demo(home.path(), 14, 5);
    let (file, condition) = finding(home.path(), ".jpg");
    let explain = [
        "explain",
        &file,
        "--prompts",
        "general",
        "--render",
        "out.png",
        "--json",
    ];
    let output = run(home.path(), &explain);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let map = &report["map"];
    assert_eq!(
        (&map["condition"], &map["withheld"]),
        (&condition.into(), &Value::Null)
    );
    assert_eq!(map["deletion"]["passed"], true);
    let number = |value: &Value| value.as_f64().expect("a number");
    assert!(number(&map["deletion"]["deleted"]) < number(&map["deletion"]["random"][0]));
    let values = map["values"].as_array().expect("values");
    let cells = |side: usize| map["grid"][side].as_u64().expect("a number") as usize;
    assert_eq!(values.len(), cells(0) * cells(1));
    let sum: f64 = values.iter().map(number).sum();
    assert!((sum + number(&map["rest"]) - number(&map["score"])).abs() < 1e-3);
    // Below the image there is a legend, and over it there is colour.
    let drawn = image::open(home.path().join("out.png"))
        .expect("an image")
        .to_rgb8();
    let original = image::open(home.path().join(&file)).expect("an image");
    assert!(drawn.width() == original.width() && drawn.height() > original.height());
    assert!(
        drawn
            .pixels()
            .any(|p| i32::from(p.0[0]) - i32::from(p.0[2]) > 60)
    );
    assert!(
        drawn
            .pixels()
            .any(|p| i32::from(p.0[2]) - i32::from(p.0[0]) > 60)
    );

    let explain = [
        "explain",
        &file,
        "--prompts",
        "general",
        "--condition",
        "normal",
        "--method",
        "occlusion",
    ];
    let output = run(home.path(), &explain);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("Heat map of normal by occlusion: "),
        "{text}{}",
        stderr(&output)
    );
    assert!(
        text.contains("deletion check") || text.contains("withheld"),
        "{text}"
    );
    assert!(!text.contains("because"), "{text}");

    assert_mapped_by_grad_eclip(home.path(), &file);

    let unknown = run(
        home.path(),
        &[
            "explain",
            &file,
            "--prompts",
            "general",
            "--condition",
            "gout",
        ],
    );
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        stderr(&unknown).contains("no condition `gout`; it has "),
        "{}",
        stderr(&unknown)
    );
    let over = run(home.path(), &["explain", &file, "--render", &file]);
    assert_eq!(over.status.code(), Some(2), "{}", stderr(&over));
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_reason() {
    let home = home();
    let missing = run(home.path(), &["explain", "in/none.png"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        stderr(&missing).contains("in/none.png"),
        "{}",
        stderr(&missing)
    );
    assert!(missing.stdout.is_empty());
}

#[test]
fn the_nearest_reviewed_images_follow_and_copies_and_missing_files_are_marked() {
    let home = tempfile::tempdir().expect("a home");
    let home = home.path();
    demo(home, 16, 6);
    let explain = |file: &str, json: bool| {
        let all = ["explain", file, "--prompts", "general"];
        let output = run(
            home,
            &[&all[..], if json { &["--json"] } else { &[] }].concat(),
        );
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        output
    };
    let table = fs::read_to_string(home.join("d/truth.csv")).expect("labels");
    let names: Vec<&str> = table
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').next())
        .collect();
    let file = format!("d/{}", names[0]);
    let before: Value = serde_json::from_slice(&explain(&file, true).stdout).expect("JSON");
    assert_eq!(
        (&before["reviewed"], &before["neighbours"]),
        (&0.into(), &Value::Array(vec![]))
    );

    let classified = run(home, &["classify", "d", "--prompts", "general"]);
    assert_eq!(classified.status.code(), Some(0), "{}", stderr(&classified));
    let import = ["reviews", "import", "d/truth.csv", "--reviewer", "bo"];
    let imported = run(home, &[&import[..], &["--prompts", "general"]].concat());
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    fs::remove_file(home.join("d").join(names[1])).expect("removed");
    let report: Value = serde_json::from_slice(&explain(&file, true).stdout).expect("JSON");
    assert_eq!(report["reviewed"], 15, "itself left out");
    let all = report["neighbours"].as_array().expect("neighbours");
    assert!(all.len() >= 6 && all.len() <= 16, "{report}");
    for own in all {
        let path = own["path"].as_str().expect("a path");
        let name = path.rsplit('/').next().expect("a name");
        assert_ne!(name, names[0]);
        assert_eq!(own["missing"], name == names[1], "{own}");
        let similarity = own["similarity"].as_f64().expect("a number");
        assert_eq!(own["near_copy"], similarity >= 0.99, "{own}");
        let label = own["label"].as_str().expect("a label");
        let line = format!("{name},{label},");
        assert!(table.contains(&line), "{line}");
    }
    let text = String::from_utf8_lossy(&explain(&file, false).stdout).into_owned();
    assert!(text.contains("Nearest of 15 reviewed images"), "{text}");
}
