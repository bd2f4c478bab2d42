use super::*;

/// `{"w": _rebuild_tensor_v2(storage '0' of floats, 0, (2, 3), (3, 1), False, OrderedDict())}`, as `torch.save` writes it.
fn valid_pickle() -> Vec<u8> {
    let mut p =
        b"\x80\x02}q\x00X\x01\x00\x00\x00wq\x01ctorch._utils\n_rebuild_tensor_v2\nq\x02(".to_vec();
    p.extend(b"(X\x07\x00\x00\x00storageq\x03ctorch\nFloatStorage\nq\x04X\x01\x00\x00\x000q\x05X\x03\x00\x00\x00cpuq\x06K\x06tq\x07Q");
    p.extend(b"K\x00K\x02K\x03\x86q\x08K\x03K\x01\x86q\x09\x89ccollections\nOrderedDict\nq\x0a)Rq\x0btq\x0cRq\x0ds.");
    p
}

#[test]
fn a_state_dictionary_is_read() {
    let found = tensors(&valid_pickle()).unwrap();
    let view = TensorView {
        storage: "0".into(),
        kind: "Float".into(),
        offset: 0,
        shape: vec![2, 3],
        strides: vec![3, 1],
    };
    assert_eq!(found, [("w".to_owned(), view)]);
}

#[test]
fn a_truncated_pickle_is_damaged() {
    let whole = valid_pickle();
    for length in 0..whole.len() {
        assert!(tensors(&whole[..length]).is_err(), "{length}");
    }
}

#[test]
fn every_import_but_those_for_tensors_is_refused() {
    for name in [
        "posix\nsystem",
        "builtins\neval",
        "torch.storage\n_load_from_bytes",
        "torch\nload",
        "collections\nUserDict",
        "numpy.core.multiarray\nscalar",
        "__builtin__\ngetattr",
    ] {
        let pickle = format!("\u{80}\u{2}c{name}\n)R.");
        // The first two characters are one byte each in a pickle.
        let pickle: Vec<u8> = pickle.chars().map(|c| c as u8).collect();
        let error = tensors(&pickle).unwrap_err();
        assert_eq!(
            error,
            PickleError::Foreign(name.replace('\n', ".")),
            "{name}"
        );
    }
}

#[test]
fn instructions_that_import_in_other_ways_are_refused() {
    for code in [0x93, 0x92, 0x82, b'i', b'o', b'I', b'P', 0x97] {
        assert_eq!(
            tensors(&[0x80, 2, code]),
            Err(PickleError::Unknown(2, code))
        );
    }
}

#[test]
fn other_values_than_tensors_are_refused_by_name() {
    let error = tensors(b"\x80\x02}X\x05\x00\x00\x00epochK\x07s.").unwrap_err();
    assert_eq!(error, PickleError::Foreign("epoch".into()));
    assert!(tensors(b"\x80\x02K\x07.").is_err());
}

/// `{"epoch": 7, "args": posix.system("x"), "state_dict": {"w": tensor}}`
#[test]
fn only_the_weights_of_a_training_runs_checkpoint_are_read() {
    let valid = valid_pickle();
    let inner = &valid[2..valid.len() - 1];
    let mut pickle = b"\x80\x02}X\x05\x00\x00\x00epochK\x07s".to_vec();
    pickle.extend(b"X\x04\x00\x00\x00argscposix\nsystem\nX\x01\x00\x00\x00x\x85R}bs");
    let start = pickle.len();
    pickle.extend(b"X\x0a\x00\x00\x00state_dict");
    pickle.extend(inner);
    pickle.extend(b"s.");
    assert_eq!(tensors(&pickle), tensors(&valid));
    // Without the weights in a place of their own, the same is refused.
    pickle.splice(start.., *b".");
    assert_eq!(
        tensors(&pickle),
        Err(PickleError::Foreign("posix.system".into()))
    );
}

#[test]
fn a_dictionary_that_contains_itself_is_refused() {
    // d = {}; d["a"] = d
    let error = tensors(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.").unwrap_err();
    assert_eq!(error, PickleError::Foreign("a".into()));
    // A module in itself.
    let pickle = b"\x80\x02c__torch__\nM\n)\x81q\x00}X\x01\x00\x00\x00ah\x00sb.";
    assert!(matches!(tensors(pickle), Err(PickleError::Excessive(_))));
}

#[test]
fn deep_nesting_does_not_overflow_the_programs_stack() {
    let mut pickle = b"\x80\x02)".to_vec();
    pickle.extend(std::iter::repeat_n(0x85, 1_000_000));
    pickle.push(b'.');
    assert!(tensors(&pickle).is_err());
}

/// `module.__setstate__({key: child, …})` of a new module; `child` is the child's place in the memo.
fn module(pickle: &mut Vec<u8>, children: u8, child: u8, place: u8) {
    pickle.extend(b"c__torch__\nM\n)\x81}");
    for key in 0..children {
        pickle.extend([b'X', 1, 0, 0, 0, b'a' + key, b'h', child, b's']);
    }
    pickle.extend([b'b', b'q', place]);
}

#[test]
fn a_small_pickle_that_expands_without_bound_is_refused_at_once() {
    let mut nested = b"\x80\x02c__torch__\nM\n)\x81q\x00".to_vec();
    for level in 1..=30 {
        module(&mut nested, 8, level - 1, level);
    }
    nested.push(b'.');
    assert!(nested.len() < 3000);

    // A module is given the same dictionary again and again.
    let mut repeated = b"\x80\x02}q\x00".to_vec();
    for key in 0..200 {
        repeated.extend([b'X', 1, 0, 0, 0, key & 0x7f, b'N', b's']);
    }
    repeated.extend(b"c__torch__\nM\n)\x81");
    repeated.extend(b"h\x00b".repeat(20_000));
    repeated.push(b'.');

    // One long name for a thousand tensors.
    let valid = valid_pickle();
    let tensor = &valid[13..valid.len() - 2];
    let mut named = b"\x80\x02}X\x40\x9c\x00\x00".to_vec();
    named.extend(std::iter::repeat_n(b'n', 40_000));
    named.extend(b"q\x20");
    named.extend(tensor);
    named.extend(b"q\x21s");
    named.extend(b"h\x20h\x21s".repeat(1000));
    named.push(b'.');

    let many = [b"\x80\x02".as_slice(), &b"}".repeat(2_000_000), b"."].concat();
    for (pickle, what) in [
        (nested, "names"),
        (repeated, "entries"),
        (named, "names"),
        (many, "objects"),
    ] {
        assert_eq!(tensors(&pickle), Err(PickleError::Excessive(what)));
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = tensors(&bytes);
    }

    #[test]
    fn no_change_of_a_byte_makes_it_panic(at in 0_usize..190, to in proptest::num::u8::ANY) {
        let mut pickle = valid_pickle();
        let at = at % pickle.len();
        pickle[at] = to;
        let _ = tensors(&pickle);
    }
}
