//! The bounds of one call: its deadline and its cancellation.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use redact::RedactedUrl;
use tokio::{runtime::Handle, task::spawn_blocking, time::sleep_until};
use tokio_util::sync::CancellationToken;

use crate::Error;

/// What the steps of a call share.
///
/// It is used on a blocking thread; asynchronous steps run on the runtime that made the call, and
/// the thread waits for them, but not beyond the deadline.
pub(crate) struct Operation {
    pub(crate) url: RedactedUrl,
    /// Set when the call has to end, for code that looks at a flag from time to time.
    pub(crate) interrupt: Arc<AtomicBool>,
    timeout: Duration,
    deadline: Instant,
    cancelled: CancellationToken,
    runtime: Handle,
    /// The first failure that a transport met: the layers above know it as text alone.
    failure: Mutex<Option<Error>>,
}

/// Ends the operation when the future that waits for it is dropped.
struct EndOnDrop(Arc<Operation>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Runs work on a blocking thread, until it is done, the time is over or the future is dropped.
///
/// The thread has ended when the future is ready.
pub(crate) async fn run<T: Send + 'static>(
    url: RedactedUrl,
    timeout: Duration,
    work: impl FnOnce(&Arc<Operation>) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let deadline = Instant::now() + timeout;
    let operation = Arc::new(Operation {
        url,
        interrupt: Arc::new(AtomicBool::new(false)),
        timeout,
        deadline,
        cancelled: CancellationToken::new(),
        runtime: Handle::current(),
        failure: Mutex::new(None),
    });
    let end = EndOnDrop(Arc::clone(&operation));
    let span = tracing::Span::current();
    let mut task = spawn_blocking({
        let operation = Arc::clone(&operation);
        move || {
            let _entered = span.enter();
            let result = work(&operation);
            // What ended the operation comes before what it looked like from further up.
            result.map_err(|err| operation.check().err().unwrap_or(err))
        }
    });
    let outcome = tokio::select! {
        outcome = &mut task => outcome,
        () = sleep_until(deadline.into()) => {
            operation.end();
            task.await
        }
    };
    drop(end);
    match outcome {
        Ok(result) => result,
        Err(err) => match err.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::Cancelled),
        },
    }
}

impl Operation {
    /// Returns the same operation for another repository.
    pub(crate) fn with_url(&self, url: RedactedUrl) -> Arc<Self> {
        Arc::new(Self {
            url,
            interrupt: Arc::clone(&self.interrupt),
            timeout: self.timeout,
            deadline: self.deadline,
            cancelled: self.cancelled.clone(),
            runtime: self.runtime.clone(),
            failure: Mutex::new(None),
        })
    }

    /// Fails once the call has to end.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if Instant::now() >= self.deadline {
            return Err(self.timed_out());
        }
        if self.interrupt.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        Ok(())
    }

    /// Waits for a future, but not longer than the call may last.
    pub(crate) fn wait<F: Future>(&self, future: F) -> Result<F::Output, Error> {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.cancelled.cancelled() => Err(self.check().err().unwrap_or(Error::Cancelled)),
                () = sleep_until(self.deadline.into()) => Err(self.timed_out()),
                output = future => Ok(output),
            }
        })
    }

    /// Records why a transport fails, and returns an error that the layers in between can pass on.
    pub(crate) fn fail(&self, err: Error) -> std::io::Error {
        let text = err.to_string();
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(err);
        std::io::Error::other(text)
    }

    /// Takes the failure that was recorded first.
    pub(crate) fn recorded(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn end(&self) {
        self.interrupt.store(true, Ordering::Relaxed);
        self.cancelled.cancel();
    }

    fn timed_out(&self) -> Error {
        Error::Timeout { url: self.url.clone(), after: self.timeout }
    }
}
