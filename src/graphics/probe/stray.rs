//! Replies of the terminal among the keys: to questions of ours that it was slow to answer, or to those of another program.
//! Nobody pressed these keys.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

/// Keys of a reply, at most.
const MAX_LENGTH: usize = 64;
/// How replies begin: of kitty's protocol, of settings, capabilities and versions (DCS). The first letter comes as pressed with
/// Alt, as does the one that ends them.
const BEGINNINGS: [&str; 7] = ["_G", "P0$r", "P1$r", "P0+r", "P1+r", "P>|", "P!|"];

/// Finds these replies among the keys; all others are no keys to begin with.
#[derive(Default)]
pub struct StrayReplies {
    /// What has come of one; empty outside.
    begun: String,
}

impl StrayReplies {
    /// Whether this is part of a reply.
    pub fn contains(&mut self, event: &Event) -> bool {
        let Event::Key(KeyEvent {
            code: KeyCode::Char(letter),
            modifiers,
            ..
        }) = event
        else {
            self.begun.clear();
            return false;
        };
        let alt = modifiers.contains(KeyModifiers::ALT);
        // ST, or BEL, which comes as Ctrl-g.
        let ends = match letter {
            '\\' => alt,
            'g' => modifiers.contains(KeyModifiers::CONTROL),
            _ => false,
        };
        if ends && is_reply(&self.begun) {
            self.begun.clear();
            return true;
        }
        // It starts afresh with each Alt; without one there is no beginning.
        if alt {
            self.begun.clear();
        }
        if alt || !self.begun.is_empty() {
            self.begun.push(*letter);
        }
        let text = self.begun.as_str();
        if !(is_reply(text) || may_become_reply(text)) || text.len() > MAX_LENGTH {
            self.begun.clear();
        }
        !self.begun.is_empty()
    }
}

/// The keys so far begin a reply, and nothing else.
fn is_reply(text: &str) -> bool {
    // OSC: a number and a semicolon, as in `]11;rgb:1e1e/1e1e/2e2e`.
    let operating_system_command = text.strip_prefix(']').is_some_and(|rest| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        digits > 0 && rest[digits..].starts_with(';')
    });
    operating_system_command || BEGINNINGS.iter().any(|b| text.starts_with(b))
}

fn may_become_reply(text: &str) -> bool {
    let number = text.strip_prefix(']');
    number.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
        || BEGINNINGS.iter().any(|b| b.starts_with(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(letter: char, alt: bool) -> Event {
        let modifiers = if alt {
            KeyModifiers::ALT
        } else {
            KeyModifiers::NONE
        };
        Event::Key(KeyEvent::new(KeyCode::Char(letter), modifiers))
    }

    fn left(events: Vec<Event>) -> usize {
        let mut replies = StrayReplies::default();
        events
            .iter()
            .filter(|event| !replies.contains(event))
            .count()
    }

    #[test]
    fn a_reply_is_taken_out_and_keys_around_it_stay() {
        let mut events = vec![key('j', false), key('_', true)];
        events.extend("Gi=31;OK".chars().map(|letter| key(letter, false)));
        events.extend([key('\\', true), key('k', false)]);
        assert_eq!(left(events), 2);
    }

    #[test]
    fn a_reply_about_the_colours_is_taken_out_too() {
        for report in ["1$r0;48:2::1:2:3m", "0$r"] {
            for shifted in [KeyModifiers::NONE, KeyModifiers::SHIFT] {
                let modifiers = KeyModifiers::ALT | shifted;
                let mut events = vec![
                    key('j', false),
                    Event::Key(KeyEvent::new(KeyCode::Char('P'), modifiers)),
                ];
                events.extend(report.chars().map(|letter| key(letter, false)));
                events.extend([key('\\', true), key('k', false)]);
                assert_eq!(left(events), 2, "{report}");
            }
        }
    }

    #[test]
    fn replies_that_nobody_asked_for_are_no_keys() {
        let bell = Event::Key(KeyEvent::new(KeyCode::Char('g'), KeyModifiers::CONTROL));
        for report in [
            "10;rgb:d0d0/d0d0/d0d0",
            "11;rgb:1e1e/1e1e/2e2e",
            "4;1;rgb:0/0/0",
        ] {
            for end in [key('\\', true), bell.clone()] {
                let mut events = vec![key('j', false), key(']', true)];
                events.extend(report.chars().map(|letter| key(letter, false)));
                events.extend([end, key('k', false)]);
                assert_eq!(left(events), 2, "{report}");
            }
        }
        let mut version = vec![key('P', true)];
        version.extend(">|kitty(0.35.2)".chars().map(|letter| key(letter, false)));
        version.push(key('\\', true));
        assert_eq!(left(version), 0);
        // Alt-] and a letter are keys.
        assert_eq!(left(vec![key(']', true), key('j', false), bell]), 2);
    }

    #[test]
    fn what_breaks_off_a_beginning_is_a_key() {
        let mut events = vec![key('P', true)];
        events.extend("1?\\".chars().map(|letter| key(letter, false)));
        assert_eq!(left(events), 2);
        assert_eq!(left(vec![key('x', true), key('\\', true)]), 2);
        // Another one begins where the first is broken off.
        let mut events = vec![key('P', true), key('1', false), key('_', true)];
        events.extend("Gi=31;OK".chars().map(|letter| key(letter, false)));
        events.push(key('\\', true));
        assert_eq!(left(events), 0);
    }

    #[test]
    fn keys_that_only_begin_like_one_are_soon_keys_again() {
        let typed: Vec<Event> = "jjjj".chars().map(|letter| key(letter, false)).collect();
        let mut events = vec![key('_', true)];
        events.extend(typed.clone());
        assert_eq!(left(events), 4);
        let endless = [
            vec![key('_', true), key('G', false)],
            vec![key('j', false); 200],
        ]
        .concat();
        assert!(left(endless) > 100);
    }
}
