//! Files are moved by keys, and moved back.

use std::fs;

use crate::session::{Kind, Session, is_classified, row};

#[test]
fn a_file_is_moved_into_a_folder_and_back_and_its_result_with_it() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    display.until("a result", |screen| is_classified(screen, "a.png"));
    let folder = session.home.path().join("in");
    let before = fs::read(folder.join("a.png")).expect("a file");
    session.press("g;mdone\r");
    display.shows("1 file moved to");
    display.until("the move", |screen| {
        row(&screen.contents(), "a.png").is_none()
    });
    assert_eq!(fs::read(folder.join("done/a.png")).expect("moved"), before);
    assert!(!folder.join("a.png").exists());
    session.press(";u");
    display.shows("moved back");
    display.until("the result", |screen| is_classified(screen, "a.png"));
    assert_eq!(fs::read(folder.join("a.png")).expect("moved back"), before);
    assert!(!folder.join("done").exists());
    session.press("q");
    assert_eq!(session.ended(), 0);
}
