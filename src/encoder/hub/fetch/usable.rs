//! Whether a model can be used at all, which its small files show before the weights are downloaded.

use std::fs;

use super::{PullOptions, Puller, RepositoryPart, pull_part};
use crate::encoder::hub::HubError;
use crate::encoder::layout::NeededFiles;
use crate::encoder::{CheckpointLayout, checkpoint, inventory};

impl Puller<'_> {
    /// The names of the weights; an error if the small files, which must be there, show that the model cannot be used with any weights.
    pub(super) fn weights_of_usable(
        &mut self,
        needs: &NeededFiles,
    ) -> Result<Vec<String>, HubError> {
        let folder = self.snapshot_folder();
        let id = self.id.to_owned();
        let refuse = |reason: &str| HubError::Layout {
            id: id.clone(),
            // The names of files on the hub, not in the cache.
            reason: reason.replace(&format!("{}/", folder.display()), ""),
        };
        let weights = needs.weights(&folder).map_err(|reason| refuse(&reason))?;
        let layout = needs.layout(&folder).map_err(|e| refuse(&e.to_string()))?;
        if layout == CheckpointLayout::StateDict {
            return Ok(weights);
        }
        if layout == CheckpointLayout::OpenClip
            && let Some(tokenizer) = checkpoint::other_tokenizer(&folder)
        {
            self.pull_other_tokenizer(&tokenizer)?;
        }
        let missing = inventory::missing_settings(&folder, layout);
        let missing = missing.map_err(|e| refuse(&e.to_string()))?;
        if !missing.is_empty() {
            let missing = missing.join(" and no ");
            return Err(refuse(&format!("its repository has no {missing}")));
        }
        let usable = checkpoint::check_settings(&folder, layout);
        usable.map_err(|e| refuse(&e.to_string()))?;
        Ok(weights)
    }

    /// Downloads the tokenizer that the model's configuration says another repository has.
    fn pull_other_tokenizer(&mut self, tokenizer: &str) -> Result<(), HubError> {
        let options = PullOptions {
            cache: self.cache,
            id: tokenizer,
            revision: None,
            offline: false,
        };
        let pulled = pull_part(&options, RepositoryPart::Tokenizer, self.report);
        pulled.map(drop).map_err(|error| match error {
            HubError::InvalidId(_)
            | HubError::NotFound(_)
            | HubError::NoToken(_)
            | HubError::NotAllowed { .. }
            | HubError::Layout { .. } => self.layout(format!(
                "it has no tokenizer of its own, and that of {tokenizer} cannot be had: {error}"
            )),
            other => other,
        })
    }

    /// Removes what this download has added to the cache, and the folders that are empty then.
    pub(super) fn remove_created(&self) {
        // What cannot be removed stays.
        for path in &self.created {
            let _ = fs::remove_file(path);
        }
        let (model, snapshot) = (self.model_folder(), self.snapshot_folder());
        let folders = [
            snapshot,
            model.join("snapshots"),
            model.join("blobs"),
            model,
        ];
        for folder in folders {
            let _ = fs::remove_dir(folder);
        }
    }
}
