//! One process of an adapter: lines go in, lines come out, and whatever it does wrong is told in words.

use super::line;
use crate::subject::command::{Group, shell};
use crate::subject::device::DeviceError;
use fieldsync_schemas::adapter::{AdapterError, AdapterRequest, LINE_BYTES};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::{HashMap, VecDeque};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};

/// What is kept of the standard error, in bytes.
const LOG_BYTES: usize = 4096;
/// How long a process that closed its standard output may take to end, and its log after it: a process that left the
/// group may hold on to either.
const END_BUDGET: Duration = Duration::from_secs(1);

/// A process of an adapter. It ends with everything that it started when this is dropped.
pub(super) struct AdapterProcess {
    group: Group,
    lines: mpsc::UnboundedSender<Vec<u8>>,
    shared: Arc<Shared>,
    over: watch::Receiver<bool>,
    next: AtomicU64,
    patience: Duration,
}

/// What the tasks that read and write share.
#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    log: Mutex<VecDeque<u8>>,
    ended_by_suite: AtomicBool,
}

/// Who waits for an answer, until something is wrong with the process.
#[derive(Default)]
struct Waiting {
    answers: HashMap<u64, oneshot::Sender<RawAnswer>>,
    broken: Option<String>,
}

/// An answer whose `ok` is not read yet.
#[derive(Debug, Deserialize)]
struct RawAnswer {
    id: u64,
    ok: Option<Box<RawValue>>,
    error: Option<AdapterError>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AdapterProcess {
    /// Starts the command. A request is given up after `patience`.
    pub(super) fn start(command: &str, patience: Duration) -> std::io::Result<Self> {
        let mut child = shell(command).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let group = Group::of(&child);
        let shared = Arc::new(Shared::default());
        let (lines, to_write) = mpsc::unbounded_channel();
        let (tell_over, over) = watch::channel(false);
        if let Some(input) = child.stdin.take() {
            tokio::spawn(write_lines(input, to_write));
        }
        let log = child.stderr.take().map(|errors| tokio::spawn(keep_log(errors, shared.clone())));
        if let Some(output) = child.stdout.take() {
            let shared = shared.clone();
            let group = Group::of(&child);
            tokio::spawn(async move {
                let reason = read_lines(output, &shared).await;
                let reason = end(child, &group, reason).await;
                // The log is read by another task, and whoever is told the reason takes it at once.
                if let Some(log) = log {
                    _ = tokio::time::timeout(END_BUDGET, log).await;
                }
                let mut waiting = locked(&shared.waiting);
                waiting.broken = Some(reason);
                // Whoever waits finds the reason.
                waiting.answers.clear();
                drop(waiting);
                _ = tell_over.send(true);
            });
        }
        Ok(Self { group, lines, shared, over, next: AtomicU64::new(1), patience })
    }

    /// Its process, for a debugger.
    pub(super) fn pid(&self) -> Option<u32> {
        self.group.pid()
    }

    /// Sends a request and reads what its answer tells.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        verb: &str,
        request: impl FnOnce(u64) -> AdapterRequest,
    ) -> Result<T, DeviceError> {
        let answer = self.answer(verb, request).await?;
        match (answer.ok, answer.error) {
            (Some(ok), None) => serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(ok.get()))
                .map_err(|error| DeviceError(format!("the answer to `{verb}` is not valid, at {error}"))),
            (None, Some(error)) => {
                Err(DeviceError(format!("`{verb}` was answered with {}: {}", error.code, error.message)))
            }
            _ => Err(DeviceError(format!("the answer to `{verb}` must have either `ok` or `error`"))),
        }
    }

    /// Sends a verb that there is not, and tells how it is refused.
    pub(super) async fn refusal(&self, verb: &str) -> Result<AdapterError, DeviceError> {
        let answer = self.answer(verb, |id| json!({"verb": verb, "id": id, "device": "tablet"})).await?;
        answer.error.ok_or_else(|| DeviceError(format!("`{verb}`, which is no verb, was done")))
    }

    /// Sends a request and waits for its answer.
    async fn answer<R: Serialize>(&self, verb: &str, request: impl FnOnce(u64) -> R) -> Result<RawAnswer, DeviceError> {
        let answer = self.send(request);
        match tokio::time::timeout(self.patience, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => {
                let reason = locked(&self.shared.waiting).broken.clone().unwrap_or_default();
                Err(DeviceError(format!("`{verb}` was not answered: {reason}")))
            }
            Err(_) => {
                self.group.end();
                // With its log, which says what it was at.
                _ = tokio::time::timeout(END_BUDGET, self.ended()).await;
                Err(DeviceError(format!("`{verb}` was not answered within {} s", self.patience.as_secs())))
            }
        }
    }

    /// Sends a request whose answer nobody waits for.
    pub(super) fn tell(&self, request: impl FnOnce(u64) -> AdapterRequest) {
        drop(self.send(request));
    }

    fn send<R: Serialize>(&self, request: impl FnOnce(u64) -> R) -> oneshot::Receiver<RawAnswer> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (tell, answer) = oneshot::channel();
        let mut waiting = locked(&self.shared.waiting);
        if waiting.broken.is_none() {
            waiting.answers.insert(id, tell);
            // Where the writer has ended, so has the process, and the reader tells why.
            _ = self.lines.send(line::write(&request(id)));
        }
        answer
    }

    /// Whether everything that was asked is answered and nothing is wrong.
    pub(super) fn is_idle(&self) -> bool {
        let waiting = locked(&self.shared.waiting);
        waiting.broken.is_none() && waiting.answers.is_empty()
    }

    /// Whether the suite itself ended it.
    pub(super) fn was_ended(&self) -> bool {
        self.shared.ended_by_suite.load(Ordering::SeqCst)
    }

    /// Ends the process at once, as a loss of power does.
    pub(super) fn kill(&self) {
        self.shared.ended_by_suite.store(true, Ordering::SeqCst);
        self.group.end();
    }

    /// Returns once the process has ended.
    pub(super) async fn ended(&self) {
        let mut over = self.over.clone();
        _ = over.wait_for(|over| *over).await;
    }

    /// The end of what it wrote to its standard error since the last time.
    pub(super) fn take_log(&self) -> Option<String> {
        let bytes: Vec<u8> = locked(&self.shared.log).drain(..).collect();
        (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Drop for AdapterProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn write_lines(mut input: ChildStdin, mut lines: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(line) = lines.recv().await {
        if input.write_all(&line).await.is_err() || input.flush().await.is_err() {
            return;
        }
    }
}

async fn keep_log(mut errors: ChildStderr, shared: Arc<Shared>) {
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = errors.read(&mut buffer).await {
        let mut log = locked(&shared.log);
        log.extend(&buffer[..length]);
        let surplus = log.len().saturating_sub(LOG_BYTES);
        log.drain(..surplus);
    }
}

/// Hands out answers until there are no more, and tells what was wrong, if anything.
async fn read_lines(output: ChildStdout, shared: &Shared) -> Option<String> {
    let mut lines = FramedRead::new(output, LinesCodec::new_with_max_length(LINE_BYTES));
    while let Some(read) = lines.next().await {
        let line = match read {
            Ok(line) => line,
            Err(LinesCodecError::MaxLineLengthExceeded) => {
                return Some(format!("the adapter wrote a line of more than {LINE_BYTES} bytes"));
            }
            Err(LinesCodecError::Io(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Some("the adapter wrote a line that is not UTF-8, and a line is ASCII".to_owned());
            }
            Err(LinesCodecError::Io(error)) => return Some(format!("the adapter cannot be read: {error}")),
        };
        let shown = || line.chars().take(120).collect::<String>();
        if !line.is_ascii() {
            return Some(format!("the adapter wrote a line that is not ASCII: {:?}", shown()));
        }
        let answer: RawAnswer = match serde_json::from_str(&line) {
            Ok(answer) => answer,
            Err(error) => return Some(format!("the adapter wrote a line that is no answer ({error}): {:?}", shown())),
        };
        match locked(&shared.waiting).answers.remove(&answer.id) {
            // Who has stopped waiting does not need it.
            Some(tell) => _ = tell.send(answer),
            None => {
                return Some(format!(
                    "the adapter answered the id {}, which was not asked or was answered before: {:?}",
                    answer.id,
                    shown()
                ));
            }
        }
    }
    None
}

/// Ends a process that said its last, with everything that it started, and tells how it ended.
async fn end(mut child: Child, group: &Group, reason: Option<String>) -> String {
    if reason.is_some() {
        group.end();
    }
    let status = tokio::time::timeout(END_BUDGET, child.wait()).await;
    group.end();
    let ended = match status {
        Ok(Ok(status)) => format!("the adapter ended with {status}"),
        Ok(Err(error)) => format!("the adapter cannot be waited for: {error}"),
        Err(_) => {
            _ = child.wait().await;
            "the adapter closed its standard output and went on".to_owned()
        }
    };
    reason.unwrap_or(ended)
}
