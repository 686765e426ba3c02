//! The sync cycle: an ordered list of phases for each profile, run by one interpreter.
//!
//! Chapter: cycles. What to send next is worked out from the state each time, so a login in between, a wait or a
//! restart leads back to the same call.

use super::attachments::FilesRun;
use super::call::{self, Answer, Call, Reading, Transfer};
use super::digest::Comparison;
use super::links::LinksRun;
use super::store::LastFailure;
use super::telemetry::{Tally, Telling};
use super::{DeviceError, Next, Step};
use fieldsync_schemas::id::{FeedName, MutationId, RequestId, SessionTag, TypeName};
use fieldsync_schemas::problem::{Problem, Retry};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::registry::Profile;
use fieldsync_schemas::scenario::{CallKind, FailureCause};
use fieldsync_schemas::session::Session;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

/// The sends of one call in one sync, where the server fails.
const SENDS: u32 = 3;
/// The waits of one sync that a server can ask for.
const WAITS: u32 = 3;
/// The longest wait that a server can ask for, in seconds.
const LONGEST_WAIT: u64 = 60;
/// The wait after the first failure; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// How often one sync starts over for the same kind of reason before it gives up.
pub(super) const ATTEMPTS: u32 = 3;

/// One phase of a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A batch whose answer is unknown is sent again.
    Settle,
    /// Files go up whose types have them before their records.
    Media,
    /// The outbox is pushed, batch by batch.
    Push,
    /// What waits to be told is told before a pull in which the syncs may all break off.
    TellTrouble,
    /// All feeds are pulled, page by page.
    Pull,
    /// What the server made of what was pushed is pulled.
    PullResults,
    /// What the device holds is compared with what the server has, where it is asked to.
    Compare,
    /// Files go up and come down.
    Attachments,
    /// Where the files are is said to the server, for the records that name them.
    Links,
    /// What the sync was like is told.
    Tell,
}

/// The phases of a profile; nothing for a profile that this device does not know.
pub fn cycle(profile: &Profile) -> Option<&'static [Phase]> {
    match profile {
        Profile::VersionWins | Profile::EntityQueue => Some(&[
            Phase::Settle,
            Phase::Media,
            Phase::Push,
            Phase::TellTrouble,
            Phase::Pull,
            Phase::Compare,
            Phase::Attachments,
            Phase::Links,
            Phase::PullResults,
            Phase::Tell,
        ]),
        Profile::FieldMerge => Some(&[
            Phase::Settle,
            Phase::TellTrouble,
            Phase::Pull,
            Phase::Media,
            Phase::Push,
            Phase::PullResults,
            Phase::Compare,
            Phase::Attachments,
            Phase::Links,
            Phase::PullResults,
            Phase::Tell,
        ]),
        Profile::Other(_) => None,
    }
}

/// What a phase has come to.
pub(super) enum Flow {
    /// This is to be done in it.
    Do(Next),
    /// It is over.
    Over,
    /// The cycle goes on at this phase.
    At(Phase),
}

/// How a sync ended.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncReport {
    /// Well or not.
    pub outcome: SyncOutcome,
    /// The types that the device left out, because they require what it does not know.
    pub left_out: Vec<TypeName>,
    /// What was done.
    pub counts: Counts,
}

/// What a sync did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were sent.
    pub requests: u64,
    /// Mutations that the server settled.
    pub settled: u64,
    /// Mutations that were given up.
    pub given_up: u64,
    /// Changes that were pulled.
    pub pulled: u64,
}

/// Whether a sync ended well.
#[derive(Debug, Clone, PartialEq)]
pub enum SyncOutcome {
    /// Everything was pushed, as far as it can be, and pulled.
    Ok,
    /// It broke off; the next sync goes on.
    Failed(Failure),
}

/// Why a sync failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The cause.
    pub cause: FailureCause,
    /// The request that failed, as the server names it.
    pub request_id: Option<RequestId>,
    /// What was wrong, for people.
    pub detail: String,
}

impl Failure {
    /// A failure without a request id.
    pub fn new(cause: FailureCause, detail: impl Into<String>) -> Self {
        Self { cause, request_id: None, detail: detail.into() }
    }

    /// The failure that a problem comes to.
    pub(super) fn of(problem: &Problem) -> Self {
        Self {
            cause: match problem.status {
                401 | 403 => FailureCause::Credentials,
                _ => FailureCause::Server,
            },
            request_id: Some(problem.request_id.clone()),
            detail: format!("{}: {}", problem.code, problem.detail),
        }
    }
}

/// What is known only while one sync runs.
#[derive(Default)]
pub(super) struct Run {
    pub(super) phase: usize,
    /// The call whose answer is awaited.
    sent: Option<CallKind>,
    /// Failures of the server since its last message.
    pub(super) sends: u32,
    pub(super) waits: u32,
    /// A new token was asked for since the server's last message.
    pub(super) logged_in_again: bool,
    pub(super) session_is_old: bool,
    /// The session tags for which the session was fetched.
    pub(super) session_tags: BTreeSet<SessionTag>,
    pub(super) pulled_all: bool,
    /// The feeds that were walked to their ends while others wait for a request of their own.
    pub(super) walked: BTreeSet<FeedName>,
    /// The feeds that the server named as new in this sync.
    pub(super) new_feeds: BTreeSet<FeedName>,
    /// Answers with pages that do not go on from the stored cursor, or that lead nowhere.
    pub(super) stray_answers: u32,
    pub(super) resyncs: u32,
    pub(super) fences: u32,
    /// The feeds that the server does not have, whatever its session says.
    pub(super) unknown_feeds: BTreeSet<FeedName>,
    /// The batch that is frozen was never sent.
    pub(super) batch_is_new: bool,
    /// The batch on its way is sent for the first time.
    pub(super) first_send: bool,
    /// The server took a batch in this sync.
    pub(super) took_a_batch: bool,
    /// The server took a batch, and nothing was pulled since.
    pub(super) pushed_since_pull: bool,
    /// The place of the last batch that was answered, where the server says it.
    pub(super) accepted_seq: Option<u64>,
    /// Failures of the server over batches while it has taken none.
    pub(super) failed_batches: u32,
    /// Mutations over which the server failed, each alone, while nothing shows that it would not fail over any.
    pub(super) suspects: Vec<MutationId>,
    /// What waits to be pushed, piece by piece in its order, as it was worked out when the first of it went.
    pub(super) queue: VecDeque<Vec<MutationId>>,
    /// Mutations that wait for the next sync.
    pub(super) set_aside: HashSet<MutationId>,
    /// How often a record's mutation was made anew.
    pub(super) renewals: HashMap<RecordRef, u32>,
    /// How often a record was merged because it was stale.
    pub(super) merges: HashMap<RecordRef, u32>,
    /// The server refused a push as a whole; the sync pulls, then fails.
    pub(super) refusal: Option<Failure>,
    pub(super) files: FilesRun,
    pub(super) links: LinksRun,
    pub(super) counts: Counts,
    /// The device compares in this sync.
    pub(super) comparison: Option<Comparison>,
    /// What was done, as it is told.
    pub(super) tally: Tally,
    pub(super) telling: Telling,
}

impl Run {
    /// How the sync will end, once all phases are over.
    pub(super) fn failure_at_the_end(&self) -> Option<Failure> {
        let suspicious = || Failure::new(FailureCause::Server, "the server fails over every change that waits");
        self.refusal.clone().or_else(|| (!self.suspects.is_empty()).then(suspicious))
    }
}

impl Step<'_> {
    pub(super) fn begin(&mut self) -> Result<Next, DeviceError> {
        if self.machine.run.is_some() {
            return Ok(Next::Idle);
        }
        let comparison = std::mem::take(&mut self.machine.compares_next).then(Comparison::default);
        self.machine.run = Some(Run { session_is_old: self.is_another_login(), comparison, ..Run::default() });
        self.note_begin();
        self.go_on()
    }

    /// Works out what is to be done next.
    pub(super) fn go_on(&mut self) -> Result<Next, DeviceError> {
        if self.machine.run.is_none() {
            return Ok(Next::Idle);
        }
        loop {
            if self.machine.credentials.token.is_none() {
                return Ok(self.log_in());
            }
            if self.machine.state.session.is_none() || self.run().session_is_old {
                return Ok(self.send(CallKind::Session, "/session", None));
            }
            let profile = self.session().profile.clone();
            let Some(phases) = cycle(&profile) else {
                let detail = format!("this device does not know the profile {profile}; it must be renewed first");
                return Ok(self.fail(Failure::new(FailureCause::Server, detail)));
            };
            let flow = match phases.get(self.run().phase) {
                None => return Ok(self.finish()),
                Some(Phase::Settle) => self.settle()?,
                Some(Phase::Media) => self.media()?,
                Some(Phase::Push) => self.push()?,
                Some(Phase::TellTrouble) => self.tell_trouble(),
                Some(Phase::Pull) => self.pull()?,
                Some(Phase::PullResults) => self.pull_results()?,
                Some(Phase::Compare) => {
                    // The comparison reads what is stored.
                    if !self.writes.is_empty() {
                        return Ok(Next::Proceed);
                    }
                    self.compare()
                }
                Some(Phase::Attachments) => self.attachments()?,
                Some(Phase::Links) => self.push_links()?,
                Some(Phase::Tell) => self.tell(),
            };
            match flow {
                Flow::Do(next) => return Ok(next),
                Flow::Over => self.run().phase += 1,
                Flow::At(phase) => self.go_to(phase),
            }
        }
    }

    /// The phase that the sync is in.
    fn phase(&mut self) -> Option<Phase> {
        let phase = self.run().phase;
        let session = self.machine.state.session.as_ref()?;
        cycle(&session.profile)?.get(phase).copied()
    }

    /// The cycle goes on at this phase.
    pub(super) fn go_to(&mut self, phase: Phase) {
        let phases = cycle(&self.session().profile).unwrap_or_default();
        self.forget_queue();
        self.run().phase = phases.iter().position(|other| *other == phase).unwrap_or(0);
    }

    pub(super) fn answered(&mut self, answer: &Answer) -> Result<Next, DeviceError> {
        let Some(kind) = self.machine.run.as_mut().and_then(|run| run.sent.take()) else { return Ok(Next::Idle) };
        if !matches!(kind, CallKind::Offset | CallKind::Upload | CallKind::Download) {
            self.run().tally.bytes_received += answer.body.len() as u64;
        }
        if self.is_telling() {
            return self.on_told(Some(answer));
        }
        match kind {
            CallKind::Login | CallKind::Refresh => self.on_tokens(kind, answer),
            CallKind::Session => self.on_session(answer),
            CallKind::Push => self.on_push(answer),
            CallKind::Pull => self.on_pull(answer),
            CallKind::Slot => self.on_slot(answer),
            CallKind::Offset | CallKind::Upload => self.on_offset(kind, answer),
            CallKind::Store => Ok(self.on_stored(answer)),
            CallKind::Complete => self.on_complete(answer),
            CallKind::Download => self.on_download(answer),
            CallKind::Digest => self.on_digest(answer),
            CallKind::Bucket => self.on_bucket(answer),
            CallKind::Discovery | CallKind::Any => Ok(Next::Idle),
        }
    }

    pub(super) fn lost(&mut self, reason: String) -> Result<Next, DeviceError> {
        let Some(run) = &mut self.machine.run else { return Ok(Next::Idle) };
        // The storage may be away while the server is not.
        if run.sent.take() == Some(CallKind::Store) {
            return Ok(self.file_fails());
        }
        if self.is_telling() {
            return self.on_told(None);
        }
        Ok(self.fail(Failure::new(FailureCause::Network, reason)))
    }

    /// The session, which is there in every phase.
    pub(super) fn session(&self) -> &Session {
        self.machine.state.session.as_ref().expect("no phase begins without a session")
    }

    pub(super) fn send(&mut self, kind: CallKind, path: &'static str, body: Option<String>) -> Next {
        let run = self.run();
        run.sent = Some(kind);
        run.counts.requests += 1;
        run.tally.requests += 1;
        run.tally.bytes_sent += body.as_ref().map_or(0, |body| body.len() as u64);
        let token = match kind {
            CallKind::Login | CallKind::Refresh => None,
            _ => self.machine.credentials.token.clone(),
        };
        Next::Send(Call { kind, path: path.into(), body, token, transfer: None, bytes: Vec::new() })
    }

    /// Puts a file into an object storage. The token is for the server alone.
    pub(super) fn send_to_storage(&mut self, url: String, transfer: Transfer) -> Next {
        let run = self.run();
        run.sent = Some(CallKind::Store);
        run.counts.requests += 1;
        let (kind, transfer) = (CallKind::Store, Some(transfer));
        Next::Send(Call { kind, path: url.into(), body: None, token: None, transfer, bytes: Vec::new() })
    }

    /// Sends a call about the bytes of a file.
    pub(super) fn send_transfer(&mut self, kind: CallKind, path: String, transfer: Transfer) -> Next {
        let run = self.run();
        run.sent = Some(kind);
        run.counts.requests += 1;
        run.tally.requests += 1;
        let token = self.machine.credentials.token.clone();
        Next::Send(Call { kind, path: path.into(), body: None, token, transfer: Some(transfer), bytes: Vec::new() })
    }

    /// The call was not sent after all.
    pub(super) fn forget_call(&mut self) {
        self.run().sent = None;
    }

    /// What an answer says: the message; or the problem, where this kind of call has its own way with it; or what to do.
    pub(super) fn understood<T: DeserializeOwned>(
        &mut self,
        kind: CallKind,
        answer: &Answer,
    ) -> Result<Result<T, Box<Problem>>, Next> {
        match call::read(answer) {
            Reading::Message(message) => {
                let run = self.run();
                run.sends = 0;
                run.logged_in_again &= matches!(kind, CallKind::Login | CallKind::Refresh);
                Ok(Ok(message))
            }
            Reading::Foreign(detail) if kind == CallKind::Push && matches!(answer.status, 400 | 413) => {
                // What stands before a server refuses large bodies with a page of its own.
                if let Some(batch) = self.machine.state.batch.clone() {
                    self.take_apart(batch, &Failure::new(FailureCause::Server, detail));
                }
                Err(Next::Proceed)
            }
            Reading::Foreign(detail) => Err(self.fail(Failure::new(FailureCause::Network, detail))),
            Reading::Failed => {
                let detail = format!("the server failed with status {}", answer.status);
                Err(self.failing(kind, answer, answer.retry_after, Failure::new(FailureCause::Server, detail)))
            }
            Reading::Problem(problem) => {
                let is_login = matches!(kind, CallKind::Login | CallKind::Refresh);
                if (answer.status == 401 || problem.retry == Retry::Login) && !is_login {
                    return Err(self.token_refused(&problem));
                }
                let again = match problem.retry {
                    Retry::Same | Retry::After => true,
                    Retry::Never | Retry::Other(_) => matches!(answer.status, 429 | 503),
                    _ => false,
                };
                if again {
                    let after = problem.retry_after.or(answer.retry_after);
                    return Err(self.failing(kind, answer, after, Failure::of(&problem)));
                }
                Ok(Err(problem))
            }
        }
    }

    /// The server cannot do it now: wait and send the same again, or give up for this sync.
    pub(super) fn failing(&mut self, kind: CallKind, answer: &Answer, after: Option<u64>, failure: Failure) -> Next {
        // A refusal that names a time is a wait, whatever its status; of the server's failures only the one for being away.
        if let Some(seconds) = after.filter(|_| answer.status < 500 || answer.status == 503) {
            let run = self.run();
            run.waits += 1;
            if seconds > LONGEST_WAIT || run.waits > WAITS {
                return self.fail(failure);
            }
            return Next::Wait(Duration::from_secs(seconds));
        }
        // A server that is away says nothing about the batch; one that fails over it may do so for ever.
        if kind == CallKind::Push && answer.status >= 500 && answer.status != 503 && self.batch_failed(&failure) {
            self.run().sends = 0;
            let took_one = self.run().took_a_batch;
            if !took_one && self.run().failed_batches > 4 * SENDS {
                return self.fail(failure);
            }
            return Next::Proceed;
        }
        self.run().sends += 1;
        let sends = self.run().sends;
        if sends >= SENDS {
            if matches!(kind, CallKind::Slot | CallKind::Offset | CallKind::Upload | CallKind::Complete) {
                self.run().sends = 0;
                return self.file_fails();
            }
            return self.fail(failure);
        }
        Next::Wait(self.backoff(sends))
    }

    /// Doubles with every failure; a random half of it keeps devices from coming back all at once.
    fn backoff(&self, failures: u32) -> Duration {
        let whole = FIRST_WAIT * 2u32.pow(failures.saturating_sub(1).min(8));
        let chance = Sha256::digest(self.context.ids.unique())[0];
        whole / 2 + whole.mul_f64(f64::from(chance) / 510.0)
    }

    pub(super) fn fail(&mut self, failure: Failure) -> Next {
        if self.phase() == Some(Phase::Media) && self.pass_over_file() {
            return Next::Proceed;
        }
        if let Some(next) = self.tell_of(&failure) {
            return next;
        }
        let up_to = self.machine.state.outbox.iter().last().map_or(0, |entry| entry.place);
        let last = LastFailure { cause: failure.cause, up_to };
        self.end(SyncOutcome::Failed(failure), Some(last))
    }

    fn finish(&mut self) -> Next {
        if let Some(failure) = self.run().failure_at_the_end() {
            return self.fail(failure);
        }
        self.note_end(None);
        self.end(SyncOutcome::Ok, None)
    }

    fn end(&mut self, outcome: SyncOutcome, last_failure: Option<LastFailure>) -> Next {
        let run = self.machine.run.take().unwrap_or_default();
        let suspects = self.pieces(&run.suspects);
        self.mark(|marks| {
            marks.last_failure = last_failure;
            marks.parts.extend(suspects);
        });
        Next::Finished(SyncReport { outcome, left_out: self.left_out().to_vec(), counts: run.counts })
    }
}
