//! How pictures get to the terminal: what was asked, what came back, what was chosen, and what to change.

use std::io::IsTerminal;

use super::Check;
use crate::app::Graphics;
use crate::config;
use crate::graphics::{Capabilities, Limits, Route, probe_cooked};

/// Asks the terminal.
pub(super) fn check(choice: config::Graphics, limits: &mut Limits) -> Check {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Check::note(
            "graphics",
            "not asked: there is no terminal on stdin and stdout",
            "to see how pictures will be drawn, run it where you want to browse",
        );
    }
    match probe_cooked(choice, limits) {
        Ok(found) => report(&found),
        Err(error) => Check::note(
            "graphics",
            format!("the terminal cannot be asked: {error}"),
            "pictures are drawn as half blocks; --graphics chooses otherwise",
        ),
    }
}

fn report(found: &Capabilities) -> Check {
    let (width, height) = found.cell();
    let source = match (found.cell, found.cell_of_window) {
        (Some(_), _) => "told",
        (None, Some(_)) => "by the window",
        (None, None) => "guessed",
    };
    let by = if !found.chosen && found.iterm2 {
        " (by TERM_PROGRAM or LC_TERMINAL)"
    } else {
        ""
    };
    let chosen = format!("{}{by}", found.graphics.name());
    let text = if found.asked {
        let word = |yes: bool| if yes { "yes" } else { "no" };
        format!(
            "{chosen}; asked for kitty: {}, deflated: {}, sixel: {}; cell {width}×{height} ({source}); {} {} of {} ms",
            word(found.kitty),
            word(found.deflate),
            word(found.sixel),
            if found.complete {
                "answered in"
            } else {
                "no end of the answers in"
            },
            found.took.as_millis(),
            found.timeout.as_millis(),
        )
    } else if found.chosen {
        format!("{chosen}, as chosen; nothing was asked; cell {width}×{height} ({source})")
    } else {
        format!(
            "{chosen}; nothing was asked, as TERM names no terminal that reads questions; cell {width}×{height} ({source})"
        )
    };
    match advice(found) {
        Some(advice) => Check::note("graphics", text, advice),
        None => Check::ok("graphics", text),
    }
}

/// What would make pictures better.
fn advice(found: &Capabilities) -> Option<&'static str> {
    let guessed = found.cell.is_none() && found.cell_of_window.is_none();
    match found.graphics {
        Graphics::None => Some("no pictures are drawn; --graphics halfblocks draws them anywhere"),
        Graphics::Halfblocks if found.asked && !found.complete => Some(
            "the terminal did not answer in time: if it has kitty's protocol or sixel, choose it with --graphics",
        ),
        Graphics::Halfblocks if found.asked && found.route == Route::Tmux => Some(
            "tmux lets pictures through to kitty and Ghostty: `set -g allow-passthrough on` in tmux.conf (3.3 or newer), then \
             start again; other terminals show half blocks inside tmux",
        ),
        Graphics::Halfblocks if found.asked => Some(
            "for true pixels use kitty 0.28 or newer, Ghostty, WezTerm, foot, or `xterm -ti vt340`",
        ),
        Graphics::Kitty | Graphics::Sixel | Graphics::Iterm2 if guessed => Some(
            "the size of a cell is a guess, so pictures may be too coarse or too fine: the terminal answers neither CSI 16 t nor \
             the size of its window",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::State;
    use super::*;

    fn capabilities(graphics: Graphics) -> Capabilities {
        Capabilities {
            chosen: false,
            asked: true,
            timeout: Duration::from_millis(300),
            took: Duration::from_millis(4),
            complete: true,
            kitty: graphics == Graphics::Kitty,
            deflate: graphics == Graphics::Kitty,
            sixel: false,
            cell: Some((9, 18)),
            cell_of_window: None,
            route: Route::Direct,
            remote: false,
            iterm2: false,
            graphics,
        }
    }

    #[test]
    fn it_tells_what_was_asked_what_came_back_and_what_was_chosen() {
        let check = report(&capabilities(Graphics::Kitty));
        assert_eq!(check.state, State::Ok);
        assert_eq!(
            check.found,
            "kitty; asked for kitty: yes, deflated: yes, sixel: no; cell 9×18 (told); answered in 4 of 300 ms"
        );
    }

    #[test]
    fn it_tells_what_to_change() {
        let told = |found: Capabilities| report(&found).advice.unwrap_or_default();
        let plain = capabilities(Graphics::Halfblocks);
        assert!(told(plain.clone()).contains("kitty 0.28"));
        let silent = Capabilities {
            complete: false,
            ..plain.clone()
        };
        assert!(told(silent).contains("--graphics"));
        let tmux = Capabilities {
            route: Route::Tmux,
            ..plain.clone()
        };
        assert!(told(tmux).contains("allow-passthrough"));
        let guessed = Capabilities {
            cell: None,
            ..capabilities(Graphics::Kitty)
        };
        assert!(told(guessed).contains("guess"));
        let chosen = Capabilities {
            chosen: true,
            asked: false,
            ..plain.clone()
        };
        let check = report(&chosen);
        assert_eq!((check.state, check.advice), (State::Ok, None));
        assert!(check.found.contains("as chosen; nothing was asked"));
        let dumb = Capabilities {
            asked: false,
            ..plain
        };
        let check = report(&dumb);
        assert_eq!((check.state, check.advice), (State::Ok, None));
        assert!(check.found.contains("TERM"), "{}", check.found);
    }
}
