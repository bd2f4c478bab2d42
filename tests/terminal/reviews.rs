//! Reviews of one session are there in the next one.

use crate::session::{Kind, Session, is_classified, is_current, row};

#[test]
fn reviews_are_kept_over_restarts_and_so_is_what_can_be_undone() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    for name in ["a.png", "b.png"] {
        display.until("a result", |screen| is_classified(screen, name));
    }
    session.press(",2");
    display.until("the next image", |screen| is_current(screen, "b.png"));
    display.shows("1 of 3 reviewed");
    session.press(",3");
    display.shows("2 of 3 reviewed");
    session.press("q");
    assert_eq!(session.ended(), 0);

    let is_reviewed = |contents: &str, name: &str| {
        row(contents, name).is_some_and(|row| row.contains(['✓', '≠']))
    };
    let session = session.again(Kind::Plain);
    let display = &session.display;
    display.until("the reviews", |screen| {
        let contents = screen.contents();
        is_reviewed(&contents, "a.png") && is_reviewed(&contents, "b.png")
    });
    session.press(",u");
    display.shows("undone: ");
    display.until("only the first review", |screen| {
        let contents = screen.contents();
        is_reviewed(&contents, "a.png") && !is_reviewed(&contents, "b.png")
    });
    session.press("q");
    assert_eq!(session.ended(), 0);

    let session = session.again(Kind::Plain);
    let display = &session.display;
    display.until("the review", |screen| {
        is_reviewed(&screen.contents(), "a.png")
    });
    session.press(",r");
    display.until("both reviews", |screen| {
        is_reviewed(&screen.contents(), "b.png")
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}
