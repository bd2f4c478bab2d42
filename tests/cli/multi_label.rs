//! `eval` and `calibrate` on images that show several conditions, or none.

use super::*;

/// Conditions of which an image may show several, with texts for their absence.
const PARTS: &str = r#"
name = "parts"
title = "Parts"
templates = ["{}"]

[[condition]]
name = "chest"
description = "A chest."
phrases = ["a normal chest"]
absent = ["a broken bone", "a brain tumor"]

[[condition]]
name = "pneumonia"
description = "Pneumonia."
phrases = ["hazy patchy lung opacities"]
absent = ["clear lungs"]

[[condition]]
name = "tumor"
description = "A tumor."
phrases = ["a brain tumor with swelling around it"]
absent = ["a normal brain"]

[[condition]]
name = "healthy"
description = "Nothing."
phrases = ["a normal finding"]
absent = ["an abnormal finding"]
normal = true
"#;

/// What each file shows, by its path.
type Truths = HashMap<String, Vec<&'static str>>;

/// Phantoms in `d`, labelled in `d/t.csv` by part and finding: also in two rows, by an empty label, and by one that is none of the set's.
/// `d/several.csv` has the rows that name two.
fn labelled() -> (tempfile::TempDir, Truths) {
    let home = tempfile::tempdir().expect("a home");
    demo(home.path(), 64, 3);
    fs::write(home.path().join("parts.toml"), PARTS).expect("written");
    let truth = fs::read_to_string(home.path().join("d/truth.csv")).expect("labels");
    let (mut table, mut truths) = (String::from("path,label\n"), Truths::new());
    for (at, row) in truth.lines().skip(1).enumerate() {
        let cells: Vec<&str> = row.split(',').collect();
        let mut shown = Vec::new();
        shown.extend((cells[3] == "CHEST").then_some("chest"));
        let findings = ["pneumonia", "tumor"].into_iter();
        shown.extend(findings.filter(|own| *own == cells[1]));
        let mut rows = vec![shown.join(" | ")];
        if shown.len() == 2 && at % 3 == 0 {
            rows = shown.iter().map(|own| (*own).to_owned()).collect();
        }
        if shown.is_empty() && cells[1] == "fracture" {
            rows = vec!["fracture".to_owned()];
        } else if shown.is_empty() {
            shown.push("healthy");
        }
        for row in rows {
            table += &[cells[0], ",", &row, "\n"].concat();
        }
        truths.insert(format!("d/{}", cells[0]), shown);
    }
    let is_of_several = |row: &&str| row.contains(" | ");
    let several: Vec<&str> = table.lines().filter(is_of_several).collect();
    let several = format!("path,label\n{}\n", several.join("\n"));
    fs::write(home.path().join("d/several.csv"), several).expect("written");
    fs::write(home.path().join("d/t.csv"), table).expect("written");
    (home, truths)
}

/// Runs a command on these labels.
fn measured(home: &Path, arguments: &[&str], more: &[&str]) -> Output {
    let common = ["d/t.csv", "--map", "fracture=none", "--model", "builtin"];
    run(home, &[arguments, &common, more].concat())
}

const MULTI: [&str; 4] = ["--mode", "multi", "--prompts", "parts.toml"];

fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is a number"))
}

fn near(found: &Value, expected: f64) {
    assert!(
        (number(found) - expected).abs() < 1e-9,
        "{found} {expected}"
    );
}

/// The conditions of each line of `classify`, and of each condition whether it is shown, its score, and whether that reaches its point.
fn by_condition(lines: &[Value], truths: &Truths) -> HashMap<String, Vec<(bool, f64, bool)>> {
    let mut all: HashMap<String, Vec<(bool, f64, bool)>> = HashMap::new();
    for line in lines {
        let shown = &truths[line["path"].as_str().expect("a path")];
        for score in line["scores"].as_array().expect("scores") {
            let name = score["condition"].as_str().expect("a name");
            let probability = number(&score["probability"]);
            let said = probability >= score["threshold"].as_f64().unwrap_or(0.5);
            let own = (shown.contains(&name), probability, said);
            all.entry(name.to_owned()).or_default().push(own);
        }
    }
    all
}

/// The share of pairs of an image with the condition and one without it that are in the right order.
fn area(cases: &[(bool, f64, bool)]) -> f64 {
    let of = |side: bool| {
        cases
            .iter()
            .filter(move |own| own.0 == side)
            .map(|own| own.1)
    };
    let (mut wins, mut pairs) = (0.0, 0.0);
    for (with, without) in of(true).flat_map(|own| of(false).map(move |other| (own, other))) {
        pairs += 1.0;
        wins += if with > without {
            1.0
        } else if with < without {
            0.0
        } else {
            0.5
        };
    }
    wins / pairs
}

/// The share of the images with the condition, or without it, that are said to be what they are.
fn share(cases: &[(bool, f64, bool)], side: bool) -> f64 {
    let of = || cases.iter().filter(|own| own.0 == side);
    of().filter(|own| own.2 == side).count() as f64 / of().count() as f64
}

/// Checks a report against the lines of `classify`.
fn check(report: &Value, lines: &[Value], truths: &Truths) {
    let all = by_condition(lines, truths);
    let conditions = report["conditions"].as_array().expect("conditions");
    assert_eq!(conditions.len(), 4);
    let mut areas = Vec::new();
    for own in conditions {
        let name = own["condition"].as_str().expect("a name");
        let (cases, presence) = (&all[name], &own["presence"]);
        let positives = cases.iter().filter(|own| own.0).count();
        assert_eq!(
            (&own["cases"], &presence["positives"]),
            (&positives.into(), &positives.into())
        );
        assert_eq!(presence["negatives"], cases.len() - positives);
        areas.push(area(cases));
        near(&own["auroc"]["value"], area(cases));
        assert!(number(&own["auroc"]["low"]) <= area(cases));
        if name != "healthy" {
            near(&presence["sensitivity"]["value"], share(cases, true));
            near(&presence["specificity"]["value"], share(cases, false));
        }
    }
    let multi = &report["multi_label"];
    assert_eq!(multi["averaged"], 4);
    near(
        &multi["mean_auroc"]["value"],
        areas.iter().sum::<f64>() / 4.0,
    );
    let findings = ["chest", "pneumonia", "tumor"];
    let is_wrong = |name: &str, at: usize| all[name][at].0 != all[name][at].2;
    let wrong = |at: usize| findings.iter().filter(|own| is_wrong(own, at)).count();
    let count = lines.len();
    let right = (0..count).filter(|at| wrong(*at) == 0).count();
    near(&multi["exact_match"]["value"], right as f64 / count as f64);
    let wrong: usize = (0..count).map(wrong).sum();
    near(
        &multi["hamming_loss"]["value"],
        wrong as f64 / (3 * count) as f64,
    );
}

#[test]
fn eval_judges_each_condition_of_images_that_show_several() {
    let (home, truths) = labelled();
    let home = home.path();
    // One condition applies unless the mode says otherwise.
    let eval = ["eval", "d/several.csv", "--prompts", "parts.toml"];
    let single = run(home, &[&eval[..], &["--model", "builtin"]].concat());
    assert_eq!(single.status.code(), Some(2));
    let said = stderr(&single);
    assert!(
        said.contains("d/several.csv:2: ") && said.contains("`--mode multi`"),
        "{said}"
    );

    let eval = ["eval", "--draws", "200"];
    let report = json(&measured(home, &[&eval[..], &["--json"]].concat(), &MULTI));
    assert_eq!(
        (&report["cases"], &report["mode"]),
        (&64.into(), &"multi".into())
    );
    for of_labels in ["accuracy", "balanced_accuracy", "confusion"] {
        assert!(report[of_labels].is_null(), "no image has one label only");
    }
    let count = |is_counted: fn(usize) -> bool| {
        let all = truths.values();
        all.filter(|own| is_counted(own.len())).count()
    };
    let multi = &report["multi_label"];
    assert_eq!(multi["with_several"], count(|labels| labels > 1));
    assert_eq!(multi["without_condition"], count(|labels| labels == 0));
    assert!(
        multi["with_several"].as_u64() > Some(5) && multi["without_condition"].as_u64() > Some(5)
    );
    let classify = ["classify", "d", "--model", "builtin", "--format", "jsonl"];
    let classified = lines(&run(home, &[&classify[..], &MULTI].concat()));
    check(&report, &classified, &truths);
    assert_eq!(report["conditions"][0]["presence"]["threshold"], 0.5);

    let mut table = fs::read_to_string(home.join("d/t.csv")).expect("labels");
    table += "missing.png,chest\n";
    fs::write(home.join("d/t.csv"), table).expect("written");
    let told = measured(home, &eval, &MULTI);
    assert_eq!(told.status.code(), Some(1), "{}", stderr(&told));
    assert!(stderr(&told).contains("missing.png"));
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    for words in [
        "64 classified, 0 rejected, 1 failed",
        "mean AUROC",
        "exact match",
        "average precision",
        "sensitivity",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(
        !text.contains("accuracy") && !text.contains("columns: prediction"),
        "{text}"
    );
    let adjusted = measured(home, &["eval", "--adjust"], &MULTI);
    assert_eq!(adjusted.status.code(), Some(2));
    assert!(stderr(&adjusted).contains("multi"), "{}", stderr(&adjusted));
}

#[test]
fn labels_are_judged_as_ever_where_each_image_has_one() {
    let home = tempfile::tempdir().expect("a home");
    demo(home.path(), 64, 3);
    let eval = |mode: &str| {
        let arguments = [
            "eval", "d", "--json", "--draws", "200", "--model", "builtin",
        ];
        let more = ["--prompts", "general", "--mode", mode];
        json(&run(home.path(), &[&arguments[..], &more].concat()))
    };
    let [single, multi] = ["single", "multi"].map(eval);
    assert!(single.get("multi_label").is_none(), "{single}");
    assert!(
        single["conditions"][0].get("presence").is_none(),
        "{single}"
    );
    let classify = [
        "classify",
        "d",
        "--model",
        "builtin",
        "--prompts",
        "general",
    ];
    let classified = lines(&run(
        home.path(),
        &[&classify[..], &["--mode", "multi", "--format", "jsonl"]].concat(),
    ));
    let truth = fs::read_to_string(home.path().join("d/truth.csv")).expect("labels");
    let truth: HashMap<String, &str> = truth
        .lines()
        .skip(1)
        .map(|row| {
            let mut cells = row.split(',');
            let path = format!("d/{}", cells.next().expect("a path"));
            (path, cells.next().expect("a condition"))
        })
        .collect();
    let is_right = |line: &&Value| line["label"] == truth[line["path"].as_str().expect("a path")];
    let right = classified.iter().filter(is_right).count();
    near(&multi["accuracy"]["value"], right as f64 / 64.0);
    assert!(number(&multi["accuracy"]["low"]) <= number(&multi["accuracy"]["value"]));
    for (at, own) in multi["conditions"]
        .as_array()
        .expect("conditions")
        .iter()
        .enumerate()
    {
        let row: Vec<u64> = (0..4)
            .filter_map(|column| multi["confusion"][at][column].as_u64())
            .collect();
        assert_eq!(own["cases"], row.iter().sum::<u64>());
        near(
            &own["recall"],
            row[at] as f64 / row.iter().sum::<u64>() as f64,
        );
        assert_eq!(own["presence"]["positives"], own["cases"]);
    }
}

/// Whether an operating point is the same, as far as text tells numbers.
fn is_same(found: Option<f64>, expected: Option<&f64>) -> bool {
    match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() < 1e-12,
        (found, expected) => found.is_none() && expected.is_none(),
    }
}

#[test]
fn operating_points_from_several_labels_reach_results_exports_and_eval() {
    let (home, truths) = labelled();
    let home = home.path();
    let calibrate = ["calibrate", "--json"];
    let few = measured(
        home,
        &calibrate,
        &[&MULTI[..], &["--map", "tumor=none"]].concat(),
    );
    // One that no image shows is left out and named; the others are calibrated.
    let few = json(&few);
    let left_out = serde_json::json!([{"condition": "tumor", "positives": 0}]);
    assert_eq!(few["left_out"], left_out, "{few}");
    assert_eq!(few["conditions"].as_array().map(Vec::len), Some(2), "{few}");
    let found = json(&measured(home, &calibrate, &MULTI));
    assert_eq!(
        (&found["images"], &found["mode"]),
        (&64.into(), &"multi".into())
    );
    let conditions = found["conditions"].as_array().expect("conditions");
    let mut points = HashMap::new();
    for own in conditions {
        let name = own["condition"].as_str().expect("a name");
        let positives = truths.values().filter(|shown| shown.contains(&name));
        assert_eq!(own["positives"], positives.count(), "{own}");
        assert_eq!(own["slope"], conditions[0]["slope"], "all share it");
        points.insert(name, number(&own["threshold"]));
    }
    assert_eq!(points.len(), 3, "what is normal has none");

    let classify = ["classify", "d", "--model", "builtin", "--format", "jsonl"];
    let classified = lines(&run(home, &[&classify[..], &MULTI].concat()));
    let exported = lines(&run(home, &["export"]));
    assert_eq!(exported.len(), classified.len());
    for line in classified.iter().chain(&exported) {
        assert_eq!(line["calibrated"], true);
        for score in line["scores"].as_array().expect("scores") {
            let name = score["condition"].as_str().expect("a name");
            let point = score.get("threshold").and_then(Value::as_f64);
            assert!(is_same(point, points.get(name)), "{line}");
        }
    }
    let eval = ["eval", "--draws", "200", "--json"];
    let report = json(&measured(home, &eval, &MULTI));
    assert_eq!(report["calibrated"], true);
    for own in report["conditions"].as_array().expect("conditions") {
        let name = own["condition"].as_str().expect("a name");
        let point = own["presence"]["threshold"].as_f64();
        assert!(is_same(point, points.get(name)), "{own}");
    }
    check(&report, &classified, &truths);
}

#[test]
fn prompt_sets_are_compared_on_images_that_show_several_conditions() {
    let (home, truths) = labelled();
    let home = home.path();
    // Pneumonia and tumor change places.
    let wrong = PARTS
        .replace("\"parts\"", "\"wrong\"")
        .replace("\"pneumonia\"", "\"x\"")
        .replace("\"tumor\"", "\"pneumonia\"")
        .replace("\"x\"", "\"tumor\"");
    fs::write(home.join("wrong.toml"), wrong).expect("written");
    let sets = [
        "--mode",
        "multi",
        "--prompts",
        "wrong.toml",
        "--prompts",
        "parts.toml",
    ];
    let eval = ["eval", "--draws", "200"];
    let report = json(&measured(home, &[&eval[..], &["--json"]].concat(), &sets));
    assert_eq!(report["labelled"], 64, "{report}");
    let compared = &report["comparison"];
    assert_eq!(compared["verdict_by"], "auroc", "{compared}");
    assert!(
        number(&compared["auroc"]["b_minus_a"]["low"]) > 0.0,
        "{compared}"
    );
    assert!(!compared["balanced_accuracy"].is_null());
    let changed = report["changed"].as_array().expect("a list");
    assert!(!changed.is_empty());
    for own in changed {
        let mut shown = truths[own["path"].as_str().expect("a path")].clone();
        shown.sort_unstable();
        let cell = if shown.is_empty() {
            "none".to_owned()
        } else {
            shown.join("; ")
        };
        assert_eq!(own["truth"], cell);
    }
    let table = measured(home, &eval, &sets);
    let text = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(
        text.contains("exact match") && text.contains("difference of AUROC"),
        "{text}"
    );
    let mut single = sets;
    single[1] = "single";
    let refused = run(
        home,
        &[
            &["eval", "d/several.csv", "--model", "builtin"][..],
            &single,
        ]
        .concat(),
    );
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("`--mode multi`"),
        "{}",
        stderr(&refused)
    );
}
