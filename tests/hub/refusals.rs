//! Models that cannot be used are refused before their weights are downloaded; what can be had elsewhere is.

use crate::*;

const BIOMED_BERT: &str = "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract";

/// A copy of a fixture's files without some of them.
fn repository(fixtures: &[&str], left_out: &[&str]) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for name in fixtures {
        for entry in fs::read_dir(fixture().with_file_name(name)).unwrap() {
            let entry = entry.unwrap();
            if !left_out.contains(&entry.file_name().to_str().unwrap()) {
                fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
            }
        }
    }
    to
}

/// Asserts that a pull is refused with these words, before any weights, and leaves nothing that would count as a part of the model.
fn assert_refused_early(folder: &TempDir, words: &[&str]) {
    let user = User::with_hub_of(folder.path(), HubBehaviour::default());
    let output = user.pull();
    assert_refused(&output, &[&[ID], words].concat());
    let home = user.home.path().to_str().unwrap();
    assert!(!said(&output).contains(home), "{}", said(&output));
    assert_eq!(user.server.downloads(), []);
    assert!(!user.model().exists());
    assert!(printed(&user.run(&["models", "list"])).contains("nothing yet"));
}

#[test]
fn what_can_never_be_opened_is_refused_before_its_weights() {
    let no_tokenizer = repository(
        &["biomedclip"],
        &["tokenizer.json", "tokenizer_config.json"],
    );
    assert_refused_early(&no_tokenizer, &["no tokenizer", BIOMED_BERT]);
    let no_preprocessing = repository(&["clip-early"], &["preprocessor_config.json"]);
    assert_refused_early(&no_preprocessing, &["preprocessor_config.json"]);
    for (from, to, named) in [
        ("vit_base_patch16_224", "convnext_base", "convnext_base"),
        ("cls_last_hidden_state_pooler", "max_pooler", "max_pooler"),
        (
            "hf_model_name\": \"microsoft/",
            "hf_model_name\": \"xlm-roberta/",
            "RoBERTa",
        ),
        (
            "\"image_size\"",
            "\"no_ln_pre\": true, \"image_size\"",
            "no_ln_pre",
        ),
    ] {
        let folder = repository(&["biomedclip"], &[]);
        let path = folder.path().join("open_clip_config.json");
        let text = fs::read_to_string(&path).unwrap();
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{named}");
        fs::write(&path, changed).unwrap();
        assert_refused_early(&folder, &[named]);
    }
}

#[test]
fn a_tokenizer_that_open_clip_takes_from_another_repository_is_pulled_with_the_model() {
    let folder = fixture().with_file_name("biomedclip");
    let user = User::with_hub_of(
        &folder,
        HubBehaviour {
            second_id: Some(BIOMED_BERT),
            hidden: &["tokenizer.json", "tokenizer_config.json"],
            ..HubBehaviour::default()
        },
    );
    assert_done(&user.pull());
    assert_done(&user.run(&["models", "info", ID, "--offline"]));
    let output = user.run(&["models", "verify", ID]);
    assert_done(&output);
    let text = printed(&output);
    assert!(
        text.contains(BIOMED_BERT) && !text.contains("MISSING"),
        "{text}"
    );
    // By hand, both folders are needed.
    let other = User::with_hub_of(&folder, HubBehaviour::default());
    let output = other.run(&["models", "import", user.model().to_str().unwrap()]);
    assert_done(&output);
    assert!(
        said(&output).contains("the tokenizer of"),
        "{}",
        said(&output)
    );
    let hub = user.model().parent().unwrap().to_owned();
    let output = other.run(&["models", "import", hub.to_str().unwrap()]);
    assert_done(&output);
    assert!(said(&output).contains("a tokenizer that other models use"));
    assert_done(&other.run(&["models", "info", ID, "--offline"]));
}

#[test]
fn of_two_layouts_the_complete_one_is_pulled() {
    let folder = repository(
        &["clip-early"],
        &["preprocessor_config.json", "tokenizer.json"],
    );
    for entry in fs::read_dir(fixture().with_file_name("open-clip")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let user = User::with_hub_of(folder.path(), HubBehaviour::default());
    assert_done(&user.pull());
    let output = user.run(&["models", "info", ID]);
    assert_done(&output);
    assert!(printed(&output).contains("open_clip"));
}

/// Lustre without `-o flock`, and NFS without its lock daemon.
#[test]
fn a_file_system_without_locks_is_pulled_to() {
    for error in ["ENOSYS", "ENOLCK"] {
        let user = User::with_hub(HubBehaviour {
            cuts: vec![50_000],
            ..HubBehaviour::default()
        });
        let (source, library) = (
            user.home.path().join("noflock.c"),
            user.home.path().join("noflock.so"),
        );
        let code = format!(
            "#include <errno.h>\nint flock(int fd, int how) {{ errno = {error}; return -1; }}\n"
        );
        fs::write(&source, code).unwrap();
        // What links this program can compile it, too.
        let mut compile = Command::new("cc");
        compile
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source]);
        assert!(compile.status().unwrap().success());
        let mut command = user.command(&["models", "pull", ID]);
        let output = command.env("LD_PRELOAD", &library).output().unwrap();
        assert_done(&output);
        assert!(
            !said(&output).contains("another program"),
            "{}",
            said(&output)
        );
        assert_eq!(fs::read(user.blob()).unwrap(), weights());
    }
}
