use super::words::HELP;
use super::*;

fn names(pairs: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    pairs
        .iter()
        .map(|(name, keys)| {
            (
                (*name).to_owned(),
                keys.iter().map(|k| (*k).to_owned()).collect(),
            )
        })
        .collect()
}

fn press(code: KeyCode, modifiers: KeyModifiers) -> KeyEvent {
    KeyEvent::new(code, modifiers)
}

#[test]
fn the_defaults_hold_and_the_help_names_every_action() -> Result<(), KeymapError> {
    let keymap = Keymap::new(&BTreeMap::new())?;
    assert_eq!(
        keymap.action(press(KeyCode::Char('j'), KeyModifiers::NONE)),
        Some(Action::Down)
    );
    assert_eq!(
        keymap.action(press(KeyCode::Char('G'), KeyModifiers::SHIFT)),
        Some(Action::Last)
    );
    assert_eq!(
        keymap.action(press(KeyCode::Char('c'), KeyModifiers::CONTROL)),
        Some(Action::Quit)
    );
    assert_eq!(
        keymap.action(press(KeyCode::Char('&'), KeyModifiers::NONE)),
        None
    );
    let told = HELP
        .iter()
        .flat_map(|(_, actions)| actions.iter())
        .flat_map(|(action, _)| std::iter::once(action).chain(action.same_line()))
        .filter(|action| keymap.keys.contains_key(action))
        .count();
    assert_eq!(
        told,
        keymap.keys.len(),
        "an action is bound that the help does not tell of"
    );
    Ok(())
}

#[test]
fn shift_tells_arrows_apart_and_nothing_else() -> Result<(), KeymapError> {
    let keymap = Keymap::new(&BTreeMap::new())?;
    let arrow = |modifiers| keymap.action(press(KeyCode::Left, modifiers));
    assert_eq!(arrow(KeyModifiers::NONE), Some(Action::Leave));
    assert_eq!(arrow(KeyModifiers::SHIFT), Some(Action::PanLeft));
    let tab = keymap.action(press(KeyCode::PageDown, KeyModifiers::SHIFT));
    assert_eq!(tab, Some(Action::PageDown));
    assert!(Keymap::new(&names(&[("help", &["Shift-x"])])).is_err());
    Ok(())
}

#[test]
fn keys_that_belong_together_share_a_line_of_the_help() -> Result<(), KeymapError> {
    let keymap = Keymap::new(&BTreeMap::new())?;
    let keys = |action: Action| keymap.help_keys(action).join(" ");
    assert_eq!(keys(Action::Window1), "1 – 9");
    assert_eq!(keys(Action::PanLeft), "Shift-←→↑↓");
    assert_eq!(keys(Action::FrameNext), "] [");
    let keymap = Keymap::new(&names(&[("window-1", &["Q"]), ("pan-up", &[])]))?;
    let keys = |action: Action| keymap.help_keys(action).join(" ");
    assert_eq!(keys(Action::Window1), "Q 2 3 4 5 6 7 8 9");
    assert_eq!(keys(Action::PanLeft), "Shift-← Shift-→ Shift-↓");
    Ok(())
}

#[test]
fn a_key_given_twice_is_an_error_that_names_both() {
    let error = Keymap::new(&names(&[("help", &["j"])]));
    assert_eq!(
        error.map_err(|e| e.to_string()),
        Err("keys: j is assigned to both down and help".to_owned())
    );
}

#[test]
fn a_wrong_name_is_said_as_written() {
    let error = |pairs| Keymap::new(&names(pairs)).err().map(|e| e.to_string());
    assert_eq!(
        error(&[("fly", &["x"])]).as_deref(),
        Some("keys: there is no action \"fly\"")
    );
    assert_eq!(
        error(&[("help", &["Hyper-x"])]).as_deref(),
        Some("keys: help: there is no key \"Hyper-x\"")
    );
}
