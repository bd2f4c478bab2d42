//! Collects the frames of a file until all of them are there.

use std::sync::Arc;

use super::pool::OpenedFile;
use super::worker::InferenceWorker;
use crate::library::Failure;

impl InferenceWorker<'_> {
    /// Records a frame's result; finishes the job with the last frame of its file.
    pub(super) fn record_frame(
        &mut self,
        file: &Arc<OpenedFile>,
        frame: u32,
        result: Result<Arc<[f32]>, Failure>,
    ) {
        let key = file.job.generation;
        let results = self.partial.entry(key).or_default();
        results.push((frame, result));
        if results.len() < file.frames {
            return;
        }
        let results = self.partial.remove(&key).unwrap_or_default();
        if self.shared.is_wanted(&file.job) {
            let OpenedFile {
                job,
                content,
                order,
                ..
            } = &**file;
            let outcomes = self.scorers.outcomes(&job.path, content, order, results);
            self.shared
                .store(vec![outcomes.iter().flatten().cloned().collect()]);
            self.shared.finish_job(job, outcomes);
        } else {
            self.shared.drop_job(&file.job);
        }
    }
}
