//! Writes that wait until the disk has them: what people have said and measured cannot be computed again.

use std::time::Instant;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::writer::{MAX_BUSY_TIME, is_busy};
use super::{Library, LibraryError, schema};

impl Library {
    /// Makes a change in a transaction of its own, and waits until the disk has it.
    ///
    /// # Errors
    ///
    /// Fails if the library cannot be used, or another process holds it for over a minute.
    pub(super) fn write_durably<T>(
        &self,
        work: impl Fn(&Transaction) -> rusqlite::Result<T>,
    ) -> Result<T, LibraryError> {
        self.repairing(|| {
            let mut connection = schema::connect(self.file())?;
            // It survives a power failure, too.
            connection.pragma_update(None, "synchronous", "FULL")?;
            let until = Instant::now() + MAX_BUSY_TIME;
            loop {
                match change(&mut connection, &work) {
                    Err(error) if is_busy(&error) && Instant::now() < until => {}
                    done => return Ok(done?),
                }
            }
        })
    }
}

fn change<T>(
    connection: &mut Connection,
    work: impl Fn(&Transaction) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = work(&change)?;
    change.commit()?;
    Ok(done)
}
