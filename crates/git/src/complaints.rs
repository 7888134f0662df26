//! What a server says when it gives up in the middle of a pack.

use std::sync::{Arc, Mutex, PoisonError, atomic::AtomicUsize};

use gix::{
    Count, NestedProgress, Progress,
    progress::{Id, MessageLevel, Step, StepShared, UNKNOWN, Unit},
};

/// How much of it is kept, in bytes.
const MAX_LENGTH: usize = 1 << 10;

/// Keeps the complaints of a server, and nothing of its progress.
#[derive(Debug, Clone, Default)]
pub(crate) struct Complaints {
    text: Arc<Mutex<String>>,
    steps: StepShared,
}

impl Complaints {
    /// Returns what was said, in one line.
    pub(crate) fn take(&self) -> Option<String> {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        (!line.is_empty()).then_some(line)
    }
}

impl Count for Complaints {
    fn set(&self, _step: Step) {}

    fn step(&self) -> Step {
        0
    }

    fn inc_by(&self, _step: Step) {}

    fn counter(&self) -> StepShared {
        Arc::<AtomicUsize>::clone(&self.steps)
    }
}

impl Progress for Complaints {
    fn init(&mut self, _max: Option<Step>, _unit: Option<Unit>) {}

    fn set_name(&mut self, _name: String) {}

    fn name(&self) -> Option<String> {
        None
    }

    fn id(&self) -> Id {
        UNKNOWN
    }

    fn message(&self, level: MessageLevel, message: String) {
        if level == MessageLevel::Failure {
            let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
            if text.len() + message.len() <= MAX_LENGTH {
                text.push_str(&message);
                text.push(' ');
            }
        }
    }
}

impl NestedProgress for Complaints {
    type SubProgress = Self;

    fn add_child(&mut self, _name: impl Into<String>) -> Self {
        self.clone()
    }

    fn add_child_with_id(&mut self, _name: impl Into<String>, _id: Id) -> Self {
        self.clone()
    }
}
