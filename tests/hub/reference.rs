//! Comparing a model with its reference implementation, which is written in Python. A shell script stands for Python here and
//! answers with what `tests/oracle/reference.py` gave for the same checkpoint.

use std::os::unix::fs::PermissionsExt;

use crate::*;

const NOTICE: &str = "proved on random weights only";

/// A program that reads the script from its input, and answers with this text.
fn python(user: &User, name: &str, answer: &str) -> String {
    let path = user.home.path().join(name);
    fs::write(path.with_extension("json"), answer).unwrap();
    let script = format!(
        "#!/bin/sh\n[ \"$1 $2\" = '- siglip' ] && grep -q 'def by_transformers' && exec cat {}\n",
        path.with_extension("json").display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_string_lossy().into_owned()
}

fn answer() -> String {
    fs::read_to_string(fixture().join("reference.json")).unwrap()
}

fn classify(user: &User) -> String {
    let picture = user.home.path().join("p.png");
    image::GrayImage::from_pixel(40, 30, image::Luma([90]))
        .save(&picture)
        .unwrap();
    let output = user.run(&["classify", "--model", ID, picture.to_str().unwrap()]);
    said(&output)
}

#[test]
fn a_published_models_first_use_says_that_its_weights_were_not_compared() {
    let user = User::with_hub(HubBehaviour::default());
    assert_done(&user.pull());
    let first = classify(&user);
    let line = first.lines().find(|line| line.contains(NOTICE)).unwrap();
    assert!(
        line.starts_with(ID) && line.contains("models verify --reference"),
        "{first}"
    );
    assert!(!classify(&user).contains(NOTICE));
}

#[test]
fn a_successful_comparison_is_remembered() {
    let user = User::with_hub(HubBehaviour::default());
    assert_done(&user.pull());
    let python = python(&user, "python", &answer());
    let arguments = ["models", "verify", "--reference", "--python", &python, ID];
    let output = user.run(&arguments);
    assert_done(&output);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with("ok") && text.contains("torch"), "{text}");
    assert!(!classify(&user).contains(NOTICE));
    let listed = user.run(&["models", "list"]);
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(text.contains("compared with its reference"), "{text}");
    let listed = user.run(&["models", "list", "--json"]);
    let all: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let all = all.as_array().unwrap();
    let own = all.iter().find(|model| model["id"] == ID).unwrap();
    assert!(own["cache"]["reference"]["images"].as_f64() > Some(0.999));
    assert_eq!(own["cache"]["commit"], COMMIT);
    let known = all
        .iter()
        .find(|model| model["catalogue"]["name"] == "biomedclip");
    assert_eq!(known.unwrap()["catalogue"]["bytes"], 783_705_670_u64);
    assert!(known.unwrap()["cache"].is_null());
}

#[test]
fn other_embeddings_than_the_references_are_a_failure_that_is_not_remembered() {
    let user = User::with_hub(HubBehaviour::default());
    assert_done(&user.pull());
    let mut other: serde_json::Value = serde_json::from_str(&answer()).unwrap();
    let embedding = other["pictures"][1]["embedding"].as_array_mut().unwrap();
    embedding.reverse();
    let python = python(&user, "python", &other.to_string());
    let output = user.run(&["models", "verify", "--reference", "--python", &python, ID]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("DIFFERS"));
    assert!(classify(&user).contains(NOTICE));
}

#[test]
fn a_missing_or_failing_python_is_reported_in_a_sentence() {
    let user = User::with_hub(HubBehaviour::default());
    assert_done(&user.pull());
    let verify =
        |python: &str| user.run(&["models", "verify", "--reference", "--python", python, ID]);
    assert_refused(
        &verify("/nonexistent/python"),
        &["cannot be run", "--python"],
    );
    let failing = user.home.path().join("failing");
    fs::write(
        &failing,
        "#!/bin/sh\necho 'No module named torch' >&2; exit 1\n",
    )
    .unwrap();
    fs::set_permissions(&failing, fs::Permissions::from_mode(0o755)).unwrap();
    let failing = failing.to_str().unwrap();
    assert_refused(&verify(failing), &["No module named torch", "packages"]);
}

#[test]
fn a_model_that_cannot_be_compared_does_not_keep_the_others_from_it() {
    let user = User::with_hub(HubBehaviour::default());
    assert_done(&user.pull());
    let weights = fixture().with_file_name("openai");
    let weights = weights.to_str().unwrap();
    assert_done(&user.run(&["models", "import", weights, "--id", "test/a-file"]));
    let python = python(&user, "python", &answer());
    let output = user.run(&["models", "verify", "--reference", "--python", &python]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("ok"));
    assert!(said(&output).contains("test/a-file: a file of weights"));
}
