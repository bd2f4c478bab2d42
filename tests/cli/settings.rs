//! Settings: their precedence, and errors in them.

use super::*;

#[test]
fn settings_come_from_file_then_environment_then_arguments() {
    let home = home();
    let config = home.path().join(".config/medivision-tui");
    fs::create_dir_all(&config).expect("made");
    fs::write(config.join("config.toml"), "prompts = \"chest-xray\"\n").expect("written");
    let model = checkpoint();
    let prompts = |environment: Option<&str>, argument: Option<&str>| {
        let mut command = program(home.path());
        command
            .args(["classify", "in/a.png", "--model"])
            .arg(&model);
        if let Some(name) = environment {
            command.env("MEDIVISION_PROMPTS", name);
        }
        if let Some(name) = argument {
            command.args(["--prompts", name]);
        }
        lines(&command.output().expect("the binary starts"))[0]["prompts"].clone()
    };
    assert_eq!(prompts(None, None), "chest-xray");
    assert_eq!(prompts(Some("brain-mri"), None), "brain-mri");
    assert_eq!(prompts(Some("brain-mri"), Some("bone-xray")), "bone-xray");
}

/// Invalid settings, and the error after the file's name.
const WRONG_SETTINGS: [(&str, &str); 12] = [
    (
        "model = \"demo\"\nmodle = \"x\"\n",
        ":2: unknown key `modle`; did you mean `model`?",
    ),
    (
        "theme = \"pink\"\n",
        ":1: unknown value `pink` in `theme`; use one of `dark`, `light`, `none`",
    ),
    (
        "[layout]\ntiles = 6\n",
        ":2: 6 is not between 1 and 5 in `layout.tiles`",
    ),
    ("\ndevice = \"gpu\"\n", ":2: device: `gpu` is not a device"),
    (
        "precision = \"b16\"\n",
        ":1: precision: `b16` is not a precision; did you mean `bf16`?",
    ),
    (
        "memory = \"2T\"\n",
        ":1: memory: `2T` is not a number of bytes, such as 500M or 2Gi",
    ),
    (
        "log_level = \"warning\"\n",
        ":1: log_level: `warning` is not a log level; did you mean `warn`?",
    ),
    (
        "[keys]\nquit = [\"Q\"]\nhelp = [\"j\"]\n",
        ":3: keys: j is assigned to both down and help",
    ),
    (
        "\n[keys]\nfly = [\"x\"]\n",
        ":3: keys: there is no action \"fly\"",
    ),
    (
        "[keys]\nhelp = [\"Hyper-x\"]\n",
        ":2: keys: help: there is no key \"Hyper-x\"",
    ),
    (
        "[keys]\nhelp = [\"X\"]\nmark-rang = [\"Y\"]\n",
        ":3: keys: there is no action \"mark-rang\"; did you mean \"mark-range\"?",
    ),
    (
        "[keys]\nhelp = [\"x\"]\nhelp = [\"y\"]\n",
        ":3: duplicate key",
    ),
];

#[test]
fn an_error_in_the_settings_is_reported_with_its_line() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join(".config/medivision-tui");
    fs::create_dir_all(&folder).expect("a folder");
    for (text, words) in WRONG_SETTINGS {
        fs::write(folder.join("config.toml"), text).expect("written");
        let output = run(home.path(), &["prompts", "list"]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        let said = stderr(&output);
        assert!(said.contains(&format!("config.toml{words}")), "{said}");
        // `doctor` reports it, too, and checks the rest without the file.
        let output = run(home.path(), &["doctor"]);
        assert_eq!(output.status.code(), Some(3), "{text}");
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            report.contains(&format!("config.toml{words}")) && report.contains("builtin on cpu"),
            "{report}"
        );
    }
    let right = "theme = \"light\"\ncolours = \"16\"\nascii = true\n[layout]\nview = \"grid\"\n[keys]\nquit = [\"Q\"]\n";
    fs::write(folder.join("config.toml"), right).expect("written");
    let output = run(home.path(), &["doctor"]);
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(report.contains("config.toml"), "{report}");
    assert!(
        report.contains("16 colours (by the settings)")
            && report.contains("ASCII (by the settings)"),
        "{report}"
    );
    assert!(!report.contains("FAULT"), "{report}");
}

#[test]
fn empty_variables_and_a_home_that_is_no_folder_are_no_errors() {
    let home = tempfile::tempdir().expect("a folder");
    for name in [
        "PRECISION",
        "GRAPHICS",
        "CONFIG",
        "MODEL",
        "DEVICE",
        "MEMORY",
    ] {
        let mut command = program(home.path());
        let command = command
            .args(["prompts", "list"])
            .env(format!("MEDIVISION_{name}"), "");
        let output = command.output().expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
    }
    let mut command = program(home.path());
    let command = command.args(["prompts", "list"]).env("HOME", "/dev/null");
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn the_example_settings_in_the_readme_are_valid() {
    let home = tempfile::tempdir().expect("a folder");
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```toml\nmodel").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let file = home.path().join("example.toml");
    fs::write(&file, format!("model{example}")).expect("written");
    let file = file.to_str().expect("UTF-8");
    let output = run(home.path(), &["prompts", "list", "--config", file]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn an_image_that_needs_more_memory_than_allowed_is_refused() {
    let home = home();
    image::GrayImage::new(2000, 2000)
        .save(home.path().join("large.png"))
        .expect("written");
    let inspect = |memory: &str| {
        let mut command = program(home.path());
        command.env("MEDIVISION_MEMORY", memory);
        command.args(["inspect", "large.png"]);
        command.output().expect("the binary starts")
    };
    assert_eq!(inspect("20M").status.code(), Some(0));
    let refused = inspect("2M");
    assert_eq!(refused.status.code(), Some(1));
    let error = &lines(&refused)[0]["error"];
    assert_eq!(error["kind"], "too_large");
    assert!(error["message"].to_string().contains("--memory"), "{error}");
    assert_eq!(inspect("much").status.code(), Some(2));
}
