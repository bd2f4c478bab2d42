//! `search`: texts, images, arithmetic and near-duplicates.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use rustix::fs::inotify;

use super::*;

fn search(home: &Path, arguments: &[&str]) -> Output {
    let model = checkpoint();
    let mut all = vec!["search", "--model", model.to_str().expect("UTF-8")];
    all.extend(arguments);
    run(home, &all)
}

/// An image of stripes, which differ much between numbers.
fn stripes(path: &Path, number: u32) {
    let shade = |x: u32, y: u32| (x * (number * 7 + 3) + y * (number * number + 1)) as u8;
    image::GrayImage::from_fn(40, 40, |x, y| image::Luma([shade(x, y)]))
        .save(path)
        .expect("written");
}

/// A home with `in/`: five different images, one of them in a folder of its own.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("in");
    fs::create_dir_all(folder.join("sub")).expect("made");
    for (number, name) in ["a", "b", "c", "d", "sub/e"].iter().enumerate() {
        let number = u32::try_from(number).expect("small");
        stripes(&folder.join(format!("{name}.png")), number);
    }
    home
}

/// The scores by path.
fn scores(output: &Output) -> BTreeMap<String, f64> {
    let of = |line: &Value| {
        let path = line["path"].as_str().expect("a path").to_owned();
        (path, line["score"].as_f64().expect("a score"))
    };
    lines(output).iter().map(of).collect()
}

#[test]
fn a_text_ranks_all_images_by_the_cosine_that_classify_computes() {
    let home = home();
    let set = "name = \"ward\"\ntemplates = [\"{}\"]\n\
               [[condition]]\nname = \"tube\"\nphrases = [\"a chest tube\"]\n\
               [[condition]]\nname = \"none\"\nphrases = [\"nothing\"]\n";
    fs::write(home.path().join("ward.toml"), set).expect("written");
    let classified = classify(home.path(), &["in", "--prompts", "ward.toml"]);
    let found = search(home.path(), &["in", "a", "chest", "tube"]);
    assert_eq!(found.status.code(), Some(0), "{}", stderr(&found));
    let lines_found = lines(&found);
    let keys: Vec<_> = lines_found[0]
        .as_object()
        .expect("an object")
        .keys()
        .collect();
    let expected =
        "rank path frame score content kind frames modality body_part model model_digest notice";
    assert_eq!(keys, expected.split(' ').collect::<Vec<_>>());
    let ranks: Vec<_> = lines_found
        .iter()
        .map(|line| line["rank"].as_u64())
        .collect();
    assert_eq!(ranks, (1..=5).map(Some).collect::<Vec<_>>());
    let order: Vec<_> = lines_found
        .iter()
        .map(|line| line["score"].as_f64())
        .collect();
    assert!(order.is_sorted_by(|a, b| a >= b), "{order:?}");
    let scores = scores(&found);
    for line in lines(&classified) {
        let all = line["scores"].as_array().expect("scores");
        let tube = all.iter().find(|score| score["condition"] == "tube");
        let similarity = tube.expect("scored")["similarity"]
            .as_f64()
            .expect("a number");
        let score = scores[line["path"].as_str().expect("a path")];
        assert!((score - similarity).abs() < 1e-5, "{score} {line}");
    }
    let top = search(home.path(), &["in", "a chest tube", "-t", "2"]);
    assert_eq!(lines(&top), lines_found[..2]);
}

#[test]
fn an_image_finds_itself_first_and_terms_add_up() {
    let home = home();
    let find = |query: &[&str]| {
        let output = search(home.path(), &[&["in"], query].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        output
    };
    let by_image = find(&["in/c.png"]);
    let first = &lines(&by_image)[0];
    assert_eq!(
        (&first["path"], &first["score"]),
        (&"in/c.png".into(), &1.0.into())
    );
    let (by_image, by_text) = (scores(&by_image), scores(&find(&["a chest tube"])));
    let both = scores(&find(&["2:in/c.png", "-", "0.5:a chest tube"]));
    let dot = by_text["in/c.png"];
    let length = (4.0 + 0.25 - 2.0 * 2.0 * 0.5 * dot).sqrt();
    for (path, score) in both {
        let expected = (2.0 * by_image[&path] - 0.5 * by_text[&path]) / length;
        assert!(
            (score - expected).abs() < 1e-5,
            "{path}: {score}, {expected}"
        );
    }
    let nothing = search(home.path(), &["in", "in/c.png", "-", "in/c.png"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(stderr(&nothing).contains("cancel"), "{}", stderr(&nothing));
}

#[test]
fn near_duplicates_are_grouped_and_copies_told_apart() {
    let home = home();
    let folder = home.path().join("in");
    fs::copy(folder.join("b.png"), folder.join("sub/copy.png")).expect("copied");
    let mut image = image::open(folder.join("b.png"))
        .expect("read")
        .into_luma8();
    image.put_pixel(20, 20, image::Luma([image.get_pixel(20, 20).0[0] ^ 1]));
    image.save(folder.join("near.png")).expect("written");
    let arguments = ["in", "--duplicates", "--threshold", "0.99999"];
    let output = search(home.path(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let of = |line: &Value| ["group", "path", "copy_of"].map(|key| line[key].clone());
    let found: Vec<_> = lines(&output).iter().map(of).collect();
    let expected = [
        [1.into(), "in/b.png".into(), Value::Null],
        [1.into(), "in/near.png".into(), Value::Null],
        [1.into(), "in/sub/copy.png".into(), "in/b.png".into()],
    ];
    assert_eq!(found, expected);
    assert_eq!(lines(&output)[2]["score"], 1.0);
    let paths = search(home.path(), &[&arguments[..], &["--paths-only"]].concat());
    let text = String::from_utf8(paths.stdout).expect("UTF-8");
    assert_eq!(text, "in/near.png\nin/sub/copy.png\n");
    let table = search(
        home.path(),
        &[&arguments[..], &["--format", "table"]].concat(),
    );
    let text = String::from_utf8(table.stdout).expect("UTF-8");
    assert!(text.contains("    1  first  in/b.png\n"), "{text}");
    assert!(text.contains("        copy  in/sub/copy.png\n"), "{text}");
}

#[test]
fn a_link_is_neither_kept_nor_removed_in_place_of_its_file() {
    let home = home();
    let at = |name: &str| home.path().join("in").join(name);
    fs::create_dir(at("a")).expect("made");
    // The link comes first by path, and one target is outside.
    symlink("../b.png", at("a/link.png")).expect("a link");
    fs::hard_link(at("b.png"), at("z-hard.png")).expect("a link");
    fs::copy(at("sub/e.png"), home.path().join("outside.png")).expect("copied");
    symlink("../../outside.png", at("a/out.png")).expect("a link");
    let arguments = ["in", "--duplicates", "--threshold", "0.99999"];
    let removable = |more: &[&str]| search(home.path(), &[&arguments[..], more].concat());
    let output = removable(&["--paths-only"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let said = stderr(&output);
    assert!(said.contains("3 skipped (links)"), "{said}");
    fs::copy(at("b.png"), at("copy\n.png")).expect("copied");
    let output = removable(&["--paths-only", "--null"]);
    assert_eq!(output.stdout, b"in/copy\n.png\0", "{}", stderr(&output));
    assert_eq!(removable(&["-0"]).status.code(), Some(2));
}

#[test]
fn paths_only_prints_names_as_they_are() {
    let home = home();
    let name = OsStr::from_bytes(b"in/\xff.png");
    stripes(&home.path().join(name), 9);
    let output = program(home.path())
        .args(["search", "--paths-only", "--top", "1", "--model"])
        .arg(checkpoint())
        .arg("in")
        .arg(name)
        .output()
        .expect("the binary starts");
    assert_eq!(output.stdout, b"in/\xff.png\n", "{}", stderr(&output));
}

#[test]
fn a_second_search_opens_no_image() {
    let home = home();
    let folder = home.path().join("in");
    // A file that has only just changed is read again, because another change might not show.
    let newest = fs::metadata(folder.join("sub/e.png")).and_then(|data| data.modified());
    let newest = newest.expect("a time");
    while newest.elapsed().unwrap_or_default().as_millis() < 100 {
        std::thread::yield_now();
    }
    let events = inotify::init(inotify::CreateFlags::NONBLOCK).expect("inotify");
    for watched in [folder.clone(), folder.join("sub")] {
        inotify::add_watch(&events, watched, inotify::WatchFlags::OPEN).expect("watched");
    }
    // The opened files; folders themselves have no name here.
    let opened = || {
        let mut buffer = [std::mem::MaybeUninit::uninit(); 8192];
        let mut reader = inotify::Reader::new(&events, &mut buffer);
        let mut names = 0;
        while let Ok(event) = reader.next() {
            let is_folder = event.events().contains(inotify::ReadFlags::ISDIR);
            names += usize::from(!is_folder && event.file_name().is_some());
        }
        names
    };
    let first = search(home.path(), &["in", "a tube"]);
    assert_eq!(lines(&first).len(), 5, "{}", stderr(&first));
    assert!(opened() >= 5, "the first search reads them");
    let second = search(home.path(), &["in", "a tube"]);
    assert_eq!(lines(&second), lines(&first));
    assert_eq!(opened(), 0);
    let without = search(home.path(), &["in", "a tube", "--library", "none"]);
    assert_eq!(lines(&without), lines(&first));
    assert!(opened() >= 5);
}

#[test]
fn what_cannot_be_searched_is_named() {
    let home = home();
    fs::write(home.path().join("in/README"), "not an image").expect("written");
    let whole = fs::read(home.path().join("in/a.png")).expect("read");
    fs::write(home.path().join("in/z.png"), &whole[..50]).expect("written");
    let output = search(home.path(), &["in", "a tube"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output).len(), 5);
    let said = stderr(&output);
    assert!(said.contains("in/z.png: "), "{said}");
    assert!(
        said.contains("5 searched, 1 failed, 1 skipped (not images)"),
        "{said}"
    );
    let cases: [(&[&str], i32, &str); 8] = [
        (&["in"], 2, "QUERY"),
        (&["nowhere", "x"], 2, "nowhere: no such folder"),
        (&["in", "./gone.png"], 2, "./gone.png: no such file"),
        (&["in", "a", "+"], 2, "missing after `+`"),
        (&["in", "x", "--duplicates"], 2, "--duplicates"),
        (&["in", "x", "--threshold", "0.9"], 2, "--threshold"),
        (&["in", "in/z.png"], 1, "in/z.png: "),
        (&["in", "x", "--device", "cuda:7"], 3, "cuda:7"),
    ];
    for (arguments, code, part) in cases {
        let output = search(home.path(), arguments);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_text_that_is_too_long_for_the_model_gets_a_warning() {
    let home = home();
    let output = search(home.path(), &["in", &"a very long text ".repeat(40)]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stderr(&output);
    let warnings: Vec<_> = said
        .lines()
        .filter(|line| line.contains("warning"))
        .collect();
    assert_eq!(warnings.len(), 1, "only about the text: {said}");
    assert!(warnings[0].contains("reads only 16 tokens; of the text `a very long text"));
}

#[test]
fn the_built_in_model_searches_any_images_and_names_words_that_it_does_not_know() {
    let home = home();
    let demo = ["demo", "in/demo", "--count", "4", "--write-only"];
    assert_eq!(run(home.path(), &demo).status.code(), Some(0));
    let find = |query: &str| {
        run(
            home.path(),
            &["search", "--model", "demo", "in", query, "--top", "99"],
        )
    };
    let mut before = Vec::new();
    for _ in 0..2 {
        let output = find("zebra pneumonia");
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let lines = lines(&output);
        let demo = lines.iter().filter(|line| {
            let path = line["path"].as_str();
            path.is_some_and(|path| path.starts_with("in/demo/"))
        });
        assert!(demo.count() >= 4 && lines.len() >= 9, "{lines:?}");
        let said = stderr(&output);
        assert!(said.contains("does not know these words: zebra"), "{said}");
        // What the library knows is ranked alike.
        if !before.is_empty() {
            assert_eq!(before, lines);
        }
        before = lines;
    }
    let output = find("in/a.png");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(lines(&output)[0]["path"], "in/a.png");
}

#[test]
fn csv_has_a_header_and_quotes() {
    let home = home();
    let output = search(home.path(), &["in", "a tube", "--format", "csv"]);
    let mut reader = csv::Reader::from_reader(output.stdout.as_slice());
    let header = reader.headers().expect("a header").clone();
    assert_eq!(
        header.iter().take(4).collect::<Vec<_>>(),
        ["rank", "path", "frame", "score"]
    );
    assert_eq!(reader.records().filter_map(Result::ok).count(), 5);
    let none = search(
        home.path(),
        &["in", "--duplicates", "--threshold", "1", "--format", "csv"],
    );
    let text = String::from_utf8(none.stdout).expect("UTF-8");
    assert!(
        text.starts_with("group,path,") && text.ends_with(",copy_of\r\n"),
        "{text}"
    );
}
