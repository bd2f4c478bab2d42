//! Adjusting to a folder's mix: what is printed beside the scores, and what is refused.

use super::*;

/// Prompts that describe the phantoms' conditions poorly. The set is the user's, so that nothing calibrates it beforehand.
const VAGUE: &str = r#"
name = "vague"
title = "Vague"
templates = ["{}", "a medical image showing {}"]

[[condition]]
name = "pneumonia"
description = "Hazy."
phrases = ["a hazy area", "an abnormal lung"]

[[condition]]
name = "tumor"
description = "Round."
phrases = ["a round area", "something unusual"]

[[condition]]
name = "fracture"
description = "A line."
phrases = ["a dark line", "an abnormal bone"]

[[condition]]
name = "normal"
description = "Nothing."
phrases = ["nothing unusual", "an image of a body part"]
normal = true
"#;

fn ward() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a home");
    fs::write(home.path().join("vague.toml"), VAGUE).expect("written");
    demo(home.path(), 48, 8);
    home
}

fn adjusted(home: &Path, arguments: &[&str]) -> Output {
    let all = ["--model", "demo", "--prompts", "vague.toml"];
    run(home, &[arguments, &all].concat())
}

#[test]
fn adjusted_probabilities_stand_beside_the_scores_and_are_not_stored() {
    let home = ward();
    let home = home.path();
    let refused = adjusted(home, &["classify", "d", "--adjust"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(refused.stdout.is_empty());
    assert!(
        stderr(&refused).contains("not calibrated") && stderr(&refused).contains("calibrate"),
        "{}",
        stderr(&refused)
    );
    let calibrated = adjusted(home, &["calibrate", "d"]);
    assert_eq!(calibrated.status.code(), Some(0), "{}", stderr(&calibrated));
    let text = String::from_utf8_lossy(&calibrated.stdout).into_owned();
    assert!(text.contains("adjusting a mix    offered"), "{text}");

    let plain = lines(&adjusted(home, &["classify", "d", "--format", "jsonl"]));
    let output = adjusted(home, &["classify", "d", "--format", "jsonl", "--adjust"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("estimated mix of 48 images"),
        "{}",
        stderr(&output)
    );
    let all = lines(&output);
    assert_eq!(all.len(), plain.len());
    for (line, plain) in all.iter().zip(&plain) {
        // The scores are what they are without.
        assert_eq!(
            (&line["label"], &line["scores"]),
            (&plain["label"], &plain["scores"])
        );
        let own = &line["adjusted"];
        let scores = own["scores"].as_array().expect("scores");
        let sum: f64 = scores
            .iter()
            .filter_map(|own| own["probability"].as_f64())
            .sum();
        assert!((sum - 1.0).abs() < 1e-9, "{line}");
        assert_eq!(own["label"], scores[0]["condition"]);
        assert_eq!(own["mix"]["images"], 48);
        assert_eq!(own["mix"]["estimated"], true);
    }
    let again = lines(&adjusted(home, &["classify", "d", "--format", "jsonl"]));
    assert!(again.iter().all(|line| line.get("adjusted").is_none()));

    let stated = adjusted(
        home,
        &["classify", "d", "--format", "jsonl", "--adjust=1% abnormal"],
    );
    let abnormal = |all: &[Value]| {
        let called = all
            .iter()
            .filter(|line| line["adjusted"]["label"] != "normal");
        called.count()
    };
    let stated = lines(&stated);
    assert!(abnormal(&stated) <= abnormal(&all));
    let shares = stated[0]["adjusted"]["mix"]["shares"]
        .as_array()
        .expect("shares");
    let normal = shares.iter().find(|own| own["condition"] == "normal");
    let normal = normal
        .and_then(|own| own["share"].as_f64())
        .expect("a share");
    assert!((normal - 0.99).abs() < 1e-9, "{shares:?}");
}

#[test]
fn a_table_and_eval_show_both_and_wrong_mixes_are_named() {
    let home = ward();
    let home = home.path();
    assert_eq!(adjusted(home, &["calibrate", "d"]).status.code(), Some(0));
    let csv = adjusted(home, &["classify", "d", "--format", "csv", "--adjust"]);
    let mut reader = csv::Reader::from_reader(&csv.stdout[..]);
    let header = reader.headers().expect("a header").clone();
    let column = |name: &str| {
        let at = header.iter().position(|own| own == name);
        at.unwrap_or_else(|| panic!("{name} in {header:?}"))
    };
    let (label, probability) = (column("adjusted_label"), column("adjusted_probability"));
    let normal = column("adjusted:normal");
    for row in reader.records() {
        let row = row.expect("a row");
        let number = |at: usize| row[at].parse::<f64>().expect("a number");
        assert!((0.0..=1.0).contains(&number(normal)));
        if &row[label] == "normal" {
            assert!((number(probability) - number(normal)).abs() < 1e-12);
        }
    }
    let table = adjusted(home, &["classify", "d", "--format", "table", "--adjust"]);
    let text = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(
        text.lines()
            .next()
            .is_some_and(|head| head.contains("ADJUSTED")),
        "{text}"
    );

    let eval = adjusted(
        home,
        &["eval", "d/truth.csv", "--json", "--draws", "0", "--adjust"],
    );
    assert_eq!(eval.status.code(), Some(0), "{}", stderr(&eval));
    let report: Value = serde_json::from_slice(&eval.stdout).expect("JSON");
    let accuracy = |of: &Value| of["accuracy"]["value"].as_f64().expect("a number");
    assert!(
        accuracy(&report["adjusted"]) >= accuracy(&report),
        "{report}"
    );
    let eval = adjusted(home, &["eval", "d/truth.csv", "--draws", "0", "--adjust"]);
    let text = String::from_utf8_lossy(&eval.stdout).into_owned();
    assert!(text.contains("adjusted to the estimated mix"), "{text}");

    for (mix, expected) in [
        ("--adjust=abnormal", "does not say a share"),
        ("--adjust=normal=60%,tumor=50%", "more than 100 %"),
    ] {
        let wrong = adjusted(home, &["classify", "d", mix]);
        assert_eq!(wrong.status.code(), Some(2), "{}", stderr(&wrong));
        assert!(stderr(&wrong).contains(expected), "{}", stderr(&wrong));
    }
    let multi = adjusted(home, &["classify", "d", "--mode", "multi", "--adjust"]);
    assert_eq!(multi.status.code(), Some(2));
    assert!(stderr(&multi).contains("multi mode"), "{}", stderr(&multi));
    let unknown = adjusted(home, &["classify", "d", "--adjust=5% effusion"]);
    assert!(
        stderr(&unknown).contains("`effusion` is not a condition"),
        "{}",
        stderr(&unknown)
    );
}
