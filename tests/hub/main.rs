//! Downloading models, against a server that speaks the hub's protocol: what arrives, where it is stored, and what happens when
//! the connection breaks, the token is missing or a file is damaged.

mod import;
mod obstacles;
mod picker;
mod reference;
mod refusals;
mod server;
mod session;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use server::{COMMIT, HubBehaviour, ID, Server, TOKEN, pause, sha256};
use tempfile::TempDir;

const WEIGHTS: &str = "model.safetensors";

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/siglip")
}

fn weights() -> Vec<u8> {
    fs::read(fixture().join(WEIGHTS)).unwrap()
}

/// A user with a home folder, and a hub.
struct User {
    home: TempDir,
    server: Server,
}

impl User {
    fn with_hub(behaviour: HubBehaviour) -> Self {
        Self::with_hub_of(&fixture(), behaviour)
    }

    /// With a hub that has the files of a folder.
    fn with_hub_of(folder: &Path, behaviour: HubBehaviour) -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            server: Server::start(folder, behaviour),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_medivision-tui"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", "/usr/bin:/bin")
            .env("HF_ENDPOINT", &self.server.endpoint)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn pull(&self) -> Output {
        self.run(&["models", "pull", ID])
    }

    /// Stores a token as `hf auth login` does; returns its file.
    fn log_in(&self, token: &str) -> PathBuf {
        let file = self.home.path().join(".cache/huggingface/token");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, format!("{token}\n")).unwrap();
        file
    }

    fn model(&self) -> PathBuf {
        self.home
            .path()
            .join(".cache/huggingface/hub/models--test--model")
    }

    fn blob(&self) -> PathBuf {
        self.model().join("blobs").join(sha256(&weights()))
    }

    fn partial(&self) -> PathBuf {
        self.blob().with_extension("incomplete")
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn assert_done(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
}

/// Asserts that the command failed with exit code 3, and that stderr contains `words`.
fn assert_refused(output: &Output, words: &[&str]) {
    assert_eq!(output.status.code(), Some(3), "{}", said(output));
    for word in words {
        assert!(said(output).contains(word), "{word}: {}", said(output));
    }
}

#[test]
fn a_pulled_model_is_stored_where_other_clients_look_for_it() {
    let user = User::with_hub(HubBehaviour::default());
    let output = user.pull();
    assert_done(&output);
    let model = user.model();
    assert_eq!(fs::read_to_string(model.join("refs/main")).unwrap(), COMMIT);
    let snapshot = model.join("snapshots").join(COMMIT);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        snapshot.to_string_lossy()
    );
    let link = fs::read_link(snapshot.join(WEIGHTS)).unwrap();
    assert_eq!(link, Path::new("../../blobs").join(sha256(&weights())));
    for name in [
        WEIGHTS,
        "config.json",
        "tokenizer.json",
        // Without it, transformers cannot open the model.
        "spiece.model",
        "preprocessor_config.json",
    ] {
        let (found, given) = (
            fs::read(snapshot.join(name)),
            fs::read(fixture().join(name)),
        );
        assert_eq!(found.unwrap(), given.unwrap(), "{name}");
    }
    // Files that no model needs are not downloaded.
    assert!(!snapshot.join("golden.json").exists());
    assert!(
        fs::read_dir(model.join("blobs"))
            .unwrap()
            .flatten()
            .all(|f| f.path().extension().is_none())
    );
}

#[test]
fn a_pulled_model_is_found_by_its_id_without_network_access() {
    let user = User::with_hub(HubBehaviour::default());
    assert_done(&user.pull());
    let asked = user.server.requests().len();
    let output = user.run(&["models", "info", ID, "--offline"]);
    assert_done(&output);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("test/model") && text.contains("sigmoid") && text.contains("30×30, squash"),
        "{text}"
    );
    let output = user.run(&["models", "list"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("    test/model"));
    assert_eq!(user.server.requests().len(), asked);
}

#[test]
fn a_repository_with_one_file_of_weights_and_no_configuration_is_pulled() {
    let folder = fixture().with_file_name("openai");
    let user = User::with_hub_of(&folder, HubBehaviour::default());
    assert_done(&user.pull());
    let output = user.run(&["models", "info", ID]);
    assert_done(&output);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("state dictionary"), "{text}");
    assert_done(&user.run(&["models", "verify", ID]));
}

const UNIMED: &str = "UzairK/unimed-clip-vit-b16";
const BIOMED_BERT: &str = "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract";

#[test]
fn a_tokenizer_in_another_repository_is_pulled_and_imported_with_the_model() {
    let folder = fixture().with_file_name("unimed");
    let behaviour = || HubBehaviour {
        id: Some(UNIMED),
        second_id: Some(BIOMED_BERT),
        ..HubBehaviour::default()
    };
    let user = User::with_hub_of(&folder, behaviour());
    assert_done(&user.run(&["models", "pull", "unimed-clip"]));
    let hub = user.home.path().join(".cache/huggingface/hub");
    let bert = hub.join(format!("models--{}", BIOMED_BERT.replace('/', "--")));
    let snapshot = bert.join("snapshots").join(COMMIT);
    let names = fs::read_dir(&snapshot)
        .unwrap()
        .map(|e| e.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["vocab.txt"]);
    assert_done(&user.run(&["models", "info", "unimed-clip"]));
    // The tokenizer counts as a part of the model, in the cache by itself it lacks nothing.
    assert_done(&user.run(&["models", "verify", BIOMED_BERT]));
    let vocabulary = fs::read_link(snapshot.join("vocab.txt")).unwrap();
    let (vocabulary, whole) = (
        snapshot.join(vocabulary),
        fs::read(snapshot.join("vocab.txt")).unwrap(),
    );
    let own = hub.join(format!("models--{}", UNIMED.replace('/', "--")));
    let own = own.join("snapshots").join(COMMIT).join("vocab.txt");
    let given = fs::read_link(&own).unwrap();
    fs::remove_file(&own).unwrap();
    fs::write(&vocabulary, "ruined").unwrap();
    for arguments in [
        &["models", "verify"][..],
        &["models", "verify", "unimed-clip"],
    ] {
        let output = user.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let text = printed(&output);
        let damaged = text.lines().find(|line| line.starts_with("DAMAGED"));
        assert!(damaged.unwrap().contains(BIOMED_BERT), "{text}");
        assert!(!text.contains("config.json"), "{text}");
    }
    fs::write(&vocabulary, whole).unwrap();
    assert_done(&user.run(&["models", "verify"]));
    std::os::unix::fs::symlink(given, &own).unwrap();
    // With only the other repository's tokenizer, on a machine that gets the cache by hand.
    let model = hub.join(format!("models--{}", UNIMED.replace('/', "--")));
    fs::remove_file(model.join("snapshots").join(COMMIT).join("vocab.txt")).unwrap();
    let isolated = User::with_hub_of(&folder, behaviour());
    let output = isolated.run(&["models", "import", model.to_str().unwrap()]);
    assert_done(&output);
    let text = said(&output);
    assert!(
        text.contains("not usable yet") && text.contains(BIOMED_BERT),
        "{text}"
    );
    assert_done(&isolated.run(&["models", "import", hub.to_str().unwrap()]));
    let output = isolated.run(&["models", "info", "unimed-clip", "--offline"]);
    assert_done(&output);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("224×224, crop"), "{text}");
    assert_eq!(isolated.server.requests(), []);
}

#[test]
fn an_intact_file_in_the_cache_is_not_downloaded_again() {
    let user = User::with_hub(HubBehaviour::default());
    assert_done(&user.pull());
    assert_done(&user.pull());
    assert_done(&user.run(&["models", "pull", ID, "--revision", "v1"]));
    assert_eq!(user.server.downloads().len(), 1);
    assert_eq!(
        fs::read_to_string(user.model().join("refs/v1")).unwrap(),
        COMMIT
    );
}

#[test]
fn an_interrupted_transfer_is_resumed_where_it_stopped() {
    let user = User::with_hub(HubBehaviour {
        cuts: vec![50_000, 1, 60_000],
        ..HubBehaviour::default()
    });
    assert_done(&user.pull());
    assert_eq!(fs::read(user.blob()).unwrap(), weights());
    let ranges: Vec<_> = user
        .server
        .downloads()
        .into_iter()
        .map(|r| r.range)
        .collect();
    let expected = [
        None,
        Some("bytes=50000-"),
        Some("bytes=50001-"),
        Some("bytes=110001-"),
    ];
    assert_eq!(ranges, expected.map(|range| range.map(str::to_owned)));
}

#[test]
fn a_storage_that_ignores_ranges_sends_the_whole_file_again() {
    let user = User::with_hub(HubBehaviour {
        cuts: vec![50_000],
        ignores_ranges: true,
        ..HubBehaviour::default()
    });
    assert_done(&user.pull());
    assert_eq!(fs::read(user.blob()).unwrap(), weights());
}

/// A download fails after five attempts without new bytes.
#[test]
fn a_download_without_progress_fails() {
    let refusing = User::with_hub(HubBehaviour {
        refuses_ranges: true,
        ..HubBehaviour::default()
    });
    let starting_anew = User::with_hub(HubBehaviour {
        ignores_ranges: true,
        cuts: vec![1000; 9],
        ..HubBehaviour::default()
    });
    let (refused, endless) = std::thread::scope(|scope| {
        let refused = scope.spawn(|| refusing.pull());
        let endless = starting_anew.pull();
        (refused.join().unwrap(), endless)
    });
    assert_refused(&refused, &[WEIGHTS, "failed", "416"]);
    assert_eq!(refusing.server.downloads().len(), 5);
    assert_refused(&endless, &[WEIGHTS, "failed"]);
    // The first attempt brought bytes; the later ones brought the same again.
    assert_eq!(starting_anew.server.downloads().len(), 6);
}

#[test]
fn a_mirror_that_redirects_to_the_hub_is_followed_without_the_token() {
    let user = User::with_hub(HubBehaviour {
        is_mirror: true,
        ..HubBehaviour::default()
    });
    let mut command = user.command(&["models", "pull", ID]);
    assert_done(&command.env("HF_TOKEN", TOKEN).output().unwrap());
    assert_eq!(fs::read(user.blob()).unwrap(), weights());
    for request in user.server.requests() {
        let is_mirror = request.host.starts_with("127.0.0.1");
        assert_eq!(request.token.is_some(), is_mirror, "{request:?}");
    }
}

#[test]
fn an_endpoint_may_have_a_path_and_redirect_by_a_relative_location() {
    for prefix in ["/mirrors/hf", ""] {
        let user = User::with_hub(HubBehaviour {
            prefix,
            redirects_settings: true,
            ..HubBehaviour::default()
        });
        assert_done(&user.pull());
        assert_done(&user.run(&["models", "verify"]));
        assert_done(&user.run(&["models", "info", ID]));
    }
}

#[test]
fn a_busy_hub_is_asked_again_after_the_time_it_names() {
    let user = User::with_hub(HubBehaviour {
        failures: vec![(503, None), (429, Some("Retry-After: 1"))],
        head_failures: vec![(500, None), (429, Some("Retry-After: 0"))],
        ..HubBehaviour::default()
    });
    let begun = std::time::Instant::now();
    assert_done(&user.pull());
    assert!(begun.elapsed() >= std::time::Duration::from_secs(1));
    let requests = user.server.requests();
    let of_the_api = requests.iter().filter(|r| r.path.starts_with("/api/"));
    assert_eq!(of_the_api.count(), 3);
}

#[test]
fn a_hub_that_stays_busy_or_asks_for_an_hour_is_given_up_on() {
    let user = User::with_hub(HubBehaviour {
        failures: vec![(503, Some("Retry-After: 0")); 5],
        ..HubBehaviour::default()
    });
    assert_refused(&user.pull(), &["503", "try again later"]);
    assert_eq!(user.server.requests().len(), 5);
    let user = User::with_hub(HubBehaviour {
        failures: vec![(429, Some("Retry-After: 3600"))],
        ..HubBehaviour::default()
    });
    assert_refused(&user.pull(), &["429", "60 minutes"]);
    assert_eq!(user.server.requests().len(), 1);
}

#[test]
fn the_size_of_a_file_is_never_that_of_a_redirect() {
    let user = User::with_hub(HubBehaviour {
        names_no_size: true,
        ..HubBehaviour::default()
    });
    assert_done(&user.pull());
    assert_eq!(fs::read(user.blob()).unwrap(), weights());
}

#[test]
fn a_page_that_a_proxy_sends_instead_of_a_file_is_not_stored() {
    let user = User::with_hub(HubBehaviour {
        page: Some("<html>Please log in</html>"),
        ..HubBehaviour::default()
    });
    assert_refused(&user.pull(), &[WEIGHTS, "26 bytes", "proxy"]);
    assert_eq!(user.server.downloads().len(), 1);
    assert_eq!(fs::metadata(user.partial()).unwrap().len(), 0);
}

#[test]
fn settings_files_that_claim_to_be_large_are_not_downloaded() {
    let user = User::with_hub(HubBehaviour {
        settings_size: Some(50_000_000_000_000),
        ..HubBehaviour::default()
    });
    assert_refused(&user.pull(), &["config.json", "50000.0 GB"]);
    let gets = user.server.requests().into_iter();
    assert_eq!(
        gets.filter(|r| r.method == "GET" && r.path.contains(".json"))
            .count(),
        0
    );
}

#[test]
fn the_next_pull_resumes_after_one_that_was_killed() {
    let (ends, stopped, _go) = pause();
    let user = User::with_hub(HubBehaviour {
        pause: Some(ends),
        ..HubBehaviour::default()
    });
    let mut child = user
        .command(&["models", "pull", ID])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    stopped.recv().unwrap();
    let half = weights().len() / 2;
    let length = || fs::metadata(user.partial()).map_or(0, |data| data.len() as usize);
    while length() < half {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the pull ended by itself"
        );
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!user.model().join("refs/main").exists() && !user.blob().exists());
    assert_done(&user.pull());
    assert_eq!(fs::read(user.blob()).unwrap(), weights());
    let last = user.server.downloads().pop().unwrap();
    assert_eq!(last.range, Some(format!("bytes={half}-")));
}

#[test]
fn a_file_with_a_wrong_checksum_does_not_enter_the_cache() {
    let user = User::with_hub(HubBehaviour {
        lies: true,
        ..HubBehaviour::default()
    });
    assert_refused(&user.pull(), &[WEIGHTS, "checksum", "again"]);
    assert!(!user.model().join("refs/main").exists());
    assert!(
        !user
            .model()
            .join("snapshots")
            .join(COMMIT)
            .join(WEIGHTS)
            .exists()
    );
    let blobs = fs::read_dir(user.model().join("blobs")).unwrap().flatten();
    assert!(
        blobs
            .into_iter()
            .all(|blob| blob.metadata().unwrap().len() != weights().len() as u64)
    );
}

#[test]
fn the_error_for_a_gated_model_says_how_to_get_access() {
    let user = User::with_hub(HubBehaviour {
        gated: true,
        ..HubBehaviour::default()
    });
    assert_refused(&user.pull(), &["gated", ID, "accept its terms", "HF_TOKEN"]);
    let output = user
        .command(&["models", "pull", ID])
        .env("HF_TOKEN", "hf_other")
        .output()
        .unwrap();
    let words = ["may not read", ID, "Enable access to gated repositories"];
    assert_refused(&output, &words);
    assert!(!said(&output).contains("hf_other"));
}

#[test]
fn the_token_is_sent_to_the_hub_and_to_no_other_host() {
    let user = User::with_hub(HubBehaviour {
        gated: true,
        ..HubBehaviour::default()
    });
    user.log_in(TOKEN);
    assert_done(&user.pull());
    for request in user.server.requests() {
        let hub = request.host.starts_with("127.0.0.1");
        assert_eq!(request.token.is_some(), hub, "{request:?}");
    }
    assert_eq!(user.server.downloads().len(), 1);
}

#[test]
fn a_model_or_revision_that_the_hub_lacks_is_named() {
    let user = User::with_hub(HubBehaviour::default());
    assert_refused(
        &user.run(&["models", "pull", "test/other"]),
        &["no model `test/other`"],
    );
    assert_refused(
        &user.run(&["models", "pull", ID, "--revision", "v9"]),
        &["no revision `v9`"],
    );
    assert_refused(
        &user.run(&["models", "pull", "nonsense"]),
        &["not a model id"],
    );
    let missing = user.run(&["classify", "/dev/null", "--model", "test/other"]);
    assert_refused(&missing, &["test/other", "models pull"]);
}

#[test]
fn no_request_is_sent_when_offline() {
    let user = User::with_hub(HubBehaviour::default());
    assert_refused(
        &user.run(&["models", "pull", ID, "--offline"]),
        &[ID, "--offline"],
    );
    for name in ["HF_HUB_OFFLINE", "MEDIVISION_OFFLINE"] {
        let output = user
            .command(&["models", "pull", ID])
            .env(name, "1")
            .output()
            .unwrap();
        assert_refused(&output, &["HF_HUB_OFFLINE"]);
    }
    assert_eq!(user.server.requests(), []);
}

#[test]
fn an_unreachable_hub_is_reported_in_a_sentence() {
    let user = User::with_hub(HubBehaviour::default());
    // No server listens on the port of `discard`.
    let output = user
        .command(&["models", "pull", ID])
        .env("HF_ENDPOINT", "http://127.0.0.1:9")
        .output();
    assert_refused(&output.unwrap(), &["cannot be reached", "HF_ENDPOINT"]);
}

#[test]
fn a_disk_that_is_too_small_is_noticed_before_the_download() {
    let user = User::with_hub(HubBehaviour {
        size: Some(1_000_000_000_000_000_000),
        ..HubBehaviour::default()
    });
    assert_refused(&user.pull(), &["needs", "free", "HF_HOME"]);
    assert_eq!(user.server.downloads(), []);
}

#[test]
fn damage_in_the_cache_is_found_by_verify_and_repaired_by_pull() {
    let user = User::with_hub(HubBehaviour::default());
    assert_done(&user.pull());
    assert_done(&user.run(&["models", "verify"]));
    let mut bytes = weights();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(user.blob(), bytes).unwrap();
    let output = user.run(&["models", "verify", ID]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let damaged: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("DAMAGED"))
        .collect();
    assert!(
        damaged.len() == 1 && damaged[0].ends_with(WEIGHTS),
        "{text}"
    );
    assert_done(&user.pull());
    assert_done(&user.run(&["models", "verify"]));
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// As after a download that was interrupted, or by a program that needs the configuration only.
#[test]
fn a_model_that_is_only_partly_in_the_cache_does_not_count_as_pulled() {
    const BIOMEDCLIP: &str = "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224";
    let folder = fixture().with_file_name("biomedclip");
    let user = User::with_hub_of(
        &folder,
        HubBehaviour {
            id: Some(BIOMEDCLIP),
            ..HubBehaviour::default()
        },
    );
    let hub = user.home.path().join(".cache/huggingface/hub");
    let model = hub.join(format!("models--{}", BIOMEDCLIP.replace('/', "--")));
    let snapshot = model.join("snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(model.join("refs")).unwrap();
    fs::write(model.join("refs/main"), COMMIT).unwrap();
    let config = "open_clip_config.json";
    fs::copy(folder.join(config), snapshot.join(config)).unwrap();
    // The default is the built-in model then.
    let picture = user.home.path().join("p.png");
    image::GrayImage::from_pixel(40, 30, image::Luma([90]))
        .save(&picture)
        .unwrap();
    let output = user.run(&["classify", picture.to_str().unwrap()]);
    assert_done(&output);
    assert!(printed(&output).contains(r#""model":"builtin""#));
    let weights = "open_clip_model.safetensors";
    let output = user.run(&["models", "info", BIOMEDCLIP, "--offline"]);
    assert!(printed(&output).contains("not in the cache"), "{output:?}");
    let output = user.run(&[
        "classify",
        "--model",
        "biomedclip",
        picture.to_str().unwrap(),
    ]);
    assert_refused(&output, &["only in part", weights, "models pull"]);
    let listed = printed(&user.run(&["models", "list"]));
    assert!(listed.contains("incomplete") && !listed.contains("[in the cache]"));
    let output = user.run(&["models", "verify"]);
    assert_eq!(output.status.code(), Some(1));
    let text = printed(&output);
    assert!(text.contains("MISSING") && text.contains(weights), "{text}");
    assert_refused(
        &user.run(&["models", "pull", "biomedclip", "--offline"]),
        &["not completely"],
    );
    assert_done(&user.run(&["models", "pull", "biomedclip"]));
    assert_done(&user.run(&["models", "verify"]));
    assert!(printed(&user.run(&["models", "list"])).contains("[in the cache]"));
}

#[test]
fn a_model_that_was_pulled_by_its_commit_is_known_by_its_id_and_by_the_commit() {
    let user = User::with_hub(HubBehaviour::default());
    assert_done(&user.run(&["models", "pull", ID, "--revision", COMMIT]));
    assert!(!user.model().join("refs").exists());
    let listed = printed(&user.run(&["models", "list"]));
    assert!(listed.contains(&format!("    {ID}")) && listed.contains(&COMMIT[..12]));
    let verified = user.run(&["models", "verify"]);
    assert_done(&verified);
    assert!(printed(&verified).contains(WEIGHTS));
    for name in [
        ID.to_owned(),
        format!("{ID}@{COMMIT}"),
        format!("{ID}@{}", &COMMIT[..8]),
    ] {
        let output = user.run(&["models", "info", &name, "--offline"]);
        assert_done(&output);
        assert!(printed(&output).contains("30×30, squash"), "{name}");
        assert_done(&user.run(&["models", "verify", &name]));
    }
    assert_done(&user.run(&["models", "pull", ID, "--revision", COMMIT, "--offline"]));
    let output = user.run(&["classify", "/dev/null", "--model", &format!("{ID}@v9")]);
    assert_refused(&output, &["models pull test/model --revision v9"]);
}

/// Newer clients keep each content once, in a store that models share: snapshot → blob → the store's file of another name.
#[test]
fn blobs_that_link_into_a_shared_store_are_verified_and_repaired_without_touching_the_store() {
    let user = User::with_hub(HubBehaviour::default());
    assert_done(&user.pull());
    let store = user.model().parent().unwrap().join("blobs");
    fs::create_dir(&store).unwrap();
    let shared = store.join("f".repeat(64));
    fs::rename(user.blob(), &shared).unwrap();
    std::os::unix::fs::symlink(&shared, user.blob()).unwrap();
    let output = user.run(&["models", "verify"]);
    assert_done(&output);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let weights_line = text.lines().find(|line| line.ends_with(WEIGHTS));
    assert!(weights_line.unwrap().starts_with("ok"), "{text}");
    let mut bytes = weights();
    bytes[0] ^= 1;
    fs::write(&shared, &bytes).unwrap();
    assert_eq!(user.run(&["models", "verify"]).status.code(), Some(1));
    assert_done(&user.pull());
    assert_done(&user.run(&["models", "verify"]));
    assert_eq!(fs::read(&shared).unwrap(), bytes);
    // A link that leads nowhere counts as damage, too.
    fs::remove_file(user.blob()).unwrap();
    std::os::unix::fs::symlink(store.join("gone"), user.blob()).unwrap();
    assert_eq!(user.run(&["models", "verify"]).status.code(), Some(1));
    assert_done(&user.pull());
    assert_done(&user.run(&["models", "verify"]));
}

#[test]
fn an_endpoint_that_is_no_address_is_named() {
    let user = User::with_hub(HubBehaviour::default());
    let mut command = user.command(&["models", "pull", ID]);
    let output = command.env("HF_ENDPOINT", "huggingface.co").output();
    assert_refused(&output.unwrap(), &["HF_ENDPOINT", "huggingface.co"]);
}

#[test]
fn two_pulls_at_once_download_only_once() {
    let (ends, stopped, go) = pause();
    let user = User::with_hub(HubBehaviour {
        pause: Some(ends),
        ..HubBehaviour::default()
    });
    let spawn = || {
        user.command(&["models", "pull", ID])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut first = spawn();
    stopped.recv().unwrap();
    let mut second = spawn();
    let mut lines = BufReader::new(second.stderr.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    assert!(line.contains("waiting for it"), "{line}");
    go.send(()).unwrap();
    assert!(first.wait().unwrap().success() && second.wait().unwrap().success());
    assert_eq!(user.server.downloads().len(), 1);
    assert_eq!(fs::read(user.blob()).unwrap(), weights());
}
