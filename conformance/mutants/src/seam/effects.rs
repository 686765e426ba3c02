//! The core's effects: what is decided about a batch, what a pull answers, and what a device does about an event.

use async_trait::async_trait;
use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_core::device::store::{ServerCopy, ShownCopy};
use fieldsync_core::device::{Context, DeviceError, Event, Machine, Merge, Reaction, Rules};
use fieldsync_core::problem::Trouble;
use fieldsync_core::pull::{self, PullError};
use fieldsync_core::push::{Batch, Decision, Ground};
use fieldsync_core::store::{Commit, Loaded, Snapshot};
use fieldsync_schemas::pull::{PullRequest, RecordRef};
use fieldsync_schemas::push::{Outcome, PushAnswer};
use fieldsync_schemas::scenario::Status;
use fieldsync_server::{DecideRule, Parts, PullRule};
use serde_json::value::RawValue;
use std::sync::Arc;

/// Puts something around the decision about a batch; the last argument is the real one.
pub fn around_decide(
    mut parts: Parts,
    wrap: impl Fn(&Batch, Loaded, Ground<'_>, &DecideRule) -> Result<Decision, Trouble> + Send + Sync + 'static,
) -> Parts {
    let decide = parts.rules.decide.clone();
    parts.rules.decide = Arc::new(move |batch, loaded, ground| wrap(batch, loaded, ground, &*decide));
    parts
}

/// Changes what was decided about a batch, before it is stored and answered.
pub fn commits(parts: Parts, change: impl Fn(&Batch, &mut Commit) + Send + Sync + 'static) -> Parts {
    around_decide(parts, move |batch, loaded, ground, decide| {
        let mut decision = decide(batch, loaded, ground)?;
        if let Decision::Commit(commit) = &mut decision {
            change(batch, commit);
        }
        Ok(decision)
    })
}

/// Changes the outcomes of a batch, as they are stored and answered.
pub fn outcomes(parts: Parts, change: impl Fn(&mut Vec<Outcome>) + Send + Sync + 'static) -> Parts {
    commits(parts, move |_, commit| change_outcomes(commit, &change))
}

/// Changes the outcomes within an answer that is to be stored.
pub fn change_outcomes(commit: &mut Commit, change: impl Fn(&mut Vec<Outcome>)) {
    let mut answer: PushAnswer = serde_json::from_str(&commit.replica.answer).expect("the core wrote it");
    change(&mut answer.outcomes);
    commit.replica.answer = Arc::from(serde_json::to_string(&answer).expect("an answer is plain JSON"));
    for decided in &mut commit.decided {
        if let Some(outcome) = answer.outcomes.iter().find(|outcome| outcome.mutation_id == decided.mutation_id) {
            let text: Box<RawValue> = serde_json::value::to_raw_value(outcome).expect("an outcome is plain JSON");
            decided.outcome = Arc::from(text.get());
        }
    }
}

/// Puts something around the answer to a pull: it may change the request, and the answer as JSON.
pub fn around_pull(
    mut parts: Parts,
    before: impl Fn(&mut PullRequest) + Send + Sync + 'static,
    after: impl Fn(&PullRequest, &mut serde_json::Value) + Send + Sync + 'static,
) -> Parts {
    parts.rules.pull = Arc::new(AroundPull { inner: parts.rules.pull.clone(), before, after });
    parts
}

struct AroundPull<B, A> {
    inner: Arc<dyn PullRule>,
    before: B,
    after: A,
}

#[async_trait]
impl<B, A> PullRule for AroundPull<B, A>
where
    B: Fn(&mut PullRequest) + Send + Sync,
    A: Fn(&PullRequest, &mut serde_json::Value) + Send + Sync,
{
    async fn answer(
        &self,
        request: &PullRequest,
        ground: pull::Ground<'_>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Vec<u8>, PullError> {
        let mut asked = request.clone();
        (self.before)(&mut asked);
        let answer = self.inner.answer(&asked, ground, snapshot).await?;
        let mut tree = serde_json::from_slice(&answer).expect("the core wrote it");
        (self.after)(request, &mut tree);
        Ok(serde_json::to_vec(&tree).expect("a tree is plain JSON"))
    }
}

/// Puts something around what a device does about an event; the last argument is the real thing.
pub fn around_events(
    mut parts: DeviceParts,
    wrap: impl Fn(&mut Machine, Event, &Context<'_>, &dyn Rules) -> Result<Reaction, DeviceError> + Send + Sync + 'static,
) -> DeviceParts {
    parts.rules = Arc::new(AroundEvents { inner: parts.rules.clone(), wrap });
    parts
}

/// Changes what a device does about an event, after the real thing.
pub fn reactions(parts: DeviceParts, change: impl Fn(&mut Reaction) + Send + Sync + 'static) -> DeviceParts {
    around_events(parts, move |machine, event, context, rules| {
        let mut reaction = rules.handle(machine, event, context)?;
        change(&mut reaction);
        Ok(reaction)
    })
}

/// Merges in another way.
pub fn merges(parts: DeviceParts, merge: Merge) -> DeviceParts {
    around_events(parts, move |machine, event, context, rules| {
        rules.handle(machine, event, &Context { merge, ..*context })
    })
}

/// Changes how a device says that records stand.
pub fn statuses(
    mut parts: DeviceParts,
    change: impl Fn(&Machine, &RecordRef, Status) -> Status + Send + Sync + 'static,
) -> DeviceParts {
    parts.rules = Arc::new(Statuses { inner: parts.rules.clone(), change });
    parts
}

/// Changes what a device shows of a record of which this is the server's state.
pub fn shows(
    mut parts: DeviceParts,
    change: impl Fn(&Machine, &RecordRef, Option<&ServerCopy>, Option<ShownCopy>) -> Option<ShownCopy>
    + Send
    + Sync
    + 'static,
) -> DeviceParts {
    parts.rules = Arc::new(Shows { inner: parts.rules.clone(), change });
    parts
}

struct Statuses<C> {
    inner: Arc<dyn Rules>,
    change: C,
}

impl<C> Rules for Statuses<C>
where
    C: Fn(&Machine, &RecordRef, Status) -> Status + Send + Sync,
{
    fn handle(&self, machine: &mut Machine, event: Event, context: &Context<'_>) -> Result<Reaction, DeviceError> {
        self.inner.handle(machine, event, context)
    }

    fn status(&self, machine: &Machine, record: &RecordRef) -> Status {
        (self.change)(machine, record, self.inner.status(machine, record))
    }

    fn shown(&self, machine: &Machine, record: &RecordRef, server: Option<&ServerCopy>) -> Option<ShownCopy> {
        self.inner.shown(machine, record, server)
    }
}

struct Shows<C> {
    inner: Arc<dyn Rules>,
    change: C,
}

impl<C> Rules for Shows<C>
where
    C: Fn(&Machine, &RecordRef, Option<&ServerCopy>, Option<ShownCopy>) -> Option<ShownCopy> + Send + Sync,
{
    fn handle(&self, machine: &mut Machine, event: Event, context: &Context<'_>) -> Result<Reaction, DeviceError> {
        self.inner.handle(machine, event, context)
    }

    fn status(&self, machine: &Machine, record: &RecordRef) -> Status {
        self.inner.status(machine, record)
    }

    fn shown(&self, machine: &Machine, record: &RecordRef, server: Option<&ServerCopy>) -> Option<ShownCopy> {
        (self.change)(machine, record, server, self.inner.shown(machine, record, server))
    }
}

struct AroundEvents<W> {
    inner: Arc<dyn Rules>,
    wrap: W,
}

impl<W> Rules for AroundEvents<W>
where
    W: Fn(&mut Machine, Event, &Context<'_>, &dyn Rules) -> Result<Reaction, DeviceError> + Send + Sync,
{
    fn handle(&self, machine: &mut Machine, event: Event, context: &Context<'_>) -> Result<Reaction, DeviceError> {
        (self.wrap)(machine, event, context, &*self.inner)
    }

    fn status(&self, machine: &Machine, record: &RecordRef) -> Status {
        self.inner.status(machine, record)
    }

    fn shown(&self, machine: &Machine, record: &RecordRef, server: Option<&ServerCopy>) -> Option<ShownCopy> {
        self.inner.shown(machine, record, server)
    }
}
