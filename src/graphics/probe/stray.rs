//! Recognises replies of the terminal among the keys: to queries of ours that it was slow to answer, or to another program's.
//! crossterm reports them as keys, but nobody pressed these.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

/// Maximum length of a reply in keys.
const MAX_REPLY_KEYS: usize = 64;
/// Prefixes of replies: kitty's protocol; settings, capabilities and versions (DCS). The first character arrives as if pressed
/// with Alt, as does the one that ends the reply.
const REPLY_PREFIXES: [&str; 7] = ["_G", "P0$r", "P1$r", "P0+r", "P1+r", "P>|", "P!|"];

/// Recognises these replies among key events. crossterm does not report any others as keys.
#[derive(Default)]
pub struct StrayReplies {
    /// The part of a reply received so far; empty outside a reply.
    partial: String,
}

impl StrayReplies {
    /// Whether the event is part of a reply.
    pub fn contains(&mut self, event: &Event) -> bool {
        let Event::Key(KeyEvent {
            code: KeyCode::Char(letter),
            modifiers,
            ..
        }) = event
        else {
            self.partial.clear();
            return false;
        };
        let alt = modifiers.contains(KeyModifiers::ALT);
        // ST, or BEL, which comes as Ctrl-g.
        let ends = match letter {
            '\\' => alt,
            'g' => modifiers.contains(KeyModifiers::CONTROL),
            _ => false,
        };
        if ends && is_reply(&self.partial) {
            self.partial.clear();
            return true;
        }
        // Each Alt may start a reply; nothing else can.
        if alt {
            self.partial.clear();
        }
        if alt || !self.partial.is_empty() {
            self.partial.push(*letter);
        }
        let text = self.partial.as_str();
        if !(is_reply(text) || may_become_reply(text)) || text.len() > MAX_REPLY_KEYS {
            self.partial.clear();
        }
        !self.partial.is_empty()
    }
}

/// Whether `text` is the start of a reply for certain.
fn is_reply(text: &str) -> bool {
    // OSC: a number and a semicolon, as in `]11;rgb:1e1e/1e1e/2e2e`.
    let operating_system_command = text.strip_prefix(']').is_some_and(|rest| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        digits > 0 && rest[digits..].starts_with(';')
    });
    operating_system_command || REPLY_PREFIXES.iter().any(|b| text.starts_with(b))
}

/// Whether `text` may still turn out to be a reply.
fn may_become_reply(text: &str) -> bool {
    let number = text.strip_prefix(']');
    number.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
        || REPLY_PREFIXES.iter().any(|b| b.starts_with(text))
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
    fn a_reply_is_removed_and_the_keys_around_it_stay() {
        let mut events = vec![key('j', false), key('_', true)];
        events.extend("Gi=31;OK".chars().map(|letter| key(letter, false)));
        events.extend([key('\\', true), key('k', false)]);
        assert_eq!(left(events), 2);
    }

    #[test]
    fn a_reply_about_colours_is_removed_too() {
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
    fn unsolicited_replies_are_not_keys() {
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
    fn a_key_that_does_not_continue_a_reply_is_a_key() {
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
    fn keys_that_only_start_like_a_reply_are_soon_keys_again() {
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
