//! What stands between a user and the hub: its limits, web filters, mirrors, log-ins that have ended.

use server::{Filter, sha1};

use crate::*;

/// The hub itself names the time in no `Retry-After`.
#[test]
fn the_time_until_the_quota_is_filled_again_is_waited_for() {
    let user = User::with_hub(HubBehaviour {
        failures: vec![(429, Some("RateLimit: \"api\";r=0;t=3599"))],
        ..HubBehaviour::default()
    });
    assert_refused(&user.pull(), &["429", "60 minutes"]);
    assert_eq!(user.server.requests().len(), 1);
    let user = User::with_hub(HubBehaviour {
        failures: vec![(429, Some("RateLimit: \"api\";r=0;t=0"))],
        ..HubBehaviour::default()
    });
    let begun = std::time::Instant::now();
    assert_done(&user.pull());
    assert!(begun.elapsed() >= std::time::Duration::from_secs(1));
}

#[test]
fn a_storage_that_falls_silent_is_asked_for_the_rest() {
    let (ends, _stopped, _go) = pause();
    let user = User::with_hub(HubBehaviour {
        pause: Some(ends),
        ..HubBehaviour::default()
    });
    let mut command = user.command(&["models", "pull", ID]);
    let begun = std::time::Instant::now();
    let output = command.env("HF_HUB_DOWNLOAD_TIMEOUT", "1").output();
    assert_done(&output.unwrap());
    assert!(begun.elapsed() < std::time::Duration::from_secs(50));
    let half = weights().len() / 2;
    let ranges: Vec<_> = user
        .server
        .downloads()
        .into_iter()
        .map(|r| r.range)
        .collect();
    assert_eq!(ranges, [None, Some(format!("bytes={half}-"))]);
}

#[test]
fn a_web_filter_is_not_taken_for_the_hub() {
    let storage = User::with_hub(HubBehaviour {
        filter: Some(Filter::Storage),
        ..HubBehaviour::default()
    });
    let output = storage.pull();
    assert_refused(&output, &["localhost refused", "403", "web filter"]);
    let all = User::with_hub(HubBehaviour {
        filter: Some(Filter::All),
        ..HubBehaviour::default()
    });
    for token in ["", "hf_any"] {
        let mut command = all.command(&["models", "pull", ID]);
        let output = command.env("HF_TOKEN", token).output().unwrap();
        assert_refused(&output, &["127.0.0.1 refused", "403", "web filter"]);
        assert!(!said(&output).contains("token"), "{}", said(&output));
    }
}

/// Mirrors name files by their plain SHA-1, or by anything; `huggingface_hub` checks no more than the size.
#[test]
fn a_mirror_that_names_files_by_other_hashes_can_be_pulled_from() {
    let same = |_: &[u8]| "v1".to_owned();
    for (etags, state) in [(sha1 as fn(&[u8]) -> String, "ok "), (same, "no checksum ")] {
        let user = User::with_hub(HubBehaviour {
            etags: Some(etags),
            ..HubBehaviour::default()
        });
        assert_done(&user.pull());
        for name in ["config.json", "tokenizer.json", WEIGHTS] {
            let snapshot = user.model().join("snapshots").join(COMMIT);
            let found = fs::read(snapshot.join(name)).unwrap();
            assert!(found == fs::read(fixture().join(name)).unwrap(), "{name}");
        }
        let output = user.run(&["models", "verify", ID]);
        assert_done(&output);
        let text = printed(&output);
        assert!(text.lines().all(|line| line.starts_with(state)), "{text}");
        let asked = user
            .server
            .requests()
            .iter()
            .filter(|r| r.method == "GET")
            .count();
        assert_done(&user.pull());
        let again = user
            .server
            .requests()
            .iter()
            .filter(|r| r.method == "GET")
            .count();
        assert_eq!(
            again,
            asked + 1,
            "only the list of files is requested again"
        );
    }
}

#[test]
fn a_stored_token_that_has_ended_does_not_keep_from_public_models() {
    let user = User::with_hub(HubBehaviour {
        rejects_tokens: true,
        ..HubBehaviour::default()
    });
    let file = user.log_in("hf_old");
    let output = user.run(&["models", "pull", "test/other"]);
    assert_refused(&output, &[file.to_str().unwrap(), "hf auth login"]);
    assert!(!said(&output).contains("unset"), "{}", said(&output));
    let mut given = user.command(&["models", "pull", ID]);
    let output = given.env("HF_TOKEN", "hf_older").output().unwrap();
    assert_refused(&output, &["the token in HF_TOKEN", "unset HF_TOKEN"]);
    let output = user.pull();
    assert_done(&output);
    assert!(said(&output).contains("renews it"), "{}", said(&output));
    let asked = user.server.requests().len();
    let mut without = user.command(&["models", "pull", ID]);
    assert_done(
        &without
            .env("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
            .output()
            .unwrap(),
    );
    let later = &user.server.requests()[asked..];
    assert!(later.iter().all(|request| request.token.is_none()));
}

#[test]
fn a_model_may_be_named_with_its_revision_or_by_its_address() {
    let user = User::with_hub(HubBehaviour::default());
    for name in [
        format!("{ID}@v1"),
        format!("hf-hub:{ID}"),
        format!("https://huggingface.co/{ID}/tree/v1"),
    ] {
        assert_done(&user.run(&["models", "pull", &name]));
        assert_done(&user.run(&["models", "info", &name, "--offline"]));
    }
    assert!(user.model().join("refs/v1").exists());
    let output = user.run(&["models", "pull", "test/model@v1", "--revision", "main"]);
    assert_refused(&output, &["--revision main"]);
}

#[test]
fn a_home_of_the_cache_may_begin_with_a_tilde() {
    let user = User::with_hub(HubBehaviour::default());
    let mut command = user.command(&["models", "pull", ID]);
    command.env("HF_HOME", "~/hf").current_dir(user.home.path());
    assert_done(&command.output().unwrap());
    let model = user.home.path().join("hf/hub/models--test--model");
    assert!(model.join("refs/main").exists());
}
