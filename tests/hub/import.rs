//! Models that reach a machine without network by hand.

use std::fs::{self, File};
use std::os::unix::fs::symlink;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::*;

/// A user whose machine reaches no hub.
struct Isolated {
    user: User,
}

impl Isolated {
    fn new() -> Self {
        let user = User::with_hub(HubBehaviour::default());
        Self { user }
    }

    /// A copy of a model's folder, in which files may be changed.
    fn copied_model(&self) -> PathBuf {
        let folder = self.path("folder");
        fs::create_dir(&folder).unwrap();
        for entry in fs::read_dir(fixture()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
        folder
    }

    fn import(&self, arguments: &[&str]) -> Output {
        let all = [&["models", "import"], arguments].concat();
        let mut command = self.user.command(&all);
        command.env("HF_HUB_OFFLINE", "1").output().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.user.home.path().join(name)
    }

    fn snapshots(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.user.model().join("snapshots"));
        entries
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    /// Asserts that the model is usable and its checksums are right, without any request.
    fn assert_imported(&self) {
        assert_done(&self.user.run(&["models", "info", ID, "--offline"]));
        let verified = self.user.run(&["models", "verify", ID]);
        assert_done(&verified);
        let text = String::from_utf8_lossy(&verified.stdout).into_owned();
        assert!(text.lines().all(|line| line.starts_with("ok")), "{text}");
        assert_eq!(self.user.server.requests(), []);
        let left = fs::read_dir(self.user.model().parent().unwrap()).unwrap();
        let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(left.collect::<Vec<_>>(), ["models--test--model"]);
    }

    fn assert_nothing_imported(&self) {
        assert!(!self.user.model().exists());
    }
}

/// The cache of a machine that has pulled the model.
fn other_machine() -> User {
    let other = User::with_hub(HubBehaviour::default());
    assert_done(&other.pull());
    other
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_cache_of_another_machine_is_imported_as_a_folder() {
    let (other, here) = (other_machine(), Isolated::new());
    let output = here.import(&[text(&other.model())]);
    assert_done(&output);
    here.assert_imported();
    // The commit stays the same.
    assert_eq!(here.snapshots()[0].file_name().unwrap(), COMMIT);
    // A second time nothing changes.
    assert_done(&here.import(&[text(other.model().parent().unwrap())]));
    here.assert_imported();
}

#[test]
fn the_cache_of_another_machine_is_imported_as_an_archive() {
    let other = other_machine();
    for (name, flags) in [("m.tar", "-cf"), ("m.tar.gz", "-czf")] {
        let here = Isolated::new();
        let archive = here.path(name);
        let status = Command::new("tar")
            .args([flags, text(&archive), "-C"])
            .arg(other.model().parent().unwrap())
            .arg("models--test--model")
            .status();
        assert!(status.unwrap().success());
        assert_done(&here.import(&[text(&archive)]));
        here.assert_imported();
    }
}

#[test]
fn a_models_plain_files_are_imported_under_the_given_id() {
    let here = Isolated::new();
    let output = here.import(&[text(&fixture())]);
    assert_refused(&output, &["--id ORG/NAME"]);
    assert_done(&here.import(&[text(&fixture()), "--id", ID]));
    here.assert_imported();
    // What no model needs stays outside.
    assert!(!here.snapshots()[0].join("golden.json").exists());
    // What transformers needs comes along.
    assert!(here.snapshots()[0].join("spiece.model").exists());
}

#[test]
fn a_zip_of_plain_files_is_imported() {
    let here = Isolated::new();
    let archive = here.path("model.zip");
    let mut zip = zip::ZipWriter::new(File::create(&archive).unwrap());
    for entry in fs::read_dir(fixture()).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("folder/{}", path.file_name().unwrap().to_string_lossy());
        zip.start_file(name, zip::write::FileOptions::default())
            .unwrap();
        std::io::Write::write_all(&mut zip, &fs::read(path).unwrap()).unwrap();
    }
    zip.finish().unwrap();
    assert_done(&here.import(&[text(&archive), "--id", ID]));
    here.assert_imported();
}

#[test]
fn a_damaged_file_is_named_and_nothing_is_imported() {
    let (other, here) = (other_machine(), Isolated::new());
    let mut bytes = weights();
    bytes[200_000 % weights().len()] ^= 1;
    fs::write(other.blob(), bytes).unwrap();
    let output = here.import(&[text(&other.model())]);
    assert_refused(&output, &[WEIGHTS, "checksum"]);
    here.assert_nothing_imported();
}

#[test]
fn a_link_out_of_the_folder_is_not_followed() {
    let here = Isolated::new();
    let folder = here.copied_model();
    fs::remove_file(folder.join(WEIGHTS)).unwrap();
    for target in [fixture().join(WEIGHTS), PathBuf::from("../secret")] {
        fs::copy(fixture().join(WEIGHTS), here.path("secret")).unwrap();
        let _ = fs::remove_file(folder.join(WEIGHTS));
        symlink(target, folder.join(WEIGHTS)).unwrap();
        let output = here.import(&[text(&folder), "--id", ID]);
        assert_refused(&output, &["it has none of"]);
        here.assert_nothing_imported();
    }
}

#[test]
fn an_archive_whose_names_lead_out_of_it_is_refused() {
    for name in ["../config.json", "/tmp/config.json", "a/../../config.json"] {
        let here = Isolated::new();
        let archive = here.path("evil.tar.gz");
        let file = GzEncoder::new(File::create(&archive).unwrap(), Compression::fast());
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        header.set_mode(0o644);
        // The library would refuse to write such a name.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        let mut tar = tar::Builder::new(file);
        tar.append(&header, &b"{}"[..]).unwrap();
        tar.into_inner().unwrap().finish().unwrap();
        let output = here.import(&[text(&archive), "--id", ID]);
        assert_refused(&output, &["leads out of it"]);
        here.assert_nothing_imported();
    }
}

#[test]
fn pointers_of_gits_large_file_storage_are_not_taken_for_weights() {
    let here = Isolated::new();
    let folder = here.copied_model();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    fs::write(folder.join(WEIGHTS), pointer).unwrap();
    let output = here.import(&[text(&folder), "--id", ID]);
    assert_refused(&output, &[WEIGHTS, "git lfs pull"]);
    here.assert_nothing_imported();
}

#[test]
fn what_macos_adds_to_a_folder_is_left_out() {
    let here = Isolated::new();
    let folder = here.path("folder");
    fs::create_dir(&folder).unwrap();
    let weights = fixture().with_file_name("openai").join("model.pt");
    fs::copy(weights, folder.join("model.pt")).unwrap();
    fs::write(folder.join("._model.pt"), "attributes").unwrap();
    assert_done(&here.import(&[text(&folder), "--id", ID]));
    assert_done(&here.user.run(&["models", "info", ID, "--offline"]));
}

#[test]
fn a_large_data_set_in_the_cache_does_not_count() {
    let (other, here) = (other_machine(), Isolated::new());
    let hub = other.model().parent().unwrap().to_owned();
    for folder in ["datasets--a--b/snapshots/c", "models--a--b/snapshots/c"] {
        let many = hub.join(folder);
        fs::create_dir_all(&many).unwrap();
        for number in 0..10_001 {
            File::create(many.join(number.to_string())).unwrap();
        }
    }
    assert_done(&here.import(&[text(&hub)]));
    here.assert_imported();
}

#[test]
fn a_file_that_is_no_archive_is_refused() {
    let here = Isolated::new();
    fs::write(here.path("notes.txt"), "no model").unwrap();
    let output = here.import(&[text(&here.path("notes.txt"))]);
    assert_refused(&output, &["notes.txt", ".tar.gz"]);
    let empty = here.path("empty");
    fs::create_dir(&empty).unwrap();
    assert_refused(&here.import(&[text(&empty)]), &["contains no model"]);
}
