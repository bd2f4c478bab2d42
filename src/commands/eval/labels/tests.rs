use super::*;

const SET: &str = "name = \"t\"\n[[condition]]\nname = \"ill\"\nphrases = [\"a\"]\n[[condition]]\nname = \"well\"\nphrases = [\"b\"]\n";

fn set() -> PromptSet {
    PromptSet::parse(SET, "t.toml").unwrap()
}

fn read(path: &Path, map: &[(&str, &str)]) -> Result<Vec<Labelled>, Fault> {
    let own = |&(label, condition): &(&str, &str)| (label.to_owned(), condition.to_owned());
    let map: Vec<_> = map.iter().map(own).collect();
    let set = set();
    super::read(path, &LabelNames::new(&set, &map)?)
}

fn pairs(files: Vec<Labelled>) -> Vec<(PathBuf, usize)> {
    files.into_iter().map(|f| (f.path, f.label)).collect()
}

#[test]
fn folders_and_tables_give_the_same_labels() {
    let root = tempfile::tempdir().unwrap();
    for name in ["Ill/a.png", "well/deep/b.png", ".git/c.png", "notes.txt"] {
        let path = root.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    let table = root.path().join("t.csv");
    let found = pairs(read(root.path(), &[]).unwrap());
    assert_eq!(found.len(), 2);
    let rows = "path,modality,condition\nIll/a.png,DX,ill\nwell/deep/b.png,CR,well\n";
    std::fs::write(&table, rows).unwrap();
    assert_eq!(pairs(read(&table, &[]).unwrap()), found);
    // A folder with a truth.csv is labelled by it.
    std::fs::rename(&table, root.path().join("truth.csv")).unwrap();
    std::fs::create_dir(root.path().join("sick")).unwrap();
    assert_eq!(pairs(read(root.path(), &[]).unwrap()), found);
}

#[test]
fn tables_are_read_as_spreadsheets_write_them() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("t.csv");
    let expected = [
        (root.path().join("a.png"), 0),
        (root.path().join("b.png"), 1),
    ];
    let wide: Vec<u8> = "\u{feff}path\tlabel\r\na.png\till\r\nb.png\twell\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let tables: [&[u8]; 7] = [
        b"path,label\na.png,ill\nb.png,well\n",
        b"\xef\xbb\xbfpath;label\r\na.png;ill\r\nb.png;well\r\n",
        b"label\tpath\nill\ta.png\nwell\tb.png\n",
        b"sep=;\npath;label\na.png;ill\nb.png;well\n",
        b"sep=,\r\nPath,Label\r\na.png,ILL\r\nb.png, Well\r\n",
        b"path|note|label\na.png|1,5|ill\nb.png||well\n",
        &wide,
    ];
    for table in tables {
        std::fs::write(&path, table).unwrap();
        let found = pairs(read(&path, &[]).unwrap());
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(table));
    }
}

#[test]
fn a_table_may_name_patients() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("t.csv");
    std::fs::write(&path, "path,Patient,label\na.png, p1 ,ill\nb.png,,well\n").unwrap();
    let files = read(&path, &[]).unwrap().into_iter();
    let patients: Vec<Option<String>> = files.map(|file| file.patient).collect();
    assert_eq!(patients, [Some("p1".to_owned()), None]);
}

#[test]
fn a_file_may_show_several_conditions_or_none() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("t.csv");
    let set = set();
    let map = [("sick".to_owned(), "ill".to_owned())];
    let names = LabelNames::new(&set, &map).unwrap();
    let rows = "path,label,patient\nc.png,,\nb.png,ill;well,p\na.png,Sick | ,\nd.png,none,\nc.png,well,q\n";
    std::fs::write(&path, rows).unwrap();
    let found = read_each(&path, &names).unwrap();
    let name = |file: &LabelledEach| file.path.file_name().unwrap().to_owned();
    let found: Vec<_> = found
        .iter()
        .map(|file| (name(file), file.labels.clone(), file.patient.clone()))
        .collect();
    let patient = |name: &str| Some(name.to_owned());
    let expected = [
        ("a.png", vec![0], None),
        ("b.png", vec![0, 1], patient("p")),
        ("c.png", vec![1], patient("q")),
        ("d.png", vec![], None),
    ];
    let expected = expected.map(|(name, labels, own)| (name.into(), labels, own));
    assert_eq!(found, expected);
    std::fs::write(&path, "path,label\na.png,ill;cold\n").unwrap();
    let error = read_each(&path, &names).unwrap_err().message;
    assert!(error.contains("t.csv:2: `cold` is not a"), "{error}");
    assert!(error.contains("`--map cold=none`"), "{error}");
    // Where one applies, several are no label.
    let error = super::read(&path, &names).unwrap_err().message;
    assert!(error.contains("`ill;cold` is not a"), "{error}");
    assert!(!error.contains("--mode multi"), "{error}");
    std::fs::write(&path, "path,label\na.png,ill; sick\n").unwrap();
    let error = super::read(&path, &names).unwrap_err().message;
    assert!(error.contains("`--mode multi`"), "{error}");
}

/// Reads rows of path, label and patient under a set with a normal condition; a label is mapped to none of the conditions.
fn of_normal_set(rows: &str) -> Result<Vec<(String, Vec<usize>)>, Fault> {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("t.csv");
    std::fs::write(&path, format!("path,label,patient\n{rows}")).unwrap();
    let set = PromptSet::parse(&format!("{SET}normal = true\n"), "t.toml").unwrap();
    let map = [("hernia".to_owned(), "None".to_owned())];
    let files = read_each(&path, &LabelNames::new(&set, &map)?)?.into_iter();
    let name = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    Ok(files.map(|file| (name(file.path), file.labels)).collect())
}

#[test]
fn an_image_with_none_of_the_conditions_is_normal_unless_it_shows_something_else() {
    let rows = "a,,\nb,none,\nc,none; NONE,\nd,Hernia,\ne,hernia;ill,\nf,ill | none,\ng,,\ng,ill,\nh,,\nh,hernia,\ni,well,\ni,none,\n";
    let found = of_normal_set(rows).unwrap();
    let found: Vec<(&str, &[usize])> = found.iter().map(|(n, l)| (n.as_str(), &**l)).collect();
    let (ill, well, nothing): (&[usize], &[usize], &[usize]) = (&[0], &[1], &[]);
    let expected = [
        ("a", well),
        ("b", well),
        ("c", well),
        ("d", nothing),
        ("e", ill),
        ("f", ill),
        ("g", ill),
        ("h", nothing),
        ("i", well),
    ];
    assert_eq!(found, expected);
}

#[test]
fn rows_that_contradict_each_other_are_refused_with_their_line() {
    for (rows, line, words) in [
        ("a,ill,\nb,ill;well,\n", "t.csv:3: ", "`well` says"),
        ("a,well,\nb,ill,\na,ill,\n", "t.csv:4: ", "`well` says"),
        ("a,ill,p\nb,ill,q\na,,q\n", "t.csv:4: ", "`p` and `q`"),
    ] {
        let error = of_normal_set(rows).unwrap_err().message;
        assert!(error.contains(line) && error.contains(words), "{error}");
    }
}

/// Reads rows of path and label under a set, one condition of each file or any.
fn read_rows_as(set: &PromptSet, rows: &str, mode: Mode) -> Result<Vec<LabelledEach>, Fault> {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("t.csv");
    std::fs::write(&path, format!("path,label\n{rows}")).unwrap();
    super::read_as(&path, &LabelNames::new(set, &[])?, mode)
}

#[test]
fn rows_that_name_two_conditions_where_one_applies_are_refused_with_their_line() {
    let rows = "a,ill\nb,well\na,ill\nb,ill\n";
    let error = read_rows_as(&set(), rows, Mode::Single).unwrap_err();
    let words = error.message;
    assert!(
        words.contains("t.csv:5: ") && words.contains("b: it is `ill` here and `well` in line 3"),
        "{words}"
    );
    assert!(words.contains("`--mode multi`"), "{words}");
    // Twice the same is no contradiction, and one file.
    let twice = read_rows_as(&set(), &rows[..19], Mode::Single).unwrap();
    assert_eq!(twice.len(), 2);
    let each = read_rows_as(&set(), rows, Mode::Multi).unwrap();
    let labels: Vec<&[usize]> = each.iter().map(|own| &*own.labels).collect();
    assert_eq!(labels, [&[0][..], &[0, 1]]);
}

#[test]
fn several_conditions_are_not_offered_where_exactly_one_applies_in_any_mode() {
    let kinds = PromptSet::parse(&format!("{SET}other = true\n"), "t.toml").unwrap();
    for rows in ["a,ill|well\n", "a,ill\na,well\n"] {
        let error = read_rows_as(&kinds, rows, Mode::Single)
            .unwrap_err()
            .message;
        assert!(
            error.contains("exactly one condition of `t` applies"),
            "{error}"
        );
        assert!(!error.contains("--mode multi"), "{error}");
    }
}

#[test]
fn labels_of_any_of_several_sets_keep_the_order_of_their_rows() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("t.csv");
    std::fs::write(&path, "path,label\nb,none\na,ill\nc,hernia\nb,\na,cold\n").unwrap();
    let text = "name = \"u\"\n[[condition]]\nname = \"fine\"\nphrases = [\"a\"]\nnormal = true\n\
                [[condition]]\nname = \"cold\"\nphrases = [\"b\"]\n[[condition]]\nname = \"ill\"\nphrases = [\"c\"]\n";
    let sets = [set(), PromptSet::parse(text, "u.toml").unwrap()];
    let map = [("hernia".to_owned(), "none".to_owned())];
    let (mut files, names) = super::read_any_as(&path, (&sets, true), &map, Mode::Multi).unwrap();
    assert_eq!(names, ["ill", "well", "fine", "cold"]);
    let found = |files: &[LabelledEach]| {
        let all = files.iter();
        let all = all.map(|own| (own.path.file_name().unwrap().to_owned(), own.labels.clone()));
        all.collect::<Vec<_>>()
    };
    let expected = |labels: [&[usize]; 3]| {
        let both = ["b", "a", "c"].into_iter().zip(labels);
        both.map(|(name, own)| (name.into(), own.to_vec()))
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&files), expected([&[], &[0, 3], &[]]));
    // Only the set that is used says what is normal.
    for file in &mut files {
        file.take_labels_of(&names, &sets[1]).unwrap();
    }
    assert_eq!(found(&files), expected([&[0], &[1, 2], &[]]));
    let (mut files, names) = super::read_any_as(&path, (&sets, true), &map, Mode::Multi).unwrap();
    let error = files[1].take_labels_of(&names, &sets[0]).unwrap_err();
    assert_eq!(error, "`cold` is not a condition of t");
    let error = super::read_any_as(&path, (&sets, false), &[], Mode::Multi).unwrap_err();
    assert!(
        error.message.contains("t.csv:2: `none`"),
        "{}",
        error.message
    );
}

#[test]
fn labels_can_be_mapped_to_conditions() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("t.csv");
    std::fs::write(&path, "path,label\na.png,no_tumor\nb.png,Tumor\n").unwrap();
    let map = [("no_tumor", "well"), ("tumor", "ILL")];
    let labels: Vec<_> = read(&path, &map).unwrap().iter().map(|f| f.label).collect();
    assert_eq!(labels, [1, 0]);
    // Where one condition applies to each image, a label has to mean one.
    let error = read(&path, &[("x", "none")]).unwrap_err().message;
    assert!(error.starts_with("--map: `none` is not a"), "{error}");
    let error = read(&path, &[("x", "cold")]).unwrap_err().message;
    assert!(
        error.starts_with("--map: `cold` is not a condition"),
        "{error}"
    );
}

#[test]
fn an_unknown_label_is_reported_with_its_line() {
    let root = tempfile::tempdir().unwrap();
    let table = root.path().join("t.csv");
    let message = || read(&table, &[]).unwrap_err().message;
    for (rows, line) in [
        ("path,label\na.png,ill\nb.png,wel\n", 3),
        ("path,label\r\na.png,ill\r\nb.png,wel\r\n", 3),
        ("path,label\ra.png,ill\rb.png,wel\r", 3),
        ("path,label\n\na.png,ill\n\n\nb.png,wel\n", 6),
        ("path,label\r\n\r\n\"a\r\n.png\",ill\r\nb.png,wel\r\n", 5),
        ("sep=;\r\npath;label\r\na.png;ill\r\nb.png;wel\r\n", 4),
        ("sep=;\npath;label\na.png;ill\nb.png;wel\n", 4),
    ] {
        std::fs::write(&table, rows).unwrap();
        let said = message();
        assert!(
            said.contains(&format!("t.csv:{line}: `wel` is not a")),
            "{said}"
        );
        assert!(
            said.contains("(ill, well); use `--map wel=CONDITION`"),
            "{said}"
        );
    }
    std::fs::write(&table, "file,label\n").unwrap();
    assert!(message().contains("`path` and `label`"));
    std::fs::create_dir(root.path().join("sick")).unwrap();
    let message = read(root.path(), &[]).unwrap_err().message;
    assert!(message.contains("`sick`"), "{message}");
    let message = read(Path::new("/dev/zero"), &[]).unwrap_err().message;
    assert_eq!(message, "/dev/zero: a device, not a file");
}

#[test]
fn a_file_is_one_however_its_path_is_written() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("t.csv");
    let rows = |last: &str| {
        let absolute = root.path().join("a").display().to_string();
        format!("path,label,patient\na,ill,\n./a,ill,p\nb/../a,ill,\n{absolute},{last},\nc,well,\n")
    };
    let set = set();
    let names = || LabelNames::new(&set, &[]).unwrap();
    for mode in [Mode::Single, Mode::Multi] {
        std::fs::write(&path, rows("ill")).unwrap();
        let found = super::read_as(&path, &names(), mode).unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].labels, [0]);
        assert_eq!(found[0].patient.as_deref(), Some("p"));
    }
    std::fs::write(&path, rows("well")).unwrap();
    let error = super::read_as(&path, &names(), Mode::Single)
        .unwrap_err()
        .message;
    assert!(
        error.contains("t.csv:5: ") && error.contains("`well` here and `ill` in line 2"),
        "{error}"
    );
    let two = "path,label,patient\na,ill,p\n./a,ill,q\n";
    std::fs::write(&path, two).unwrap();
    let error = super::read_as(&path, &names(), Mode::Single)
        .unwrap_err()
        .message;
    assert!(
        error.contains("t.csv:3: ") && error.contains("`p` and `q`"),
        "{error}"
    );
}
