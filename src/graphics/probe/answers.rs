//! Parses what a terminal sends while it is probed: its answers, and the keys pressed meanwhile.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The RGB background colour that is set and then queried. It is none of the 256 indexed colours.
pub(super) const PROBE_COLOUR: [u8; 3] = [1, 2, 3];

/// The terminal's answers and the keys among them.
#[allow(clippy::struct_excessive_bools, reason = "independent facts")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answers {
    /// The kitty graphics protocol is supported.
    pub(super) kitty: bool,
    /// Deflated kitty images are accepted.
    pub(super) deflate: bool,
    /// Sixel is supported (attribute 4 of the primary device attributes).
    pub(super) sixel: bool,
    /// The terminal reports exactly the colour that was set, so that it has all of them.
    pub(super) full_colours: bool,
    /// Width and height of a cell, in pixels.
    pub(super) cell: Option<(u16, u16)>,
    /// The primary device attributes have arrived: the last query is answered.
    pub(super) complete: bool,
    /// Keys pressed meanwhile, in order.
    pub(super) keys: Vec<KeyEvent>,
}

/// Parses the bytes. An unfinished sequence at the end is ignored.
pub(super) fn parse(bytes: &[u8]) -> Answers {
    let mut answers = Answers::default();
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        let used = match (first, rest.get(1)) {
            (0x1b, Some(b'_' | b'P' | b']')) => control_string(rest, &mut answers),
            (0x1b, Some(b'[')) => control_sequence(rest, &mut answers),
            (0x1b, Some(b'O')) if rest.len() > 2 => {
                answers.keys.extend(arrow(rest[2]));
                3
            }
            (0x1b, _) => {
                answers.keys.push(plain(KeyCode::Esc));
                1
            }
            _ => key(rest, &mut answers),
        };
        if used == 0 {
            break;
        }
        rest = &rest[used..];
    }
    answers
}

/// Parses an APC, DCS or OSC up to its end (ST or BEL). Returns its length, 0 if it is unfinished.
fn control_string(bytes: &[u8], answers: &mut Answers) -> usize {
    let end = bytes
        .windows(2)
        .position(|pair| pair == b"\x1b\\")
        .map(|at| (at, 2));
    let bell = bytes
        .iter()
        .position(|&byte| byte == 0x07)
        .map(|at| (at, 1));
    let Some((at, length)) = end.into_iter().chain(bell).min() else {
        return 0;
    };
    let body = &bytes[2..at];
    if bytes[1] == b'_' && body.starts_with(b"G") && body.ends_with(b";OK") {
        let deflated = body.starts_with(b"Gi=32");
        answers.deflate |= deflated;
        answers.kitty |= !deflated;
    }
    if bytes[1] == b'P'
        && let Some(settings) = body.strip_prefix(b"1$r")
        && let Some(settings) = settings.strip_suffix(b"m")
    {
        answers.full_colours |= has_probe_colour(settings);
    }
    at + length
}

/// Whether the reported background is [`PROBE_COLOUR`]. Terminals separate SGR's parameters by colons or semicolons, with or
/// without a colour space, which may be empty. Those with fewer colours report the nearest one they have, or none.
fn has_probe_colour(settings: &[u8]) -> bool {
    let text = std::str::from_utf8(settings).unwrap_or_default();
    let parameters: Vec<&str> = text.split([';', ':']).collect();
    let [red, green, blue] = PROBE_COLOUR.map(|part| part.to_string());
    let wanted = [&red, &green, &blue];
    let short = parameters.windows(5);
    let mut short = short.filter_map(|window| window.strip_prefix(&["48", "2"]));
    let long = parameters.windows(6);
    let mut long = long.filter(|window| window.starts_with(&["48", "2"]));
    short.any(|parts| parts == wanted) || long.any(|window| window[3..] == wanted)
}

/// Parses a control sequence (CSI). Returns its length, 0 if it is unfinished.
fn control_sequence(bytes: &[u8], answers: &mut Answers) -> usize {
    let Some(at) = bytes[2..]
        .iter()
        .position(|byte| (0x40..=0x7e).contains(byte))
    else {
        return 0;
    };
    let (body, last) = (&bytes[2..2 + at], bytes[2 + at]);
    let text = std::str::from_utf8(body).unwrap_or_default();
    let numbers = || {
        text.trim_start_matches('?')
            .split(';')
            .map(str::parse::<u16>)
    };
    match last {
        b'c' if text.starts_with('?') => {
            answers.complete = true;
            answers.sixel = numbers().any(|number| number == Ok(4));
        }
        b't' => {
            if let [Ok(6), Ok(height), Ok(width)] = numbers().collect::<Vec<_>>()[..]
                && width > 0
                && height > 0
            {
                answers.cell = Some((width, height));
            }
        }
        b'~' => answers.keys.extend(match text {
            "1" | "7" => Some(plain(KeyCode::Home)),
            "4" | "8" => Some(plain(KeyCode::End)),
            "5" => Some(plain(KeyCode::PageUp)),
            "6" => Some(plain(KeyCode::PageDown)),
            _ => None,
        }),
        _ => answers.keys.extend(arrow(last)),
    }
    at + 3
}

fn plain(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}

fn arrow(last: u8) -> Option<KeyEvent> {
    Some(plain(match last {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'H' => KeyCode::Home,
        b'F' => KeyCode::End,
        _ => return None,
    }))
}

/// Parses one character or control key. Returns its length, 0 if it is unfinished.
fn key(bytes: &[u8], answers: &mut Answers) -> usize {
    let control =
        |letter: u8| KeyEvent::new(KeyCode::Char(char::from(letter)), KeyModifiers::CONTROL);
    let event = match bytes[0] {
        b'\r' | b'\n' => plain(KeyCode::Enter),
        b'\t' => plain(KeyCode::Tab),
        0x7f | 0x08 => plain(KeyCode::Backspace),
        byte @ 1..=26 => control(byte - 1 + b'a'),
        byte if byte < 0x20 => return 1,
        _ => {
            let length =
                (1..=bytes.len().min(4)).find(|&n| std::str::from_utf8(&bytes[..n]).is_ok());
            let Some(length) = length else {
                return usize::from(bytes.len() >= 4);
            };
            let text = std::str::from_utf8(&bytes[..length]).unwrap_or_default();
            let Some(letter) = text.chars().next() else {
                return length;
            };
            let modifiers = if letter.is_uppercase() {
                KeyModifiers::SHIFT
            } else {
                KeyModifiers::NONE
            };
            answers
                .keys
                .push(KeyEvent::new(KeyCode::Char(letter), modifiers));
            return length;
        }
    };
    answers.keys.push(event);
    1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_answers_of_kitty_are_understood() {
        let answers = parse(b"\x1b_Gi=31;OK\x1b\\\x1b[6;20;10t\x1b[?62;c");
        let expected = Answers {
            kitty: true,
            cell: Some((10, 20)),
            complete: true,
            ..Answers::default()
        };
        assert_eq!(answers, expected);
    }

    #[test]
    fn xterm_has_sixel_by_its_attributes() {
        let answers = parse(b"\x1b[6;13;6t\x1b[?63;1;2;4;6;9;15;22c");
        assert!(answers.sixel && answers.complete && !answers.kitty);
        assert!(!parse(b"\x1b[?64;1;2;6;9;15;22c").sixel, "64 is no 4");
    }

    #[test]
    fn an_error_answer_is_not_kitty_support() {
        assert!(!parse(b"\x1b_Gi=31;ENOSYS:no\x1b\\\x1b[?1;2c").kitty);
    }

    #[test]
    fn a_terminal_that_reports_the_colour_set_has_all_colours() {
        for (report, wanted) in [
            ("1$r0;48:2::1:2:3m", true),   // xterm, VTE
            ("1$r0;48:2:1:2:3m", true),    // kitty
            ("1$r0;48;2;1;2;3m", true),    // Windows Terminal
            ("1$r48:2:1:1:2:3m", true),    // in colour space 1
            ("1$r48:2::1:2:3;1m", true),   // with more after it
            ("1$r0;1;48:2::1:2:3m", true), // and before it
            ("1$r0;48:5:16m", false),      // the nearest of 256
            ("1$r0;48;5;16m", false),      // the same
            ("1$r0;40m", false),           // of sixteen
            ("1$r0;38:2::1:2:3m", false),  // not the ground
            ("1$r0;48:2::10:2:3m", false), // not this one
            ("1$r0;48:2::0:0:0m", false),  // nor this
            ("1$r0m", false),              // none
            ("0$r", false),                // refused
            ("0$r48:2::1:2:3m", false),    // refused, and repeated
            ("1$r48:2::1:2:3 q", false),   // an answer to something else
        ] {
            let bytes = format!("\x1bP{report}\x1b\\\x1b[?62;22c");
            let expected = Answers {
                full_colours: wanted,
                complete: true,
                ..Answers::default()
            };
            assert_eq!(parse(bytes.as_bytes()), expected, "{report}");
        }
        let unfinished = b"\x1bP1$r0;48:2::1:2:3m";
        assert_eq!(parse(unfinished), Answers::default());
    }

    #[test]
    fn keys_pressed_meanwhile_are_kept_in_order() {
        let answers = parse(b"j\x1b[?1;2cG\x1b[B\x1b[6~\x04\xc3\xa9\r");
        let codes: Vec<_> = answers.keys.iter().map(|key| key.code).collect();
        let expected = [
            KeyCode::Char('j'),
            KeyCode::Char('G'),
            KeyCode::Down,
            KeyCode::PageDown,
            KeyCode::Char('d'),
            KeyCode::Char('é'),
            KeyCode::Enter,
        ];
        assert_eq!(codes, expected);
        assert_eq!(answers.keys[4].modifiers, KeyModifiers::CONTROL);
    }

    #[test]
    fn a_lone_escape_is_a_key_and_an_unfinished_answer_is_not() {
        assert_eq!(parse(b"\x1b").keys, [plain(KeyCode::Esc)]);
        assert_eq!(parse(b"\x1b[?62;"), Answers::default());
        assert_eq!(parse(b"\x1b_Gi=31;O"), Answers::default());
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let answers = parse(&bytes);
            prop_assert!(answers.keys.len() <= bytes.len());
        }

        #[test]
        fn an_answer_among_keys_is_found(before in "[a-zA-Z0-9]{0,9}", after in "[a-zA-Z0-9]{0,9}") {
            let answers = parse(format!("{before}\x1b[?62;4c{after}").as_bytes());
            prop_assert!(answers.complete && answers.sixel);
            prop_assert_eq!(answers.keys.len(), before.len() + after.len());
        }
    }
}
