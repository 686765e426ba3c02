//! The device's half: a state machine. Events go in; what to store and what to do next comes out.
//!
//! Chapter: device. The edge ([`Next`]) sends, waits and reports; the machine decides. All [`Reaction::writes`] are
//! stored in one transaction before [`Reaction::next`] is carried out: so a batch is on disk before its first byte
//! leaves, a page is stored with its cursor, and a lost contest leaves winner, log and outbox in step. A sync is an
//! ordered list of phases ([`cycle`]), run by one interpreter.

pub mod attachments;
pub mod call;
pub mod cycle;
mod digest;
mod epoch;
mod holdings;
mod kept;
mod known;
mod links;
mod local;
mod login;
pub mod memory;
pub mod outbox;
mod pull;
mod push;
mod queue;
mod rebase;
mod refetch;
mod settle;
mod state;
pub mod store;
pub mod telemetry;
#[cfg(test)]
mod tests;

pub use call::{Answer, Call, Transfer};
pub use cycle::{Failure, SyncOutcome, SyncReport};
pub use local::{LocalChange, LocalError};
pub use store::{DeviceStore, Write};

use crate::clock::Ids;
use crate::merge::{self, Merged};
use cycle::Run;
use fieldsync_schemas::id::{AttachmentId, Capability, MutationId, ReplicaId, Seq};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::record::Data;
use fieldsync_schemas::scenario::{ErrorCause, FailureCause, Status};
use fieldsync_schemas::time::Timestamp;
use known::Known;
use sha2::{Digest, Sha256};
pub use state::State;
use std::collections::BTreeSet;
use std::time::Duration;
use store::{Replica, Saved, ServerCopy, ShownCopy, StoreError};

/// What a device is told when it is set up.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The changes it asks for in one pull; the server's limit where absent.
    pub page_limit: Option<u64>,
    /// The most mutations it puts into one batch; the server's limit where absent.
    pub batch_limit: Option<u32>,
    /// Whether the network costs by the byte, until it is told otherwise: data goes and comes, files do not.
    pub metered: bool,
    /// The most bytes of a file that it sends in one request; [`attachments::PIECE`] where absent.
    pub piece: Option<u64>,
    /// What it knows besides the core. Types that require anything else are left out.
    pub capabilities: BTreeSet<Capability>,
    /// The app and its version, for the telemetry.
    pub app: Option<String>,
    /// The device and its system, for the telemetry.
    pub device: Option<String>,
}

/// How a device proves who it is. Kept in memory only.
#[derive(Clone, Default)]
pub struct Credentials {
    /// An access token from outside.
    pub token: Option<String>,
    /// A user with a password, for the capability `password-login`.
    pub password: Option<Password>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(not shown)")
    }
}

impl Credentials {
    /// What tells one login from another, without giving a secret away: kept with the session that it got.
    fn print(&self) -> String {
        let given = match &self.password {
            Some(password) => format!("user {}", password.user),
            None => format!("token {}", self.token.as_deref().unwrap_or_default()),
        };
        Sha256::digest(given)[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A user with a password.
#[derive(Clone)]
pub struct Password {
    /// The name of the account.
    pub user: String,
    /// Its password.
    pub password: String,
}

/// What reaches a device.
#[derive(Debug)]
pub enum Event {
    /// The device is opened; a new one takes this id, or makes one up.
    Open {
        /// The id to begin with.
        replica: Option<ReplicaId>,
    },
    /// Somebody else logs in, or the same person anew.
    LogIn(Credentials),
    /// Its user changed something.
    Local(LocalChange),
    /// A sync begins.
    Begin,
    /// The next sync, or the one that runs, compares what the device holds with what the server has.
    Compare,
    /// The call that was sent is answered.
    Answered(Answer),
    /// The call that was sent is not answered, for this reason.
    Lost(String),
    /// The bytes that were to be sent are not on the device any more.
    FileMissing,
    /// The network costs by the byte, or no longer does.
    Metered(bool),
    /// The bytes of these files are gone.
    Went(Vec<AttachmentId>),
    /// The wait is over.
    Waited,
    /// The writes are stored, and the machine goes on.
    Stored,
}

/// What the machine sees of the world when it handles an event.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The device's clock.
    pub now: Timestamp,
    /// Makes ids, and the jitter of waits.
    pub ids: &'a dyn Ids,
    /// The records, as they were before this event.
    pub store: &'a dyn DeviceStore,
    /// Merges what was changed here with what was changed on the server: [`merge::merge`].
    pub merge: Merge,
}

/// What becomes of a base, of the local state and of the server's, in this order.
pub type Merge = fn(Option<&Data>, Option<Data>, Option<Data>, &merge::Rules) -> Merged;

/// What comes of an event.
#[derive(Debug)]
pub struct Reaction {
    /// What to store, in one transaction, before anything else.
    pub writes: Vec<Write>,
    /// What to do then.
    pub next: Next,
}

/// What the edge does next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Send this, and hand in the answer.
    Send(Call),
    /// Wait, and hand in [`Event::Waited`].
    Wait(Duration),
    /// Hand in [`Event::Stored`].
    Proceed,
    /// Delete the bytes of these files, whole or not, and hand in [`Event::Went`].
    LetGo(Vec<AttachmentId>),
    /// The sync is over.
    Finished(SyncReport),
    /// Nothing.
    Idle,
}

/// Why an event could not be handled. After a failure of the store the machine [goes back](Machine::go_back) to it.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The change makes no sense here.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Handles events and says how records stand and what is shown of them; a wrapper can change what goes in and what comes out.
pub trait Rules: Send + Sync {
    /// What comes of an event.
    fn handle(&self, machine: &mut Machine, event: Event, context: &Context<'_>) -> Result<Reaction, DeviceError>;

    /// The sync status of a record.
    fn status(&self, machine: &Machine, record: &RecordRef) -> Status;

    /// What the device shows of a record of which this is the server's state.
    fn shown(&self, machine: &Machine, record: &RecordRef, server: Option<&ServerCopy>) -> Option<ShownCopy>;
}

/// The rules as the specification has them.
#[derive(Debug, Clone, Copy, Default)]
pub struct StandardRules;

impl Rules for StandardRules {
    fn handle(&self, machine: &mut Machine, event: Event, context: &Context<'_>) -> Result<Reaction, DeviceError> {
        machine.handle(event, context)
    }

    fn status(&self, machine: &Machine, record: &RecordRef) -> Status {
        machine.status(record)
    }

    fn shown(&self, machine: &Machine, record: &RecordRef, server: Option<&ServerCopy>) -> Option<ShownCopy> {
        machine.state.shown(record, server)
    }
}

/// The state machine of one device.
pub struct Machine {
    state: State,
    settings: Settings,
    credentials: Credentials,
    /// The [print](Credentials::print) of the credentials as they were given.
    login: String,
    refresh_token: Option<String>,
    run: Option<Run>,
    compares_next: bool,
    known: Known,
}

impl Machine {
    /// From what was stored.
    pub fn restore(saved: Saved, settings: Settings, credentials: Credentials) -> Self {
        let login = credentials.print();
        let state = State::restore(saved);
        Self {
            known: Known::of(state.session.as_ref(), &settings.capabilities),
            state,
            settings,
            credentials,
            login,
            refresh_token: None,
            run: None,
            compares_next: false,
        }
    }

    /// Goes back to what was stored, because something could not be: a sync that runs is over. Who is logged in stays.
    pub fn go_back(&mut self, saved: Saved) {
        self.state = State::restore(saved);
        self.known = Known::of(self.state.session.as_ref(), &self.settings.capabilities);
        self.run = None;
    }

    /// Handles an event.
    pub fn handle(&mut self, event: Event, context: &Context<'_>) -> Result<Reaction, DeviceError> {
        let mut step = Step { machine: self, context, writes: Vec::new() };
        let next = match event {
            Event::Open { replica } => {
                step.open(replica);
                step.close_killed();
                Next::Idle
            }
            Event::LogIn(credentials) => {
                step.take_credentials(credentials);
                Next::Idle
            }
            Event::Local(change) => {
                step.change(change)?;
                Next::Idle
            }
            Event::Begin => step.begin()?,
            Event::Compare => {
                step.machine.compares_next = true;
                Next::Idle
            }
            Event::Answered(answer) => step.answered(&answer)?,
            Event::Lost(reason) => step.lost(reason)?,
            Event::FileMissing => step.file_is_missing()?,
            Event::Metered(metered) => {
                step.mark(|marks| marks.metered = Some(metered));
                Next::Idle
            }
            Event::Went(gone) => {
                step.went(gone);
                Next::Proceed
            }
            Event::Waited | Event::Stored => step.go_on()?,
        };
        step.note_progress();
        Ok(Reaction { writes: step.writes, next })
    }

    /// The small state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether the network costs by the byte.
    pub fn is_metered(&self) -> bool {
        self.state.marks.metered.unwrap_or(self.settings.metered)
    }

    /// Whether a sync runs.
    pub fn is_syncing(&self) -> bool {
        self.run.is_some()
    }

    /// The sync status of a record.
    pub fn status(&self, record: &RecordRef) -> Status {
        let mut unsettled = self.state.outbox.of(record).peekable();
        let Some(first) = unsettled.peek() else {
            let refused = self.state.quarantine.contains_key(record);
            return if refused { Status::Error(ErrorCause::Rejected) } else { Status::Synced };
        };
        let is_in_batch = |batch: &store::FrozenBatch| batch.mutations.contains(&first.mutation.mutation_id);
        if self.is_syncing() && self.state.batch.as_ref().is_some_and(is_in_batch) {
            return Status::Syncing;
        }
        match &self.state.marks.last_failure {
            Some(failure) if first.place <= failure.up_to => Status::Error(match failure.cause {
                FailureCause::Network => ErrorCause::Network,
                FailureCause::Server => ErrorCause::Server,
                FailureCause::Credentials => ErrorCause::Credentials,
            }),
            _ => Status::Pending,
        }
    }
}

/// One event being handled: the machine, what it sees, and what is to be stored so far.
struct Step<'a> {
    machine: &'a mut Machine,
    context: &'a Context<'a>,
    writes: Vec<Write>,
}

impl Step<'_> {
    fn write(&mut self, write: Write) {
        self.machine.state.apply(&write);
        match &write {
            Write::Session(session) => {
                self.machine.known = Known::of(Some(session), &self.machine.settings.capabilities);
                self.forget_queue();
            }
            // What is new, or changed, or first of its record now, has its place among what waits.
            Write::Entry(entry) if entry.progress == outbox::Progress::Unsent => self.forget_queue(),
            _ => {}
        }
        self.writes.push(write);
    }

    /// Changes the marks.
    fn mark(&mut self, change: impl FnOnce(&mut store::Marks)) {
        let mut marks = self.machine.state.marks.clone();
        change(&mut marks);
        if marks != self.machine.state.marks {
            self.write(Write::Marks(marks));
        }
    }

    fn open(&mut self, replica: Option<ReplicaId>) {
        if self.machine.state.replica.is_none() {
            let id = replica.unwrap_or_else(|| self.new_replica_id());
            self.write(Write::Replica(Replica { id, seq: Seq::FIRST, previous: None }));
        }
    }

    fn new_replica_id(&self) -> ReplicaId {
        ReplicaId::new(self.context.ids.unique()).expect("a unique text has the form of a replica id")
    }

    fn new_mutation_id(&self) -> MutationId {
        MutationId::new(self.context.ids.unique()).expect("a unique text has the form of a mutation id")
    }

    /// The device, which has an id from the moment it is opened.
    fn replica(&mut self) -> Replica {
        self.open(None);
        self.machine.state.replica.clone().expect("an opened device has a replica id")
    }

    /// Goes on as a new replica: nothing that the server knows of the old one counts any longer.
    fn become_new_replica(&mut self) {
        let id = self.new_replica_id();
        self.write(Write::Replica(Replica { id, seq: Seq::FIRST, previous: None }));
    }

    /// The sync that runs.
    fn run(&mut self) -> &mut Run {
        self.machine.run.get_or_insert_default()
    }
}
