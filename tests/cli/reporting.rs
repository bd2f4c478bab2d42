//! Commands that report or generate: `prompts`, `doctor`, `completions` and `man`.

use super::*;

#[test]
fn prompts_check_reports_the_file() {
    let home = home();
    fs::write(
        home.path().join("bad.toml"),
        "name = \"x\"\ntemplates = [\"no place\"]\n",
    )
    .expect("written");
    let output = run(home.path(), &["prompts", "check", "bad.toml"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("bad.toml"), "{}", stderr(&output));
    let output = run(home.path(), &["prompts", "check"]);
    assert_eq!(output.status.code(), Some(0));
    let output = run(home.path(), &["prompts", "list"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for name in ["general", "chest-xray", "brain-mri", "bone-xray"] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{text}");
    }
}

#[test]
fn completions_are_scripts() {
    let home = home();
    for shell in ["bash", "zsh", "fish"] {
        let output = run(home.path(), &["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("medivision-tui"),
            "{shell}"
        );
    }
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let home = home();
    let output = run(home.path(), &["man", "in"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for (page, words) in [
        ("medivision-tui.1", "log\\-level"),
        ("medivision-tui-classify.1", "batch\\-size"),
        ("medivision-tui-models-pull.1", "revision"),
    ] {
        let text = fs::read_to_string(home.path().join("in").join(page)).expect(page);
        assert!(
            text.contains(".TH") && text.contains(words),
            "{page}: {text}"
        );
    }
    let output = run(home.path(), &["man", "nowhere"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("nowhere: "), "{}", stderr(&output));
}

#[test]
fn doctor_fails_if_the_model_cannot_be_used() {
    let home = home();
    let model = checkpoint();
    let output = run(
        home.path(),
        &[
            "doctor",
            "--json",
            "--model",
            model.to_str().expect("UTF-8"),
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let names: Vec<_> = report
        .as_array()
        .expect("a list")
        .iter()
        .map(|c| c["name"].as_str())
        .collect();
    assert!(
        names.contains(&Some("model")) && names.contains(&Some("terminal")),
        "{names:?}"
    );
    let output = run(home.path(), &["doctor", "--model", "nowhere"]);
    assert_eq!(output.status.code(), Some(3));
    for (locale, arrow) in [("C", "> check --model"), ("C.UTF-8", "→ check --model")] {
        let mut program = program(home.path());
        let program = program.env("TERM", "xterm").env("LC_ALL", locale);
        let output = program.args(["doctor", "--model", "nowhere"]).output();
        let text = String::from_utf8(output.expect("it runs").stdout).expect("UTF-8");
        assert!(text.contains(arrow), "{text}");
        assert_eq!(text.is_ascii(), locale == "C", "{text}");
    }
}
