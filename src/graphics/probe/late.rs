//! Answers of the terminal that come after the time for them: nobody pressed these keys.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

/// More keys than an answer has.
const LONGEST: usize = 64;
/// How answers begin: for kitty's protocol, and of the colours, refused or not. The first letter comes as pressed with Alt.
const BEGINNINGS: [&str; 3] = ["_G", "P0$r", "P1$r"];

/// Finds these answers among the keys; all others are no keys to begin with.
#[derive(Default)]
pub struct Late {
    /// What has come of one; empty outside.
    begun: String,
}

impl Late {
    /// This is part of an answer.
    pub fn takes(&mut self, event: &Event) -> bool {
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
        let has_beginning = |text: &str| BEGINNINGS.iter().any(|b| text.starts_with(b));
        if alt && *letter == '\\' && has_beginning(&self.begun) {
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
        let may_be_one = has_beginning(text) || BEGINNINGS.iter().any(|b| b.starts_with(text));
        if !may_be_one || text.len() > LONGEST {
            self.begun.clear();
        }
        !self.begun.is_empty()
    }
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
        let mut late = Late::default();
        events.iter().filter(|event| !late.takes(event)).count()
    }

    #[test]
    fn an_answer_is_taken_out_and_keys_around_it_stay() {
        let mut events = vec![key('j', false), key('_', true)];
        events.extend("Gi=31;OK".chars().map(|letter| key(letter, false)));
        events.extend([key('\\', true), key('k', false)]);
        assert_eq!(left(events), 2);
    }

    #[test]
    fn an_answer_of_the_colours_is_taken_out_too() {
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
