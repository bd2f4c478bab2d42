//! The built-in model and images that are not marked as synthetic: it tells their kind, until labels of the user's teach it findings.

use super::*;

/// Phantoms, and the same without their mark, drawn once for all tests: `d` and `films`, with `labels.csv` for two thirds of the chests.
struct Drawn {
    home: PathBuf,
    /// Names and labels of the other chests.
    left: Vec<(String, String)>,
    /// A chest with its mark.
    phantom: String,
}

static DRAWN: LazyLock<Drawn> = LazyLock::new(|| {
    let home = lasting("own-labels");
    demo(&home, 130, 11);
    let (mut known, mut left) = (vec!["path,label".to_owned()], Vec::new());
    let mut phantom = String::new();
    for (at, film) in unmarked(&home).into_iter().enumerate() {
        if film.name.starts_with("CHEST") {
            phantom = film.phantom;
            match (at + 1) % 3 {
                0 => left.push((film.name, film.label)),
                _ => known.push(format!("{},{}", film.name, film.label)),
            }
        }
    }
    let labels = home.join("films/labels.csv");
    fs::write(labels, known.join("\n")).expect("written");
    Drawn {
        home,
        left,
        phantom,
    }
});

/// A film: a phantom that has lost its mark.
pub(super) struct Film {
    /// Its name in `films`, which begins with the part of the body.
    pub(super) name: String,
    pub(super) label: String,
    /// The phantom in `d`.
    phantom: String,
}

/// Writes the pictures among the phantoms in `d` anew to `films`, by which they lose their mark.
pub(super) fn unmarked(home: &Path) -> Vec<Film> {
    fs::create_dir(home.join("films")).expect("made");
    let table = fs::read_to_string(home.join("d/truth.csv")).expect("labels");
    let mut films = Vec::new();
    for row in table.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        let [file, label, _, part] = cells[..] else {
            continue;
        };
        let Ok(picture) = image::open(home.join("d").join(file)) else {
            continue;
        };
        let name = format!("{part}-{}.png", films.len());
        let to = home.join("films").join(&name);
        picture.to_luma8().save(to).expect("written");
        films.push(Film {
            name,
            label: label.to_owned(),
            phantom: file.to_owned(),
        });
    }
    films
}

/// A home with `films`.
struct Films {
    home: tempfile::TempDir,
}

impl Films {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a home");
        copy_all(&DRAWN.home.join("films"), &home.path().join("films"));
        Self { home }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let output = run(self.home.path(), arguments);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        output
    }

    /// The results by file name, with the set chosen for each image.
    fn results(&self, more: &[&str]) -> std::collections::HashMap<String, Value> {
        let all = [
            "classify", "films", "--model", "builtin", "--format", "jsonl",
        ];
        let of_name = |line: Value| {
            let path = line["path"].as_str().expect("a path").to_owned();
            (path.trim_start_matches("films/").to_owned(), line)
        };
        let output = self.run(&[&all[..], more].concat());
        lines(&output).into_iter().map(of_name).collect()
    }
}

#[test]
fn labels_of_the_users_teach_the_built_in_model_findings_of_that_kind() {
    let films = Films::new();
    let before = films.results(&[]);
    assert!(before.values().all(|line| line["prompts"] == "kinds"));

    films.run(&["reviews", "import", "films/labels.csv", "--reviewer", "bo"]);
    let learned = films.run(&["learn", "--model", "builtin", "--json"]);
    let report: Value = serde_json::from_slice(&learned.stdout).expect("JSON");
    assert_eq!(
        report["prompts"], "chest-xray",
        "that of the kind: {report}"
    );
    assert_eq!(report["kind"], "chest radiograph");
    assert_eq!(report["kept"], true, "{report}");
    let balanced = &report["held_out"]["balanced_accuracy"];
    assert!(balanced["after"]["low"].as_f64() > balanced["chance"].as_f64());
    assert_eq!(report["moved"][0]["before"]["label"], "chest radiograph");

    // Labels that are kinds are reviews of kinds.
    let kinds = films.home.path().join("films/kinds.csv");
    let name = &DRAWN.left[0].0;
    fs::write(kinds, format!("path,label\n{name},chest radiograph\n")).expect("written");
    films.run(&["reviews", "import", "films/kinds.csv", "--reviewer", "ana"]);

    // Chests now have findings, most of them right; what is not a chest has its kind as before.
    let after = films.results(&[]);
    let right = DRAWN.left.iter().filter(|(name, label)| {
        let line = &after[name];
        line["prompts"] == "chest-xray" && line["label"] == label.as_str()
    });
    let share = right.count() as f64 / DRAWN.left.len() as f64;
    assert!(share > 0.7, "{share} of {}", DRAWN.left.len());
    let others: Vec<&Value> = after
        .iter()
        .filter(|(name, _)| !name.starts_with("CHEST"))
        .map(|(_, line)| line)
        .collect();
    assert!(!others.is_empty() && others.iter().all(|line| line["prompts"] == "kinds"));
    let named = films.results(&["--prompts", "chest-xray"]);
    for (name, line) in &named {
        let is_judged = line["decision"] != "rejected";
        assert_eq!(is_judged, after[name]["prompts"] == "chest-xray", "{name}");
    }

    // A phantom is scored as it was: what real images teach is not meant for it.
    let phantom = DRAWN.home.join("d").join(&DRAWN.phantom);
    let phantom = phantom.to_str().expect("UTF-8");
    let arguments = [
        "classify", phantom, "--model", "builtin", "--format", "jsonl",
    ];
    let line = &lines(&films.run(&arguments))[0];
    assert_eq!(
        (&line["prompts"], &line["calibrated"], line.get("learned")),
        (&"chest-xray".into(), &true.into(), None)
    );
    // An explanation is of the texts, but of the same question.
    let explained = films.run(&[
        "explain",
        &named_film(&DRAWN.left[0].0),
        "--model",
        "builtin",
        "--prompts",
        "chest-xray",
        "--json",
    ]);
    let explained: Value = serde_json::from_slice(&explained.stdout).expect("JSON");
    assert_ne!(explained["decision"], "rejected", "{explained}");
    // The texts tell these films apart as well as any: they score, and nothing was learned elsewhere.
    let gates = report["gates"].as_array().expect("a list");
    let is_learned = gates.iter().any(|own| own["gate"].as_f64() > Some(0.0));
    assert_eq!(explained["learned_elsewhere"].is_u64(), is_learned);

    films.run(&[
        "learn",
        "--model",
        "builtin",
        "--prompts",
        "chest-xray",
        "--undo",
    ]);
    let back = films.results(&[]);
    for (name, line) in &before {
        assert_eq!(line["label"], back[name]["label"], "{name}");
    }
}

#[test]
fn labels_that_say_nothing_teach_no_findings() {
    let films = Films::new();
    films.results(&[]);
    // Every image gets one of two labels by turns, whatever it shows.
    let table = films.home.path().join("films/labels.csv");
    let text = fs::read_to_string(&table).expect("labels");
    let rows = text.lines().enumerate().map(|(at, row)| {
        let name = row.split(',').next().expect("a name");
        match at {
            0 => row.to_owned(),
            at if at % 2 == 0 => format!("{name},pneumonia"),
            _ => format!("{name},normal"),
        }
    });
    fs::write(&table, rows.collect::<Vec<_>>().join("\n")).expect("written");
    films.run(&["reviews", "import", "films/labels.csv", "--reviewer", "bo"]);
    let refused = run(films.home.path(), &["learn", "--model", "builtin"]);
    assert_eq!(refused.status.code(), Some(3));
    let told = stderr(&refused);
    assert!(
        told.contains("do not show that findings can be told")
            && told.contains("guessing gets 50 %"),
        "{told}"
    );
    // A table says whose images they are: many of a few patients are a few.
    let rows = text.lines().enumerate().map(|(at, row)| match at {
        0 => format!("{row},patient"),
        at => format!("{row},P{}", at % 4),
    });
    fs::write(&table, rows.collect::<Vec<_>>().join("\n")).expect("written");
    let learn = ["learn", "films/labels.csv", "--model", "builtin"];
    let refused = run(
        films.home.path(),
        &[&learn[..], &["--prompts", "chest-xray"]].concat(),
    );
    let told = stderr(&refused);
    assert!(told.trim_end().ends_with(" of 4"), "{told}");
}

fn named_film(name: &str) -> String {
    format!("films/{name}")
}
