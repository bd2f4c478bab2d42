//! Reviews of one session are there in the next one.

use rusqlite::Connection;

use crate::session::{DEADLINE, Kind, Session, is_classified, is_current, row};

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

/// A session that was quit while another process writes to the library, with a review that waits for it.
fn quit_with_a_locked_library() -> (Session, Connection) {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    for name in ["a.png", "b.png", "c.png"] {
        display.until("a result", |screen| is_classified(screen, name));
    }
    let file = ".local/share/medivision-tui/library.sqlite3";
    let other = Connection::open(session.home.path().join(file)).expect("the library");
    other.busy_timeout(DEADLINE).expect("set");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    session.press(",2");
    display.shows("1 of 3 reviewed");
    session.press("q");
    display.shows("to store 1 review; Ctrl-C gives that up");
    (session, other)
}

#[test]
fn a_review_is_waited_for_that_another_process_keeps_from_being_stored() {
    let (session, other) = quit_with_a_locked_library();
    other.execute_batch("ROLLBACK").expect("free");
    assert_eq!(session.ended(), 0);
    let reviews = "SELECT count(*) FROM reviews WHERE state = 0";
    let stored = other.query_row(reviews, [], |row| row.get::<_, i64>(0));
    assert_eq!(stored.expect("read"), 1);
}

#[test]
fn a_review_that_is_given_up_is_an_error() {
    let (session, _other) = quit_with_a_locked_library();
    session.press("\x03");
    assert_eq!(session.ended(), 1);
    session.display.shows("1 review is not stored");
}
