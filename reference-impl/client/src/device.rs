//! A device: the state machine with a store and a network around it.
//!
//! Every event is handled under a lock that is never held over the network: so records can be read and changed while
//! a sync waits for its answer.

use crate::files::Captured;
use crate::options::DeviceOptions;
use crate::transfers::{self, Carried, CarryError};
use crate::transport::{HttpTransport, Transport};
use crate::triggers::{Occasions, start_syncs};
use fieldsync_core::device::outbox::Progress;
use fieldsync_core::device::store::{ServerCopy, ShownCopy, StoreError};
use fieldsync_core::device::{
    Context, Credentials, DeviceError, Event, Failure, LocalChange, Machine, Next, SyncOutcome, SyncReport,
};
use fieldsync_core::merge;
use fieldsync_schemas::conflict::ConflictEntry;
use fieldsync_schemas::id::{AttachmentId, GroupId, MutationId, RecordId, ReplicaId, TypeName, Version};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::MutationOp;
use fieldsync_schemas::record::{Attachment, Data, Record};
use fieldsync_schemas::scenario::{FailureCause, FileStatus, Status};
use fieldsync_schemas::time::Timestamp;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// What a device shows of a record.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its data; empty where it is deleted.
    pub data: Data,
    /// Whether it is deleted.
    pub deleted: bool,
    /// The server's state, as the device holds it.
    pub server: Option<Record>,
}

/// A file of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownFile {
    /// The file, as the record names it.
    pub attachment: Attachment,
    /// Where it stands.
    pub status: FileStatus,
    /// Whether its bytes are here.
    pub is_here: bool,
}

/// A mutation in the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxItem {
    /// Its id.
    pub mutation_id: MutationId,
    /// The record.
    pub record: RecordRef,
    /// What it does.
    pub op: MutationOp,
    /// The record's version after it.
    pub version: Version,
    /// How far it got.
    pub progress: Progress,
}

/// A mutation that was given up.
#[derive(Debug, Clone, PartialEq)]
pub struct QuarantineItem {
    /// The record.
    pub record: RecordRef,
    /// The mutation.
    pub mutation_id: MutationId,
    /// Why, for programs.
    pub code: String,
    /// Why, for people.
    pub detail: String,
}

/// A device. Its clones are the same device.
#[derive(Clone)]
pub struct Device(Arc<Inner>);

struct Inner {
    options: DeviceOptions,
    transport: Arc<dyn Transport>,
    machine: Mutex<Machine>,
    /// The machine may know what is not stored, because that failed, or something panicked before. Looked at under the
    /// machine's lock alone.
    is_ahead: AtomicBool,
    running: Mutex<Option<Running>>,
    occasions: Option<Arc<Occasions>>,
    starter: Mutex<Option<AbortHandle>>,
    last_end: Mutex<Option<Timestamp>>,
}

/// The sync that runs, or the last one.
struct Running {
    report: watch::Receiver<Option<SyncReport>>,
    task: AbortHandle,
}

impl Device {
    /// Opens a device on its store. One with triggers is opened in a runtime, which runs its syncs.
    pub fn open(options: DeviceOptions) -> Result<Self, DeviceError> {
        let machine = Machine::restore(options.store.load()?, options.settings(), options.credentials.clone());
        let transport = options.transport.clone().unwrap_or_else(|| {
            Arc::new(HttpTransport::new(options.http.clone(), options.base_url.clone(), options.request_timeout))
        });
        let replica = options.replica.clone();
        let occasions = options.triggers.as_ref().map(|triggers| Arc::new(Occasions::new(triggers)));
        let device = Self(Arc::new(Inner {
            options,
            transport,
            machine: Mutex::new(machine),
            is_ahead: AtomicBool::new(false),
            running: Mutex::new(None),
            occasions,
            starter: Mutex::new(None),
            last_end: Mutex::new(None),
        }));
        device.0.step(Event::Open { replica })?;
        if let Some(occasions) = device.0.occasions.clone() {
            let held = Arc::downgrade(&device.0);
            let (clock, timer) = (device.0.options.clock.clone(), device.0.options.timer.clone());
            let starter = tokio::spawn(start_syncs(occasions, clock, timer, move || held.upgrade().map(Self)));
            *lock(&device.0.starter) = Some(starter.abort_handle());
        }
        Ok(device)
    }

    /// Makes a record; its id is made up where absent.
    pub fn create(&self, type_name: TypeName, id: Option<RecordId>, data: Data) -> Result<RecordId, DeviceError> {
        let id = id.unwrap_or_else(|| {
            RecordId::new(self.0.options.ids.unique()).expect("a unique text has the form of a record id")
        });
        self.create_in(None, RecordRef { type_name, id: id.clone() }, data)?;
        Ok(id)
    }

    /// Makes a record that goes with the others of a group, or not at all.
    pub fn create_in(&self, group: Option<GroupId>, record: RecordRef, data: Data) -> Result<(), DeviceError> {
        self.local(LocalChange::Create { record, data, group })
    }

    /// Sets members of a record; null clears.
    pub fn edit(&self, record: &RecordRef, changes: Data) -> Result<(), DeviceError> {
        self.local(LocalChange::Edit { record: record.clone(), changes })
    }

    /// Adds a file to a record. Its bytes are read once, and kept before the record names it.
    pub fn attach(
        &self,
        record: &RecordRef,
        media_type: &str,
        mut bytes: impl Read,
    ) -> Result<AttachmentId, DeviceError> {
        let file = |captured: &Captured| {
            let (id, media_type) = (captured.id.clone(), media_type.to_owned());
            Attachment { id, bytes: captured.bytes, media_type, state: None }
        };
        let mut admits = |captured: &Captured| self.0.machine().admits(record, &file(captured));
        let captured = self.0.options.files.put(&mut bytes, &mut admits)?;
        self.local(LocalChange::Attach { record: record.clone(), attachment: file(&captured) })?;
        Ok(captured.id)
    }

    /// The files of a record.
    pub fn files(&self, record: &RecordRef) -> Result<Vec<ShownFile>, StoreError> {
        let is_here = |id: &AttachmentId| self.0.options.files.has(id).unwrap_or(false);
        let machine = self.0.machine();
        let server = self.0.options.store.record(record)?;
        let files = machine.files(record, server.as_ref(), is_here).into_iter();
        Ok(files
            .map(|(attachment, status)| ShownFile { is_here: is_here(&attachment.id), attachment, status })
            .collect())
    }

    /// The bytes of a file; nothing where it is not here.
    pub fn file(&self, id: &AttachmentId) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.options.files.read(id, 0, u64::MAX)
    }

    /// Tells the device whether the network costs by the byte. Where it does, files neither go nor come. It is kept.
    pub fn set_metered(&self, metered: bool) -> Result<(), DeviceError> {
        self.0.step(Event::Metered(metered)).map(drop)
    }

    /// Deletes a record.
    pub fn delete(&self, record: &RecordRef) -> Result<(), DeviceError> {
        self.local(LocalChange::Delete { record: record.clone() })
    }

    /// Gives up the unsent and refused work on a record.
    pub fn discard(&self, record: &RecordRef) -> Result<(), DeviceError> {
        self.local(LocalChange::Discard { record: record.clone() })
    }

    /// Gives it other credentials: somebody else logs in, or the same person anew. The store stays its owner's.
    pub fn log_in(&self, credentials: Credentials) -> Result<(), DeviceError> {
        self.0.step(Event::LogIn(credentials)).map(drop)
    }

    /// The next sync, or the one that runs, also compares what the device holds with what the server has, and mends it.
    pub fn compare_next(&self) -> Result<(), DeviceError> {
        self.0.step(Event::Compare).map(drop)
    }

    /// Tells the device whether there is a network; with triggers, it syncs as soon as there is one.
    pub fn set_online(&self, online: bool) {
        if let Some(occasions) = &self.0.occasions {
            occasions.set_online(online);
        }
    }

    /// When the last sync ended, by the device's clock; nothing since it was opened, where none has.
    pub fn last_sync_ended(&self) -> Option<Timestamp> {
        *lock(&self.0.last_end)
    }

    /// Syncs. While a sync runs, waits for it.
    pub async fn sync(&self) -> SyncReport {
        let mut report = self.begin();
        let done = report.wait_for(Option::is_some).await;
        match done.map(|done| done.clone()) {
            Ok(Some(report)) => report,
            _ => failed("the sync was stopped".to_owned()),
        }
    }

    /// Begins a sync, or joins the one that runs.
    fn begin(&self) -> watch::Receiver<Option<SyncReport>> {
        let mut running = lock(&self.0.running);
        if let Some(running) = running.as_ref().filter(|running| !running.task.is_finished()) {
            let is_over = running.report.borrow().is_some();
            if !is_over {
                return running.report.clone();
            }
        }
        let (tell, report) = watch::channel(None);
        let inner = self.0.clone();
        // A task of its own: a caller that stops waiting does not stop the sync.
        let task = tokio::spawn(async move {
            let report = inner.sync().await;
            // Before anybody learns of the end: the interval counts from it.
            *lock(&inner.last_end) = Some(inner.options.clock.now());
            let _ = tell.send(Some(report));
        });
        *running = Some(Running { report: report.clone(), task: task.abort_handle() });
        report
    }

    /// Ends the device as a loss of power does: a sync that runs stops where it is. It can be opened again on its store.
    pub fn stop(&self) {
        if let Some(starter) = lock(&self.0.starter).take() {
            starter.abort();
        }
        if let Some(running) = lock(&self.0.running).take() {
            running.task.abort();
        }
    }

    /// What the device shows of a record; nothing, where it has never heard of it.
    pub fn read(&self, record: &RecordRef) -> Result<Option<Shown>, StoreError> {
        // The lock is held over both: what is unsettled and what is stored are of one moment.
        let machine = self.0.machine();
        let server = self.0.options.store.record(record)?;
        let shown = self.0.options.rules.shown(&machine, record, server.as_ref());
        let server = server.map(|copy| Arc::unwrap_or_clone(copy.record));
        Ok(shown.map(|copy| match copy {
            ShownCopy::Data(data) => Shown { data, deleted: false, server },
            ShownCopy::Deleted => Shown { data: Data::new(), deleted: true, server },
        }))
    }

    /// The ids of a type's records that the device shows.
    pub fn list(&self, type_name: &TypeName) -> Result<Vec<RecordId>, StoreError> {
        let machine = self.0.machine();
        let known = machine.state().known(type_name, self.0.options.store.records(type_name)?);
        let is_live = |(id, server): &(RecordId, Option<ServerCopy>)| {
            let record = RecordRef { type_name: type_name.clone(), id: id.clone() };
            let shown = self.0.options.rules.shown(&machine, &record, server.as_ref());
            matches!(shown, Some(ShownCopy::Data(_)))
        };
        Ok(known.into_iter().filter(is_live).map(|(id, _)| id).collect())
    }

    /// The sync status of a record.
    pub fn status(&self, record: &RecordRef) -> Status {
        self.0.options.rules.status(&self.0.machine(), record)
    }

    /// The conflict log.
    pub fn conflicts(&self) -> Result<Vec<(RecordId, ConflictEntry)>, StoreError> {
        self.0.options.store.conflicts()
    }

    /// The mutations that are not settled, in order.
    pub fn outbox(&self) -> Vec<OutboxItem> {
        let machine = self.0.machine();
        let entries = machine.state().outbox.iter();
        entries
            .map(|entry| OutboxItem {
                mutation_id: entry.mutation.mutation_id.clone(),
                record: entry.record(),
                op: entry.mutation.op.clone(),
                version: entry.version(),
                progress: entry.progress,
            })
            .collect()
    }

    /// The mutations that were given up.
    pub fn quarantine(&self) -> Vec<QuarantineItem> {
        let machine = self.0.machine();
        let given_up = machine.state().quarantine.values();
        given_up
            .map(|one| QuarantineItem {
                record: one.record(),
                mutation_id: one.mutation.mutation_id.clone(),
                code: one.reason.code().to_owned(),
                detail: one.reason.detail().to_owned(),
            })
            .collect()
    }

    /// Who the device is to the server.
    pub fn replica_id(&self) -> ReplicaId {
        let machine = self.0.machine();
        machine.state().replica.as_ref().expect("an opened device has a replica id").id.clone()
    }

    /// Whether a sync runs.
    pub fn is_syncing(&self) -> bool {
        self.0.machine().is_syncing()
    }

    fn local(&self, change: LocalChange) -> Result<(), DeviceError> {
        self.0.step(Event::Local(change))?;
        if let Some(occasions) = &self.0.occasions {
            occasions.changed();
        }
        Ok(())
    }
}

impl Inner {
    fn machine(&self) -> MutexGuard<'_, Machine> {
        let mut machine = lock(&self.machine);
        if let Err(error) = self.go_back(&mut machine) {
            tracing::error!(%error, "what is stored cannot be read");
        }
        machine
    }

    /// Handles one event and stores what comes of it. Where the store fails, the machine goes back to what is stored.
    fn step(&self, event: Event) -> Result<Next, DeviceError> {
        let mut machine = lock(&self.machine);
        // What is built on something that is not stored would be lost with it.
        self.go_back(&mut machine)?;
        let store = self.options.store.as_ref();
        let (now, ids) = (self.options.clock.now(), self.options.ids.as_ref());
        let context = Context { now, ids, store, merge: merge::merge };
        self.is_ahead.store(true, Ordering::Relaxed);
        let stored = self.options.rules.handle(&mut machine, event, &context).and_then(|reaction| {
            if !reaction.writes.is_empty() {
                store.commit(&reaction.writes)?;
            }
            Ok(reaction.next)
        });
        match &stored {
            // Where that fails, too, the next event tries it again.
            Err(DeviceError::Store(_)) => drop(self.go_back(&mut machine)),
            _ => self.is_ahead.store(false, Ordering::Relaxed),
        }
        stored
    }

    fn go_back(&self, machine: &mut Machine) -> Result<(), StoreError> {
        if self.is_ahead.load(Ordering::Relaxed) {
            machine.go_back(self.options.store.load()?);
            self.is_ahead.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn sync(&self) -> SyncReport {
        let mut event = Event::Begin;
        loop {
            event = match self.step(event) {
                Ok(Next::Send(call)) => {
                    tracing::debug!(kind = ?call.kind, "sending");
                    match transfers::carry(&*self.transport, &self.options.files, call).await {
                        Ok(Carried::Answered(answer)) => Event::Answered(answer),
                        Ok(Carried::FileMissing) => Event::FileMissing,
                        Err(CarryError::Network(failure)) => Event::Lost(failure.to_string()),
                        Err(CarryError::Store(error)) => return failed(error.to_string()),
                    }
                }
                Ok(Next::Wait(time)) => {
                    self.options.timer.wait(time).await;
                    Event::Waited
                }
                Ok(Next::Proceed) => Event::Stored,
                Ok(Next::LetGo(files)) => match files.iter().try_for_each(|id| self.options.files.lose(id)) {
                    Ok(()) => Event::Went(files),
                    Err(error) => return failed(error.to_string()),
                },
                Ok(Next::Finished(report)) => {
                    tracing::info!(outcome = ?report.outcome, counts = ?report.counts, "synced");
                    return report;
                }
                Ok(Next::Idle) => return failed("the sync was broken off by a failure of the store".to_owned()),
                Err(error) => return failed(error.to_string()),
            };
        }
    }
}

/// A sync that the device itself broke off.
fn failed(detail: String) -> SyncReport {
    let outcome = SyncOutcome::Failed(Failure::new(FailureCause::Server, detail));
    SyncReport { outcome, left_out: Vec::new(), counts: Default::default() }
}

/// After a panic elsewhere: a machine that is ahead of its store goes back first, and nothing else is ever half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
