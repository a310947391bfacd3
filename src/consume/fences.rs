//! The fence under which each partition is read now.

use crate::apply::TopicPartition;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// Shared by the consumer's thread and the lanes. A fence that is retired never becomes current again, so a record
/// under another fence than the current one can be dropped at any time. It saves work; what counts is the check in the
/// transaction.
#[derive(Debug, Default)]
pub(super) struct Fences(Mutex<HashMap<TopicPartition, Uuid>>);

impl Fences {
    pub(super) fn set(&self, at: &TopicPartition, fence: Uuid) {
        self.lock().insert(at.clone(), fence);
    }

    /// Nothing more is to be applied under this fence.
    pub(super) fn retire(&self, at: &TopicPartition, fence: Uuid) {
        let mut fences = self.lock();
        if fences.get(at) == Some(&fence) {
            fences.remove(at);
        }
    }

    pub(super) fn is_current(&self, at: &TopicPartition, fence: Uuid) -> bool {
        self.lock().get(at) == Some(&fence)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TopicPartition, Uuid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
