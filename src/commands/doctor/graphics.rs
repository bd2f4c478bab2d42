//! Checks graphics: how the terminal was probed, what it answered, what was chosen, and what to change.

use std::io::IsTerminal;

use super::Check;
use crate::app::Graphics;
use crate::config::Setting;
use crate::graphics::{Capabilities, Limits, Route, probe_cooked};

/// Probes the terminal.
pub(super) fn check(choice: Setting<Graphics>, limits: &mut Limits) -> Check {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Check::note(
            "graphics",
            "not probed: stdin or stdout is not a terminal",
            "to see how images will be drawn, run this command in the terminal in which you want to browse",
        );
    }
    match probe_cooked(choice, limits) {
        Ok(found) => report(&found),
        Err(error) => Check::note(
            "graphics",
            format!("the terminal cannot be probed: {error}"),
            "images are drawn as half blocks; choose another protocol with --graphics",
        ),
    }
}

fn report(found: &Capabilities) -> Check {
    let (width, height) = found.cell();
    let source = match (found.cell, found.cell_of_window) {
        (Some(_), _) => "reported",
        (None, Some(_)) => "from the window size",
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
            "{chosen}; probed for kitty: {}, compression: {}, sixel: {}; cell {width}×{height} ({source}); {} {} of {} ms",
            word(found.kitty),
            word(found.deflate),
            word(found.sixel),
            if found.complete {
                "answered in"
            } else {
                "not all queries answered in"
            },
            found.took.as_millis(),
            found.timeout.as_millis(),
        )
    } else if found.chosen {
        format!("{chosen}, as set; not probed; cell {width}×{height} ({source})")
    } else {
        format!(
            "{chosen}; not probed, because the terminal named by TERM would print the queries; cell {width}×{height} ({source})"
        )
    };
    match advice(found) {
        Some(advice) => Check::note("graphics", text, advice),
        None => Check::ok("graphics", text),
    }
}

/// What would improve the images.
fn advice(found: &Capabilities) -> Option<&'static str> {
    let guessed = found.cell.is_none() && found.cell_of_window.is_none();
    match found.graphics {
        Graphics::None => Some("no images are drawn; --graphics halfblocks works in any terminal"),
        Graphics::Halfblocks if found.asked && !found.complete => Some(
            "the terminal did not answer in time; if it supports kitty's protocol or sixel, set that with --graphics",
        ),
        Graphics::Halfblocks if found.asked && found.route == Route::Tmux => Some(
            "tmux passes images on to kitty and Ghostty: put `set -g allow-passthrough on` into tmux.conf (3.3 or newer) and \
             restart it; other terminals show half blocks inside tmux",
        ),
        Graphics::Halfblocks if found.asked => Some(
            "for full resolution, use kitty 0.28 or newer, Ghostty, WezTerm, foot, or `xterm -ti vt340`",
        ),
        Graphics::Kitty | Graphics::Sixel | Graphics::Iterm2 if guessed => Some(
            "the cell size is a guess, so images may be too coarse or too fine: the terminal reports neither its cell size (CSI 16 t) \
             nor its window size in pixels",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::CheckState;
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
    fn the_report_says_how_the_terminal_was_probed_and_what_was_chosen() {
        let check = report(&capabilities(Graphics::Kitty));
        assert_eq!(check.state, CheckState::Ok);
        assert_eq!(
            check.found,
            "kitty; probed for kitty: yes, compression: yes, sixel: no; cell 9×18 (reported); answered in 4 of 300 ms"
        );
    }

    #[test]
    fn the_advice_says_what_to_change() {
        let advice = |found: Capabilities| report(&found).advice.unwrap_or_default();
        let plain = capabilities(Graphics::Halfblocks);
        assert!(advice(plain.clone()).contains("kitty 0.28"));
        let silent = Capabilities {
            complete: false,
            ..plain.clone()
        };
        assert!(advice(silent).contains("--graphics"));
        let tmux = Capabilities {
            route: Route::Tmux,
            ..plain.clone()
        };
        assert!(advice(tmux).contains("allow-passthrough"));
        let guessed = Capabilities {
            cell: None,
            ..capabilities(Graphics::Kitty)
        };
        assert!(advice(guessed).contains("guess"));
        let chosen = Capabilities {
            chosen: true,
            asked: false,
            ..plain.clone()
        };
        let check = report(&chosen);
        assert_eq!((check.state, check.advice), (CheckState::Ok, None));
        assert!(check.found.contains("as set; not probed"));
        let dumb = Capabilities {
            asked: false,
            ..plain
        };
        let check = report(&dumb);
        assert_eq!((check.state, check.advice), (CheckState::Ok, None));
        assert!(check.found.contains("TERM"), "{}", check.found);
    }
}
