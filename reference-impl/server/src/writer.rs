//! The one task that decides batches, one after another.
//!
//! It takes all batches that wait, loads what they touch together, decides each as if those before it were stored
//! already, commits them together, and only then answers. One wait for the disk thus serves many devices.

use crate::data_set::DataSet;
use crate::rules::Rules;
use fieldsync_core::attachment::{AttachmentStore, Blob};
use fieldsync_core::clock::Ids;
use fieldsync_core::policy::PolicyTable;
use fieldsync_core::problem::Trouble;
use fieldsync_core::push::{Batch, Decision, Ground};
use fieldsync_core::store::{Assignment, Commit, DataSetName, Loaded, Store, StoreError, Touched};
use fieldsync_schemas::id::{AttachmentId, Principal};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::session::Role;
use fieldsync_schemas::time::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// How many batches wait before those who send more have to wait with them.
const WAITING: usize = 256;
/// How many batches are decided and committed together.
const TOGETHER: usize = 64;

/// A batch, and who sends it.
pub(crate) struct Submission {
    pub(crate) data_set: Arc<DataSet>,
    pub(crate) principal: Principal,
    pub(crate) role: Role,
    pub(crate) assignment: Assignment,
    pub(crate) batch: Batch,
}

/// The answer to a batch, as JSON.
type Answer = Result<Arc<str>, Trouble>;

struct Job {
    submission: Submission,
    answer: oneshot::Sender<Answer>,
}

/// A file that a principal has now, and who waits to hear that it is written down.
struct Arrival {
    data_set: DataSetName,
    principal: Principal,
    id: AttachmentId,
    blob: Blob,
    now: Timestamp,
    done: oneshot::Sender<Result<(), StoreError>>,
}

/// The files of a data set that can go, and who deletes their bytes.
struct Collection {
    data_set: DataSetName,
    before: Timestamp,
    done: oneshot::Sender<Result<Vec<AttachmentId>, StoreError>>,
}

enum Message {
    Decide(Box<Job>),
    Arrive(Box<Arrival>),
    Collect(Collection),
    Hold(DataSetName),
    Release(DataSetName),
}

/// Hands batches to the task.
#[derive(Clone)]
pub(crate) struct BatchWriter {
    messages: mpsc::Sender<Message>,
}

impl BatchWriter {
    /// The way to the task, and the task itself, which ends when nobody can reach it any more.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        attachments: Arc<dyn AttachmentStore>,
        rules: Rules,
        policies: PolicyTable,
        ids: Arc<dyn Ids>,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (messages, waiting) = mpsc::channel(WAITING);
        let task = Task { store, attachments, rules, policies, ids, held: HashMap::new() };
        (Self { messages }, task.run(waiting))
    }

    /// Decides and commits a batch; the answer comes once it is durable.
    pub(crate) async fn submit(&self, submission: Submission) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Decide(Box::new(Job { submission, answer }))).await?;
        answered.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Writes down that a principal has a file. Between two batches: a state that is decided meanwhile would go back to
    /// waiting for it.
    pub(crate) async fn arrive(
        &self,
        data_set: &DataSet,
        principal: &Principal,
        id: &AttachmentId,
        blob: &Blob,
    ) -> Result<(), Trouble> {
        let (done, is_done) = oneshot::channel();
        let arrival = Arrival {
            data_set: data_set.name.clone(),
            principal: principal.clone(),
            id: id.clone(),
            blob: blob.clone(),
            now: data_set.now(),
            done,
        };
        self.send(Message::Arrive(Box::new(arrival))).await?;
        is_done.await.map_err(|_| ended())?.map_err(|error| internal(&error))
    }

    /// Forgets the files of a data set that no record refers to and that were last offered before `before`; what comes back
    /// are the files whose bytes can go. Between two batches: one that is decided meanwhile would publish a file as stored
    /// that goes.
    pub(crate) async fn collect(
        &self,
        data_set: &DataSetName,
        before: Timestamp,
    ) -> Result<Vec<AttachmentId>, StoreError> {
        let (done, is_done) = oneshot::channel();
        let gone = || StoreError { doing: "collect files that nothing refers to", source: Box::new(ended()) };
        let collection = Collection { data_set: data_set.clone(), before, done };
        self.messages.send(Message::Collect(collection)).await.map_err(|_| gone())?;
        is_done.await.map_err(|_| gone())?
    }

    /// Lets the batches of a data set wait from now on; those of others go on.
    pub(crate) async fn hold(&self, data_set: DataSetName) -> Result<(), Trouble> {
        self.send(Message::Hold(data_set)).await
    }

    /// Lets them go.
    pub(crate) async fn release(&self, data_set: DataSetName) -> Result<(), Trouble> {
        self.send(Message::Release(data_set)).await
    }

    async fn send(&self, message: Message) -> Result<(), Trouble> {
        self.messages.send(message).await.map_err(|_| ended())
    }
}

fn ended() -> Trouble {
    Trouble::new(ProblemCode::Internal, "the server ended before the batch was decided; send it again")
}

struct Task {
    store: Arc<dyn Store>,
    attachments: Arc<dyn AttachmentStore>,
    rules: Rules,
    policies: PolicyTable,
    ids: Arc<dyn Ids>,
    /// The waiting batches of each data set whose commits are held.
    held: HashMap<DataSetName, Vec<Job>>,
}

impl Task {
    async fn run(mut self, mut waiting: mpsc::Receiver<Message>) {
        let mut messages = Vec::with_capacity(TOGETHER);
        while waiting.recv_many(&mut messages, TOGETHER).await > 0 {
            let mut jobs = Vec::with_capacity(messages.len());
            for message in messages.drain(..) {
                match message {
                    Message::Decide(job) => match self.held.get_mut(&job.submission.data_set.name) {
                        Some(parked) => parked.push(*job),
                        None => jobs.push(*job),
                    },
                    Message::Arrive(arrival) => {
                        let Arrival { data_set, principal, id, blob, now, done } = *arrival;
                        let arrived = self.attachments.arrive(&data_set, &principal, &id, &blob, now).await;
                        // Nobody waits any more where the device hung up; the file stands all the same.
                        let _ = done.send(arrived);
                    }
                    Message::Collect(Collection { data_set, before, done }) => {
                        let _ = done.send(self.attachments.collect(&data_set, before).await);
                    }
                    Message::Hold(data_set) => {
                        self.held.entry(data_set).or_default();
                    }
                    Message::Release(data_set) => jobs.extend(self.held.remove(&data_set).unwrap_or_default()),
                }
            }
            if !jobs.is_empty() {
                self.round(jobs).await;
            }
        }
    }

    /// A batch that asks who refers to a record sees everything before it stored.
    async fn round(&self, jobs: Vec<Job>) {
        let mut together: Vec<(Job, Touched)> = Vec::with_capacity(jobs.len());
        for job in jobs {
            let Submission { data_set, principal, batch, .. } = &job.submission;
            let touched = batch.touched(&data_set.name, principal, &data_set.hosted.registry);
            if !touched.families.heads.is_empty() && !together.is_empty() {
                self.commit(std::mem::take(&mut together)).await;
            }
            together.push((job, touched));
        }
        self.commit(together).await;
    }

    async fn commit(&self, together: Vec<(Job, Touched)>) {
        let (jobs, touched): (Vec<Job>, Vec<Touched>) = together.into_iter().unzip();
        // No data set begins another epoch between the first look at it and the commit.
        let data_sets: BTreeMap<&DataSetName, &Arc<DataSet>> =
            jobs.iter().map(|job| (&job.submission.data_set.name, &job.submission.data_set)).collect();
        let gates: Vec<_> = data_sets.into_values().cloned().collect();
        let mut held = Vec::with_capacity(gates.len());
        for data_set in &gates {
            held.push(data_set.gate.read().await);
        }
        let answers = match self.store.load(&touched).await {
            Err(error) => Err(internal(&error)),
            Ok(loaded) => {
                let (commits, answers) = self.decide_all(&jobs, &touched, loaded);
                let stored = if commits.is_empty() { Ok(()) } else { self.store.commit(commits).await };
                // Nothing that was decided counts if it is not stored: later answers build on earlier commits.
                stored.map(|()| answers).map_err(|error| internal(&error))
            }
        };
        match answers {
            Ok(answers) => jobs.into_iter().zip(answers).for_each(|(job, answer)| job.answer(answer)),
            Err(trouble) => jobs.into_iter().for_each(|job| job.answer(Err(trouble.clone()))),
        }
    }

    fn decide_all(&self, jobs: &[Job], touched: &[Touched], loaded: Vec<Loaded>) -> (Vec<Commit>, Vec<Answer>) {
        let mut commits: Vec<Commit> = Vec::new();
        let mut answers = Vec::with_capacity(jobs.len());
        for ((job, touched), mut loaded) in jobs.iter().zip(touched).zip(loaded) {
            loaded.absorb(touched, &commits);
            answers.push(self.decide(&job.submission, loaded).map(|decision| match decision {
                Decision::Replay(answer) => answer,
                Decision::Commit(commit) => {
                    job.submission.data_set.accepted(commit.accepted_seq);
                    let answer = commit.replica.answer.clone();
                    commits.push(commit);
                    answer
                }
            }));
        }
        (commits, answers)
    }

    /// A batch that the rules fail on must not end the task, which serves all the others.
    fn decide(&self, submission: &Submission, loaded: Loaded) -> Result<Decision, Trouble> {
        let Submission { data_set, principal, role, assignment, batch } = submission;
        let (epochs, session) = (data_set.epochs(), data_set.session_tag(principal, role, assignment));
        let ground = Ground {
            data_set: &data_set.name,
            epochs: &epochs,
            accepted_seq: data_set.accepted_seq() + 1,
            principal,
            session: &session,
            registry: &data_set.hosted.registry,
            policies: &self.policies,
            ids: &*self.ids,
            now: data_set.now(),
        };
        catch_unwind(AssertUnwindSafe(|| (self.rules.decide)(batch, loaded, ground))).unwrap_or_else(|_| {
            tracing::error!(data_set = data_set.name.0, replica = %batch.replica, "the rules failed on a batch");
            Err(Trouble::new(ProblemCode::Internal, "the server failed to decide this batch"))
        })
    }
}

impl Job {
    fn answer(self, answer: Answer) {
        // Nobody waits any more where the device hung up; it asks again with the same batch.
        let _ = self.answer.send(answer);
    }
}

fn internal(error: &dyn std::error::Error) -> Trouble {
    tracing::error!(%error, "a batch was not stored");
    Trouble::new(ProblemCode::Internal, "the server could not store the batch; send it again")
}
