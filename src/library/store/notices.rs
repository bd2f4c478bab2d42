//! What the library tells the user.

use std::sync::{Mutex, OnceLock, PoisonError};

/// Tells the user something about the library, in a sentence.
pub type NoticeReporter = Box<dyn Fn(&str) + Send + Sync>;

/// Reports faults and conflicts. Of the faults only the first: those after it follow from it as a rule.
#[derive(Default)]
pub(super) struct Notices {
    fault_reporter: OnceLock<NoticeReporter>,
    /// The first fault, until there is someone to report it to.
    first_fault: Mutex<FirstFault>,
    conflict_reporter: OnceLock<NoticeReporter>,
}

#[derive(Default)]
enum FirstFault {
    #[default]
    None,
    Waiting(String),
    Reported,
}

impl Notices {
    pub(super) fn report_faults_to(&self, reporter: NoticeReporter) {
        if self.fault_reporter.set(reporter).is_ok() {
            let first = &self.first_fault;
            let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
            self.deliver(&mut first);
        }
    }

    pub(super) fn report_conflicts_to(&self, reporter: NoticeReporter) {
        let _ = self.conflict_reporter.set(reporter);
    }

    pub(super) fn report_fault(&self, sentence: String) {
        tracing::debug!("{sentence}");
        let first = &self.first_fault;
        let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*first, FirstFault::None) {
            *first = FirstFault::Waiting(sentence);
        }
        self.deliver(&mut first);
    }

    pub(super) fn report_conflict(&self, sentence: &str) {
        tracing::debug!("{sentence}");
        if let Some(reporter) = self.conflict_reporter.get() {
            reporter(sentence);
        }
    }

    fn deliver(&self, first: &mut FirstFault) {
        if let (FirstFault::Waiting(sentence), Some(reporter)) =
            (&*first, self.fault_reporter.get())
        {
            reporter(sentence);
            *first = FirstFault::Reported;
        }
    }
}
