//! Answers of the terminal that come after the time for them: nobody pressed these keys.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

/// More keys than an answer has.
const LONGEST: usize = 64;

/// Finds the answers for kitty's protocol among the keys; all others are no keys to begin with.
#[derive(Default)]
pub struct Late {
    /// Keys since what may be the beginning of one.
    since: Option<usize>,
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
            self.since = None;
            return false;
        };
        let alt = modifiers.contains(KeyModifiers::ALT);
        match (self.since, letter) {
            (_, '_') if alt => self.since = Some(0),
            (Some(0), 'G') if !alt => self.since = Some(1),
            (Some(1..), '\\') if alt => {
                self.since = None;
                return true;
            }
            (Some(count @ 1..LONGEST), _) if !alt => self.since = Some(count + 1),
            _ => self.since = None,
        }
        self.since.is_some()
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
