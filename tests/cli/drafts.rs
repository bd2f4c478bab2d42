//! `prompts draft`, against a server that speaks the protocol.

pub mod server;

use std::io::{Read, Write};
use std::process::Command;

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use server::{Answer, Response, Server, failing, responding, said};

use super::*;

/// What a good model answers.
const GOOD: &str = r#"{"conditions": [
    {"name": "pneumonia", "description": "Patchy opacity.",
     "present": ["- hazy patchy opacity.", "no clear lung", "signs of pneumonia", "hazy patchy opacity"],
     "absent": ["clear lungs"]},
    {"name": "normal", "description": "Clear lungs.", "present": ["clear lungs"], "absent": ["an opacity"]}
]}"#;

fn draft(home: &Path, url: &str, arguments: &[&str]) -> Command {
    let mut command = program(home);
    command
        .args(["prompts", "draft", "pneumonia", "--model", "builtin"])
        .args(arguments)
        .env("MEDIVISION_LLM_URL", url)
        .env("MEDIVISION_LLM_MODEL", "test-model");
    command
}

fn outcome(mut command: Command) -> (Option<i32>, String, String) {
    let output = command.output().expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), text, stderr(&output))
}

/// The sentence when the server behaves like this.
fn failure(answer: impl Fn(&server::Request, usize) -> Answer + Send + Sync + 'static) -> String {
    let home = tempfile::tempdir().expect("a home");
    let server = Server::start(answer);
    let (code, text, said) = outcome(draft(home.path(), &server.url, &["--yes"]));
    assert_eq!((code, text.as_str()), (Some(3), ""), "{said}");
    assert!(
        !home.path().join(".config/medivision-tui/prompts").exists(),
        "nothing is saved"
    );
    said
}

#[test]
#[allow(clippy::too_many_lines)] // One story.
fn a_draft_is_checked_saved_and_used_and_only_names_have_left_the_machine() {
    let home = tempfile::tempdir().expect("a home");
    let server = Server::saying(GOOD);
    let mut command = draft(
        home.path(),
        &server.url,
        &["--modality", "chest X-ray", "--name", "ward", "--yes"],
    );
    command.env("MEDIVISION_LLM_KEY", "sk-secret");
    let (code, text, told) = outcome(command);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        text.contains("  + hazy patchy opacity\n") && text.contains("absent: clear lungs"),
        "{text}"
    );
    for part in [
        "“no clear lung”: “no” negates",
        "“signs of pneumonia”: it names",
        "repeats “hazy patchy opacity”",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!(request.path, "/v1/chat/completions");
    assert_eq!(request.key.as_deref(), Some("Bearer sk-secret"));
    assert_eq!(request.format(), "json_schema");
    assert_eq!(
        (&request.body["temperature"], &request.body["model"]),
        (&0.into(), &"test-model".into())
    );
    let messages = request.body["messages"].as_array().expect("messages");
    assert_eq!(
        messages[1]["content"],
        "Modality: chest X-ray\nConditions:\n- pneumonia\n- normal (the healthy state)"
    );
    // Every line that was sent was shown before, and the key was not.
    for message in messages {
        for line in message["content"].as_str().expect("text").lines() {
            assert!(told.contains(line), "{line}\n{told}");
        }
    }
    let parameters = &request.body["response_format"].to_string();
    assert!(
        told.contains(parameters.as_str()) && !told.contains("sk-secret"),
        "{told}"
    );
    let home_name = home.path().to_string_lossy().into_owned();
    assert!(!request.body.to_string().contains(&home_name) && !request.head.contains(&home_name));
    let file = home.path().join(".config/medivision-tui/prompts/ward.toml");
    let saved = fs::read_to_string(file).expect("saved");
    for part in [
        "# Drafted by test-model at http://127.0.0.1",
        "# Request: conditions pneumonia, normal; modality chest X-ray",
        "# Left out:",
    ] {
        assert!(saved.contains(part), "{saved}");
    }
    assert!(!saved.contains("sk-secret"));
    let checked = run(home.path(), &["prompts", "check", "ward"]);
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
    picture(&home.path().join("a.png"), 90);
    let classified = run(
        home.path(),
        &[
            "classify",
            "a.png",
            "--prompts",
            "ward",
            "--model",
            "builtin",
        ],
    );
    assert_eq!(
        lines(&classified)[0]["prompts"],
        "ward",
        "{}",
        stderr(&classified)
    );
    // Phrases of absence were drafted for each condition, so each can be decided on by itself, and explained as a pair.
    let alone = [
        "explain",
        "a.png",
        "--mode",
        "multi",
        "--prompts",
        "ward",
        "--json",
    ];
    let output = run(home.path(), &alone);
    let explained: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(explained["mode"], "multi", "{explained}");
    let conditions = explained["conditions"].as_array().expect("conditions");
    for condition in conditions {
        let number = |value: &Value| value.as_f64().expect("a number");
        let pair = &condition["pair"];
        let delta = number(&pair["delta"]);
        let difference = number(&pair["present"]) - number(&pair["absent"]);
        assert!((delta - difference).abs() < 1e-12, "{condition}");
        // The probability is the sigmoid of Δ times a positive scale.
        let probability = number(&condition["probability"]);
        assert_eq!(probability > 0.5, delta > 0.0, "{condition}");
    }
}

#[test]
fn nothing_is_sent_unless_configured_and_confirmed() {
    let home = tempfile::tempdir().expect("a home");
    let server = Server::saying(GOOD);
    let (code, _, told) = outcome(draft(home.path(), &server.url, &[]));
    assert_eq!(code, Some(2), "{told}");
    assert!(
        told.contains("--yes") && told.contains("- pneumonia"),
        "{told}"
    );
    let off = run(home.path(), &["prompts", "draft", "pneumonia", "--yes"]);
    assert_eq!(off.status.code(), Some(2));
    assert!(
        stderr(&off).contains("MEDIVISION_LLM_URL"),
        "{}",
        stderr(&off)
    );
    let mut unnamed = draft(home.path(), &server.url, &["--yes"]);
    unnamed.env_remove("MEDIVISION_LLM_MODEL");
    assert!(outcome(unnamed).2.contains("MEDIVISION_LLM_MODEL"));
    let (code, _, told) = outcome(draft(
        home.path(),
        "https://x.invalid/v1",
        &["--yes", "--offline"],
    ));
    assert_eq!(
        (code, told.contains("--offline")),
        (Some(2), true),
        "{told}"
    );
    assert!(server.requests().is_empty());
    // A server on this machine is not the network.
    let (code, _, told) = outcome(draft(home.path(), &server.url, &["--yes", "--offline"]));
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn a_set_is_redrafted_shown_as_a_difference_and_replaced_only_if_confirmed() {
    let home = tempfile::tempdir().expect("a home");
    let server = Server::saying(GOOD);
    let arguments = ["--set", "chest-xray", "--name", "chest", "--json"];
    let mut command = draft(home.path(), &server.url, &arguments);
    let (code, text, told) = outcome({
        command.arg("--yes");
        command
    });
    assert_eq!(code, Some(3), "`normal` was not asked for: {told}");
    assert!(
        told.contains("`normal`, which was not asked for") && text.is_empty(),
        "{told}"
    );
    let both = [
        "normal",
        "--set",
        "chest-xray",
        "--name",
        "chest",
        "--yes",
        "--json",
    ];
    let (code, text, told) = outcome(draft(home.path(), &server.url, &both));
    assert_eq!(code, Some(0), "{told}");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let names: Vec<&Value> = report["conditions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|c| &c["name"])
        .collect();
    assert_eq!(names, ["pneumonia", "tumor", "normal"]);
    assert_eq!(report["conditions"][0]["phrases"][0], "pneumonia");
    assert_eq!(report["model"], "test-model");
    assert_eq!(
        report["request"],
        server.requests().last().expect("asked").body
    );
    let file = home
        .path()
        .join(".config/medivision-tui/prompts/chest.toml");
    let before = fs::read_to_string(&file).expect("saved");
    assert!(
        before.contains("a frontal chest radiograph of {}"),
        "templates stay: {before}"
    );
    let again = ["normal", "--set", "chest-xray", "--name", "chest", "--yes"];
    let (code, text, _) = outcome(draft(home.path(), &server.url, &again));
    assert_eq!(code, Some(0));
    assert!(
        !text.contains("  + ") && !text.contains("  - "),
        "nothing changes: {text}"
    );
    let out = home.path().join("own.toml");
    let (code, _, told) = outcome(draft(
        home.path(),
        &server.url,
        &["--yes", "--out", "own.toml"],
    ));
    assert!(code == Some(0) && out.is_file(), "{told}");
    assert_eq!(
        run(home.path(), &["prompts", "check", "own.toml"])
            .status
            .code(),
        Some(0)
    );
}

#[test]
fn a_server_without_schemas_is_asked_in_words_that_it_knows() {
    let home = tempfile::tempdir().expect("a home");
    let server = Server::start(|request, _| match request.format().as_str() {
        Some("json_schema") => failing(400, "response_format json_schema is not supported"),
        Some("json_object") => said(&format!("```json\n{GOOD}\n```")),
        _ => failing(500, "never asked"),
    });
    let (code, _, told) = outcome(draft(home.path(), &server.url, &["--yes"]));
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(server.requests().len(), 2);
    // One that ignores the schema in silence.
    let server = Server::start(|request, _| match request.format().as_str() {
        Some("json_schema") => said("Here are some phrases: hazy opacity."),
        _ => said(GOOD),
    });
    let (code, _, told) = outcome(draft(home.path(), &server.url, &["--yes"]));
    assert_eq!((code, server.requests().len()), (Some(0), 2), "{told}");
}

#[test]
fn a_busy_server_is_asked_again_after_the_pause_that_it_names() {
    let home = tempfile::tempdir().expect("a home");
    let server = Server::start(|_, number| match number {
        0 => Answer::Respond(Response {
            status: 429,
            headers: vec![("Retry-After", "0".to_owned())],
            body: String::new(),
        }),
        _ => said(GOOD),
    });
    let (code, _, told) = outcome(draft(home.path(), &server.url, &["--yes"]));
    assert_eq!((code, server.requests().len()), (Some(0), 2), "{told}");
    let limited = |after: &'static str| {
        failure(move |_, _| {
            Answer::Respond(Response {
                status: 429,
                headers: vec![("Retry-After", after.to_owned())],
                body: r#"{"error":{"message":"Rate limit reached."}}"#.to_owned(),
            })
        })
    };
    let told = limited("3600");
    assert!(
        told.contains("Rate limit reached")
            && told.contains("60 minutes")
            && told.contains("try again later"),
        "{told}"
    );
    let told = limited("0");
    assert!(told.contains("is busy: status 429"), "{told}");
}

#[test]
fn each_fault_has_a_sentence_that_says_what_to_do() {
    let choice = |choice: Value| responding(200, &serde_json::json!({ "choices": [choice] }));
    let told = failure(move |_, _| {
        choice(
            serde_json::json!({ "message": { "content": "{\"cond" }, "finish_reason": "length" }),
        )
    });
    assert!(
        told.contains("cut off after") && told.contains("fewer conditions"),
        "{told}"
    );
    let told = failure(move |_, _| {
        choice(serde_json::json!({ "message": { "refusal": "I can't help with that." } }))
    });
    assert!(
        told.contains("declined") && told.contains("I can't help with that"),
        "{told}"
    );
    let told = failure(|_, _| said("The lungs are two organs."));
    assert!(
        told.contains("not usable") && told.contains("The lungs are two"),
        "{told}"
    );
    let told = failure(|_, _| said(r#"{"conditions": []}"#));
    assert!(told.contains("nothing on `pneumonia`"), "{told}");
    let told = failure(|_, _| failing(401, "Incorrect API key provided."));
    assert!(
        told.contains("does not accept the key") && told.contains("MEDIVISION_LLM_KEY"),
        "{told}"
    );
    let told = failure(|_, _| failing(404, "model 'test-model' not found"));
    assert!(
        told.contains("has no model `test-model`") && told.contains("MEDIVISION_LLM_MODEL"),
        "{told}"
    );
    let told = failure(|_, _| responding(200, &serde_json::json!({ "hello": 1 })));
    assert!(
        told.contains("does not answer as a chat-completions endpoint"),
        "{told}"
    );
    let told = failure(|_, _| responding(302, &Value::Null));
    assert!(told.contains("redirects"), "{told}");
}

#[test]
fn a_server_that_is_not_there_or_says_nothing_is_given_up() {
    let home = tempfile::tempdir().expect("a home");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/v1", closed.local_addr().expect("bound"));
    drop(closed);
    let (code, _, told) = outcome(draft(home.path(), &url, &["--yes"]));
    assert_eq!(code, Some(3));
    assert!(
        told.contains("cannot be reached") && told.contains("start the server"),
        "{told}"
    );
    let server = Server::start(|_, _| Answer::Silence);
    let config = home.path().join("c.toml");
    let settings = format!(
        "[llm]\nurl = \"{}\"\nmodel = \"m\"\ntimeout = 1\n",
        server.url
    );
    fs::write(&config, settings).expect("written");
    let output = run(
        home.path(),
        &[
            "prompts",
            "draft",
            "pneumonia",
            "--yes",
            "--config",
            "c.toml",
        ],
    );
    assert_eq!(output.status.code(), Some(3));
    assert!(
        stderr(&output).contains("did not answer within 1 s"),
        "{}",
        stderr(&output)
    );
}

/// A command that asks a server which says nothing, and gets a signal meanwhile.
pub fn interrupted(
    signal: rustix::process::Signal,
    command: impl FnOnce(&str) -> Command,
) -> Output {
    let (asked, waiting) = std::sync::mpsc::channel();
    let server = Server::start(move |_, _| {
        asked.send(()).expect("the test waits");
        Answer::Silence
    });
    let mut command = command(&server.url);
    let child = command
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    waiting.recv().expect("asked");
    let process =
        rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    rustix::process::kill_process(process, signal).expect("sent");
    child.wait_with_output().expect("it ends")
}

#[test]
fn a_signal_ends_a_request_at_once() {
    let home = tempfile::tempdir().expect("a home");
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let output = interrupted(signal, |url| draft(home.path(), url, &["--yes"]));
        assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
        assert!(
            stderr(&output).contains("nothing was saved"),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn what_is_meant_for_this_machine_passes_no_proxy() {
    let home = tempfile::tempdir().expect("a home");
    let server = Server::saying(GOOD);
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    proxy.set_nonblocking(true).expect("set");
    let address = format!("http://{}", proxy.local_addr().expect("bound"));
    let mut command = draft(home.path(), &server.url, &["--yes", "--offline"]);
    for name in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "http_proxy"] {
        command.env(name, &address);
    }
    let (code, _, told) = outcome(command);
    assert_eq!((code, server.requests().len()), (Some(0), 1), "{told}");
    assert!(proxy.accept().is_err(), "the proxy was asked");
}

#[test]
fn a_key_in_the_address_is_sent_and_not_shown_or_saved() {
    let home = tempfile::tempdir().expect("a home");
    let server = Server::saying(GOOD);
    let url = format!("{}?key=sk-1", server.url);
    let (code, text, told) = outcome(draft(
        home.path(),
        &url,
        &["--yes", "--json", "--out", "k.toml"],
    ));
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(server.requests()[0].path, "/v1/chat/completions?key=sk-1");
    let saved = fs::read_to_string(home.path().join("k.toml")).expect("saved");
    for shown in [text, told, saved] {
        assert!(
            shown.contains("?key=…") && !shown.contains("sk-1"),
            "{shown}"
        );
    }
}

/// A set of the user whose names are spelled otherwise than in [`GOOD`].
const SPELLED: &str = r#"
name = "own"
[[condition]]
name = "Pneumonia"
phrases = ["an opacity"]
absent = ["no opacity"]
[[condition]]
name = "Normal"
phrases = ["clear lungs"]
absent = ["an opacity"]
normal = true
"#;

#[test]
fn names_are_those_of_the_set_and_it_keeps_one_healthy_condition() {
    let home = tempfile::tempdir().expect("a home");
    fs::write(home.path().join("own.toml"), SPELLED).expect("written");
    let server = Server::saying(GOOD);
    let arguments = ["healthy", "--set", "own.toml", "--name", "new", "--yes"];
    let (code, _, told) = outcome(draft(home.path(), &server.url, &arguments));
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(
        server.requests()[0].body["messages"][1]["content"],
        "Conditions:\n- Pneumonia\n- Normal (the healthy state)"
    );
    let file = home.path().join(".config/medivision-tui/prompts/new.toml");
    let saved = fs::read_to_string(file).expect("saved");
    assert_eq!(saved.matches("[[condition]]").count(), 2, "{saved}");
    assert_eq!(saved.matches("normal = true").count(), 1, "{saved}");
    let twice = ["healthy", "normal", "--set", "own.toml", "--yes"];
    let (code, _, told) = outcome(draft(home.path(), &server.url, &twice));
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("`Normal` is named twice"), "{told}");
}

#[test]
fn a_draft_that_cannot_be_saved_is_kept_and_named() {
    let home = tempfile::tempdir().expect("a home");
    let taken = home.path().join("taken.toml");
    let server = Server::start(move |_, _| {
        fs::create_dir(&taken).expect("made");
        said(GOOD)
    });
    let arguments = ["--yes", "--out", "taken.toml"];
    let (code, _, told) = outcome(draft(home.path(), &server.url, &arguments));
    assert_eq!(code, Some(1), "{told}");
    let (_, kept) = told.rsplit_once("the draft is in ").expect("it is named");
    let kept = fs::read_to_string(home.path().join(kept.trim())).expect("it is there");
    assert!(kept.contains("hazy patchy opacity"), "{kept}");
}

#[test]
fn a_place_that_cannot_be_written_is_told_before_anything_is_sent() {
    let home = tempfile::tempdir().expect("a home");
    fs::create_dir(home.path().join("taken.toml")).expect("made");
    fs::write(home.path().join("file"), "").expect("written");
    let server = Server::saying(GOOD);
    for out in ["taken.toml", "file/ward.toml", "/proc/self/ward.toml"] {
        let (code, _, told) = outcome(draft(home.path(), &server.url, &["--yes", "--out", out]));
        assert_eq!(code, Some(1), "{told}");
        assert!(
            told.contains(&format!("{out} cannot be written: ")),
            "{told}"
        );
    }
    assert!(server.requests().is_empty());
    assert_eq!(fs::read_dir(home.path()).expect("readable").count(), 2);
}

#[test]
fn a_refused_key_that_the_server_quotes_is_not_shown() {
    let home = tempfile::tempdir().expect("a home");
    let server = Server::start(|request, number| match number {
        0 => failing(
            401,
            &format!(
                "Incorrect API key: {}",
                request.key.as_deref().unwrap_or("none")
            ),
        ),
        _ => said(r#"{"sk-TOPSECRET123": 1}"#),
    });
    for part in ["does not accept the key", "not usable"] {
        let mut command = draft(home.path(), &server.url, &["--yes"]);
        command.env("MEDIVISION_LLM_KEY", "sk-TOPSECRET123");
        let (code, _, told) = outcome(command);
        assert_eq!(code, Some(3), "{told}");
        assert!(told.contains(part) && told.contains("•••"), "{told}");
        assert!(!told.contains("SECRET"), "{told}");
    }
}

#[test]
fn a_draft_says_how_its_answer_was_asked_for() {
    let home = tempfile::tempdir().expect("a home");
    let server = Server::start(|request, _| {
        let refused = ["temperature", "seed"]
            .into_iter()
            .find(|key| !request.body[key].is_null());
        refused.map_or_else(
            || said(GOOD),
            |key| failing(400, &format!("unknown field `{key}`")),
        )
    });
    let (code, _, told) = outcome(draft(
        home.path(),
        &server.url,
        &["--yes", "--out", "w.toml"],
    ));
    assert_eq!((code, server.requests().len()), (Some(0), 3), "{told}");
    let saved = fs::read_to_string(home.path().join("w.toml")).expect("saved");
    assert!(
        saved.contains("neither temperature nor seed, which the server refused"),
        "{saved}"
    );
    assert!(!saved.contains("temperature 0"), "{saved}");
}

#[test]
fn a_draft_is_saved_whether_it_can_be_printed_or_not() {
    let home = tempfile::tempdir().expect("a home");
    let server = Server::saying(GOOD);
    let saved = |name: &str| {
        let file = home
            .path()
            .join(".config/medivision-tui/prompts")
            .join(name);
        fs::read_to_string(file).expect("it is saved")
    };
    let mut full = draft(home.path(), &server.url, &["--yes", "--name", "full"]);
    let disk = fs::OpenOptions::new().write(true).open("/dev/full");
    full.stdout(disk.expect("it opens"));
    let (code, _, told) = outcome_of_stderr(full);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("the set is saved: ") && told.contains("full.toml"),
        "{told}"
    );
    assert!(saved("full.toml").contains("hazy patchy opacity"));
    let mut piped = draft(home.path(), &server.url, &["--yes", "--name", "pipe"]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    piped.stdout(writer);
    let (code, _, told) = outcome_of_stderr(piped);
    assert_eq!(code, Some(0), "{told}");
    assert!(saved("pipe.toml").contains("hazy patchy opacity"));
}

/// As [`outcome`], of a command whose stdout goes elsewhere.
fn outcome_of_stderr(mut command: Command) -> (Option<i32>, String, String) {
    let child = command.stderr(Stdio::piped()).spawn();
    let output = child.and_then(std::process::Child::wait_with_output);
    let output = output.expect("the binary runs");
    (output.status.code(), String::new(), stderr(&output))
}

#[test]
fn what_cannot_become_a_set_is_refused_before_it_is_sent() {
    let home = tempfile::tempdir().expect("a home");
    let server = Server::saying(GOOD);
    for (arguments, part) in [
        (&["no finding"][..], "beside the healthy one"),
        (&["pneumonia", "--modality", "CT {}"], "--modality: `CT {}`"),
    ] {
        let mut command = program(home.path());
        command
            .args(["prompts", "draft", "--yes"])
            .args(arguments)
            .env("MEDIVISION_LLM_URL", &server.url)
            .env("MEDIVISION_LLM_MODEL", "m");
        let (code, _, told) = outcome(command);
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains(part), "{told}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn ctrl_c_at_a_question_leaves_the_draft_and_names_its_file() {
    let home = tempfile::tempdir().expect("a home");
    let server = Server::saying(GOOD);
    let pair = native_pty_system()
        .openpty(PtySize::default())
        .expect("a terminal");
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_medivision-tui"));
    command.args(["prompts", "draft", "pneumonia", "--no-edit"]);
    command.env_clear();
    command.cwd(home.path());
    command.env("HOME", home.path());
    command.env("MEDIVISION_MODEL", "builtin");
    command.env("MEDIVISION_LLM_URL", &server.url);
    command.env("MEDIVISION_LLM_MODEL", "m");
    let mut child = pair.slave.spawn_command(command).expect("it starts");
    drop(pair.slave);
    let mut keys = pair.master.take_writer().expect("a keyboard");
    let mut screen = pair.master.try_clone_reader().expect("a screen");
    let mut seen = String::new();
    for (question, answer) in [("[y/N] ", "y\n"), ("[Y/n] ", "\u{3}")] {
        let mut bytes = [0; 4096];
        while !seen.contains(question) {
            let count = screen.read(&mut bytes).expect("it asks");
            seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        keys.write_all(answer.as_bytes()).expect("typed");
    }
    let mut rest = Vec::new();
    // A terminal ends with an error.
    let _ = screen.read_to_end(&mut rest);
    assert_eq!(child.wait().expect("it ends").exit_code(), 130);
    let rest = String::from_utf8_lossy(&rest);
    let (_, file) = rest.split_once("the draft is in ").expect("it is named");
    let file = file.lines().next().unwrap_or_default().trim();
    let kept = fs::read_to_string(file).expect("it is there");
    assert!(kept.contains("hazy patchy opacity"), "{kept}");
}
