//! Checks that no top-level module of the crate (here called a room) depends on one in a higher layer. The crate's
//! documentation lists the layers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The layers from the bottom. A room may use the rooms of its own layer and of those below.
const LAYERS: [&[&str]; 7] = [
    &[
        "config", "files", "http", "media", "paths", "view", "rules", "prompts", "scoring",
        "learn", "phantom",
    ],
    &["encoder"],
    &["engine", "library", "llm", "watch"],
    &["exec", "jobs", "transfer"],
    &["app"],
    &["ui"],
    &["cli", "commands", "graphics", "runtime", "main", "lib"],
];

/// Crates that only these rooms may use.
const CONFINED: [(&str, &[&str]); 8] = [
    ("dicom_object", &["library", "media", "phantom"]),
    ("tch", &["encoder"]),
    ("tokenizers", &["encoder"]),
    ("notify", &["watch"]),
    ("rusqlite", &["library"]),
    // Whatever leaves the machine passes through these.
    ("ureq", &["encoder", "http", "llm"]),
    ("ratatui_image", &["graphics"]),
    ("ratatui", &["ui", "graphics"]),
];

/// Rooms without I/O, clock, time zone, threads or channels.
const PURE: [&str; 3] = ["jobs", "app", "ui"];
/// Names whose use makes a room impure.
const IMPURE: [&str; 17] = [
    "std::fs",
    "std::io",
    "std::env",
    "std::net",
    "std::thread",
    "std::process",
    "Instant",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "TimeZone::system",
    "Mutex",
    "Atomic",
    "mpsc",
    "crossbeam_channel::",
    "tokio::",
    "tracing::",
];

/// A source file.
struct Source {
    path: PathBuf,
    room: String,
    /// The code without comments and unit tests.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("src is readable") {
            let path = entry.expect("src is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
                let relative = path.strip_prefix(&root).expect("below src");
                let first = relative.iter().next().expect("a name").to_string_lossy();
                let room = first.trim_end_matches(".rs").to_owned();
                let text = fs::read_to_string(&path).expect("sources are UTF-8");
                let code = text
                    .split("#[cfg(test)]\nmod tests {")
                    .next()
                    .unwrap_or_default();
                let code = code
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"));
                found.push(Source {
                    code: code.collect::<Vec<_>>().join("\n"),
                    path,
                    room,
                });
            }
        }
    }
    found
}

/// A room whose modules must not use each other in a circle.
const ACYCLIC: &str = "app";

/// The module of [`ACYCLIC`] that a file belongs to; `None` for other files, and for the room's own.
fn module(source: &Source) -> Option<String> {
    let within = source
        .path
        .strip_prefix(sources_root().join(ACYCLIC))
        .ok()?;
    let first = within.iter().next()?.to_string_lossy();
    Some(first.trim_end_matches(".rs").to_owned())
}

fn sources_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// What each module of [`ACYCLIC`] uses of the others.
fn uses(sources: &[Source]) -> BTreeMap<String, BTreeSet<String>> {
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources {
        let Some(own) = module(source) else { continue };
        // `super` is the room in a module's own file, and the module in those below it.
        let is_top = source.path.parent() == Some(&sources_root().join(ACYCLIC));
        let mut found = named_after(&source.code, "crate::app::");
        if is_top {
            found.extend(named_after(&source.code, "super::"));
        }
        found.remove(&own);
        graph.entry(own).or_default().extend(found);
    }
    let modules: BTreeSet<String> = graph.keys().cloned().collect();
    for used in graph.values_mut() {
        used.retain(|name| modules.contains(name));
    }
    graph
}

/// The modules that are left once those are taken away, again and again, that use none of the others: the circles, and what
/// uses them.
fn circles(mut graph: BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    while let Some(free) = graph
        .iter()
        .find(|(_, used)| used.is_empty())
        .map(|(module, _)| module.clone())
    {
        graph.remove(&free);
        for used in graph.values_mut() {
            used.remove(&free);
        }
    }
    let describe = |(module, used): (&String, &BTreeSet<String>)| format!("{module} uses {used:?}");
    graph.iter().map(describe).collect()
}

#[test]
fn components_do_not_use_each_other_in_a_circle() {
    let sources = sources();
    let graph = uses(&sources);
    assert!(graph.len() > 20, "the modules were found: {graph:?}");
    assert!(graph["model"].contains("viewer") && graph["viewer"].contains("preview"));
    let circles = circles(graph);
    assert!(circles.is_empty(), "{}", circles.join("\n"));
    let modules = sources.iter().filter(|source| module(source).is_some());
    for source in modules {
        let upwards = source.code.contains("super::super::");
        assert!(!upwards, "{}: name the module", source.path.display());
    }
}

#[test]
fn a_circle_would_be_seen() {
    let used = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let mut graph = BTreeMap::from([
        ("a".to_owned(), used(&["b"])),
        ("b".to_owned(), used(&["c"])),
        ("c".to_owned(), used(&[])),
    ]);
    assert_eq!(circles(graph.clone()), Vec::<String>::new());
    graph.insert("c".to_owned(), used(&["a"]));
    assert_eq!(circles(graph).len(), 3);
}

fn layer(room: &str) -> usize {
    LAYERS
        .iter()
        .position(|rooms| rooms.contains(&room))
        .unwrap_or_else(|| panic!("`{room}` is not in LAYERS: add it there and in src/lib.rs"))
}

/// Rooms that the code names through `crate::` (or the library's name in `main`), also inside braces.
fn named_rooms(code: &str) -> BTreeSet<String> {
    let mut rooms = named_after(code, "crate::");
    rooms.extend(named_after(code, "medivision_tui::"));
    rooms
}

/// The names that follow the start of a path, also inside braces.
fn named_after(code: &str, start: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(start) {
        let rest = &code[at + start.len()..];
        let mut add = |text: &str| {
            let name: String = text
                .trim()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if !name.is_empty() {
                names.insert(name);
            }
        };
        match rest.strip_prefix('{') {
            Some(list) => list
                .split(';')
                .next()
                .unwrap_or_default()
                .split(',')
                .for_each(&mut add),
            None => add(rest),
        }
    }
    names
}

#[test]
fn dependencies_point_downwards() {
    let sources = sources();
    let rooms: BTreeSet<&str> = sources.iter().map(|s| s.room.as_str()).collect();
    assert!(rooms.len() > 8, "the sources were found: {rooms:?}");
    let mut faults = Vec::new();
    for source in &sources {
        let own = layer(&source.room);
        for room in named_rooms(&source.code)
            .iter()
            .filter(|room| rooms.contains(room.as_str()))
        {
            if layer(room) > own {
                faults.push(format!(
                    "{} uses crate::{room}, which is above it",
                    source.path.display()
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn crates_stay_in_their_rooms() {
    let mut faults = Vec::new();
    for source in sources() {
        for (name, allowed) in CONFINED {
            let uses = source.code.match_indices(name).any(|(at, _)| {
                let before = source.code[..at].chars().next_back();
                let whole = !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
                whole && source.code[at + name.len()..].starts_with("::")
            });
            if uses && !allowed.contains(&source.room.as_str()) {
                faults.push(format!("{} names {name}", source.path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn pure_rooms_stay_pure() {
    let sources = sources();
    for room in PURE {
        let of_room: Vec<&Source> = sources.iter().filter(|s| s.room == room).collect();
        assert!(!of_room.is_empty(), "{room} was found");
        for source in of_room {
            let found: Vec<&&str> = IMPURE
                .iter()
                .filter(|n| source.code.contains(**n))
                .collect();
            assert!(
                found.is_empty(),
                "{} names {found:?}",
                source.path.display()
            );
        }
    }
}

#[test]
fn an_upward_dependency_would_be_found() {
    let rooms = named_rooms("use crate::{app::Msg, media};\nfn f() { crate::engine::x() }");
    assert_eq!(rooms, ["app", "engine", "media"].map(str::to_owned).into());
    assert!(layer("ui") > layer("app") && layer("engine") > layer("encoder"));
}
