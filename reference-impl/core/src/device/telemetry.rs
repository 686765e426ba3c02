//! Telemetry: what the device tells of its syncs, pushed after everything else.
//!
//! Chapter: telemetry. The begin of a sync is stored before its first byte; a sync that finds one that was not closed
//! knows that the process ended in it. What is to be told waits in a [`Diary`] of its own, beside the outbox, and goes out
//! under a replica id of its own: so a batch of it that stays without an answer holds up no data, and whatever goes wrong
//! with it is tried again in the next sync and changes nothing in this one. A device whose syncs all break off in the pull
//! would never get to the end of one: so what has waited for long is told before the pull.

use super::call::{self, Answer, Reading};
use super::cycle::{Failure, Flow};
use super::store::{FrozenBatch, Replica};
use super::{DeviceError, Next, Step, Write};
use fieldsync_schemas::id::{MutationId, RecordId, Seq, TypeName, Version};
use fieldsync_schemas::problem::{Problem, Retry};
use fieldsync_schemas::push::{Mutation, MutationOp, OutcomeKind, PushAnswer, PushRequest};
use fieldsync_schemas::scenario::{CallKind, FailureCause};
use fieldsync_schemas::session::Role;
use fieldsync_schemas::telemetry::{SyncEndWord, SyncTelemetry, TELEMETRY, TELEMETRY_TYPE};
use fieldsync_schemas::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How much is kept to be told. A phone that is away for months keeps the latest.
const KEPT: usize = 100;
/// So many syncs that could not be told are told before the pull.
const TROUBLE: usize = 3;
/// The longest detail that is told, in bytes.
const LONGEST: usize = 500;
/// The longest name of an app or a device, in bytes.
const LONGEST_NAME: usize = 256;

/// What the device has to tell of its syncs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Diary {
    /// The sync that runs, or in which the process ended.
    pub begun: Option<Begun>,
    /// What was not told yet, oldest first.
    pub pages: Vec<DiaryPage>,
    /// The replica that tells it.
    pub replica: Option<Replica>,
    /// What is sent until it is answered.
    pub batch: Option<FrozenBatch>,
}

/// A sync that began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// The id of the record that will tell of it.
    pub id: RecordId,
    /// When, by the device's clock.
    pub at: Timestamp,
    /// What was done in it when something was stored the last time.
    #[serde(default)]
    pub tally: Tally,
}

/// One sync, to be told. Whose it was is known when it is sent: the store has one owner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiaryPage {
    /// The id of the record.
    pub id: RecordId,
    /// The id of the mutation that makes it.
    pub mutation_id: MutationId,
    /// When the sync began.
    pub started_at: Timestamp,
    /// When it ended; none where the process did.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: SyncEndWord,
    /// Why it failed.
    pub failure: Option<(FailureCause, String)>,
    /// What was done in it.
    pub tally: Tally,
}

/// What was done in a sync.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Mutations that the server settled, by type.
    pub pushed: BTreeMap<TypeName, u64>,
    /// Changes that came, by type.
    pub pulled: BTreeMap<TypeName, u64>,
    /// Mutations that were given up.
    pub given_up: u64,
    /// Requests that were sent.
    pub requests: u64,
    /// The bodies that were sent, in bytes.
    pub bytes_sent: u64,
    /// The bodies that came, in bytes.
    pub bytes_received: u64,
}

impl Tally {
    /// Whether the sync found nothing to do.
    fn is_quiet(&self) -> bool {
        self.pushed.is_empty() && self.pulled.is_empty() && self.given_up == 0
    }
}

/// Where the telling stands within one sync.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// This sync is in the diary, or need not be.
    pub(super) is_told: bool,
    /// A batch of it is on its way.
    is_sent: bool,
    /// It goes on in the next sync.
    is_over: bool,
    /// How the sync ends once the batch is answered; well where there is nothing.
    failure: Option<Failure>,
}

impl Step<'_> {
    /// Whether the device tells of its syncs here, as far as it knows the server.
    fn tells(&self) -> bool {
        let knows = self.machine.settings.capabilities.iter().any(|known| known.as_str() == TELEMETRY);
        let takes = self.machine.state.session.as_ref().is_none_or(|session| {
            let is_listed = session.registry.types.iter().any(|entry| entry.name.as_str() == TELEMETRY_TYPE);
            is_listed && session.role != Role::ReadOnly
        });
        knows && takes
    }

    fn diary(&mut self, change: impl FnOnce(&mut Diary)) {
        let mut diary = self.machine.state.diary.clone();
        change(&mut diary);
        let excess = diary.pages.len().saturating_sub(KEPT);
        diary.pages.drain(..excess);
        if diary != self.machine.state.diary {
            self.write(Write::Diary(Box::new(diary)));
        }
    }

    /// A sync that was not closed is one in which the process ended.
    pub(super) fn close_killed(&mut self) {
        let Some(begun) = self.machine.state.diary.begun.clone() else { return };
        let page = DiaryPage {
            id: begun.id,
            mutation_id: self.new_mutation_id(),
            started_at: begun.at,
            ended_at: None,
            outcome: SyncEndWord::Killed,
            failure: None,
            tally: begun.tally,
        };
        self.diary(|diary| {
            diary.begun = None;
            diary.pages.push(page);
        });
    }

    /// The sync begins.
    pub(super) fn note_begin(&mut self) {
        self.close_killed();
        if self.tells() {
            let id = RecordId::new(self.context.ids.unique()).expect("a unique text has the form of a record id");
            let begun = Some(Begun { id, at: self.context.now, tally: Tally::default() });
            self.diary(|diary| diary.begun = begun);
        }
    }

    /// What was done is stored with what it came to, a page or an outcome: should the process end now, it is told.
    pub(super) fn note_progress(&mut self) {
        let Some(run) = &self.machine.run else { return };
        let Some(begun) = &self.machine.state.diary.begun else { return };
        let is_news = run.tally.pushed != begun.tally.pushed
            || run.tally.pulled != begun.tally.pulled
            || run.tally.given_up != begun.tally.given_up;
        if is_news {
            let begun = Some(Begun { tally: run.tally.clone(), ..begun.clone() });
            self.diary(|diary| diary.begun = begun);
        }
    }

    /// Puts this sync into the diary, once; one that found nothing new is none of its business.
    pub(super) fn note_end(&mut self, failure: Option<&Failure>) {
        if std::mem::replace(&mut self.run().telling.is_told, true) {
            return;
        }
        let Some(begun) = self.machine.state.diary.begun.clone() else { return };
        let tally = self.run().tally.clone();
        let page = DiaryPage {
            id: begun.id,
            mutation_id: self.new_mutation_id(),
            started_at: begun.at,
            ended_at: Some(self.context.now),
            outcome: if failure.is_some() { SyncEndWord::Failed } else { SyncEndWord::Ok },
            failure: failure.map(|failure| (failure.cause, cut(&failure.detail, LONGEST))),
            tally,
        };
        let is_news = failure.is_some() || !page.tally.is_quiet();
        let tells = self.tells();
        self.diary(|diary| {
            diary.begun = None;
            if !tells {
                *diary = Diary::default();
            } else if is_news {
                diary.pages.push(page);
            }
        });
    }

    /// What waits in the diary goes out before the pull, once several syncs could not tell.
    pub(super) fn tell_trouble(&mut self) -> Flow {
        let waits = self.machine.state.diary.pages.len() >= TROUBLE && self.tells();
        match waits.then(|| self.send_diary()).flatten() {
            Some(next) => Flow::Do(next),
            None => Flow::Over,
        }
    }

    /// The last phase: what waits in the diary goes out, this sync with it.
    pub(super) fn tell(&mut self) -> Flow {
        if !self.tells() {
            return Flow::Over;
        }
        let failure = self.run().failure_at_the_end();
        self.note_end(failure.as_ref());
        match self.send_diary() {
            Some(next) => Flow::Do(next),
            None => Flow::Over,
        }
    }

    /// A sync that the server broke off is told at once: if every sync of a user breaks off, nothing else would tell.
    /// One that has no network cannot, and one that is to wait must not.
    pub(super) fn tell_of(&mut self, failure: &Failure) -> Option<Next> {
        self.note_end(Some(failure));
        let can_tell = failure.cause == FailureCause::Server && self.run().waits == 0;
        if !can_tell || !self.tells() || self.machine.state.session.is_none() {
            return None;
        }
        let next = self.send_diary()?;
        self.run().telling.failure = Some(failure.clone());
        Some(next)
    }

    fn send_diary(&mut self) -> Option<Next> {
        if self.run().telling.is_over {
            return None;
        }
        if self.machine.state.diary.batch.is_none() {
            self.freeze_diary();
        }
        let body = self.machine.state.diary.batch.as_ref()?.body.clone();
        self.run().telling.is_sent = true;
        Some(self.send(CallKind::Push, "/push", Some(body)))
    }

    fn freeze_diary(&mut self) {
        let limits = self.session().limits;
        let most = limits.batch_mutations.min(self.machine.settings.batch_limit.unwrap_or(u32::MAX)).max(1) as usize;
        let diary = &self.machine.state.diary;
        let mutations: Vec<Mutation> = diary.pages.iter().take(most).map(|page| self.told(page)).collect();
        if mutations.is_empty() {
            return;
        }
        let replica = diary.replica.clone().unwrap_or_else(|| Replica {
            id: self.new_replica_id(),
            seq: Seq::FIRST,
            previous: None,
        });
        let request = PushRequest {
            replica: replica.id.clone(),
            seq: replica.seq,
            previous: replica.previous.clone(),
            epoch: self.machine.state.marks.epoch.clone(),
            mutations,
        };
        let batch = FrozenBatch {
            replica: replica.id.clone(),
            seq: replica.seq,
            mutations: request.mutations.iter().map(|mutation| mutation.mutation_id.clone()).collect(),
            body: serde_json::to_string(&request).expect("a batch is plain JSON"),
            failures: 0,
        };
        self.diary(|diary| {
            diary.replica = Some(replica);
            diary.batch = Some(batch);
        });
    }

    fn told(&self, page: &DiaryPage) -> Mutation {
        let Tally { pushed, pulled, given_up, requests, bytes_sent, bytes_received } = page.tally.clone();
        let telemetry = SyncTelemetry {
            user: self.session().principal.clone(),
            started_at: page.started_at,
            ended_at: page.ended_at,
            outcome: page.outcome.clone(),
            cause: page.failure.as_ref().map(|(cause, _)| *cause),
            detail: page.failure.as_ref().map(|(_, detail)| detail.clone()),
            pushed,
            pulled,
            given_up,
            requests,
            bytes_sent,
            bytes_received,
            app: self.machine.settings.app.as_deref().map(|name| cut(name, LONGEST_NAME)),
            device: self.machine.settings.device.as_deref().map(|name| cut(name, LONGEST_NAME)),
        };
        Mutation {
            mutation_id: page.mutation_id.clone(),
            op: MutationOp::Create,
            type_name: TypeName::new(TELEMETRY_TYPE).expect("a constant that is a type name"),
            id: page.id.clone(),
            base: None,
            version: Some(Version::FIRST),
            modified_at: Some(page.ended_at.unwrap_or(page.started_at)),
            data: Some(serde_json::value::to_raw_value(&telemetry).expect("telemetry is plain JSON")),
            patch: None,
            attachments: Vec::new(),
            group: None,
            replaces: None,
            attachment: None,
            url: None,
        }
    }

    /// Whether what happened to the call that was sent happened to the telemetry.
    pub(super) fn is_telling(&mut self) -> bool {
        self.machine.run.as_mut().is_some_and(|run| std::mem::take(&mut run.telling.is_sent))
    }

    /// What becomes of the telemetry that was sent. Nothing of it changes how the sync ends.
    pub(super) fn on_told(&mut self, answer: Option<&Answer>) -> Result<Next, DeviceError> {
        match answer.map(call::read::<PushAnswer>) {
            Some(Reading::Message(answer)) => self.diary_was_read(&answer),
            Some(Reading::Problem(problem)) => self.diary_was_refused(&problem),
            _ => self.run().telling.is_over = true,
        }
        if self.run().telling.failure.is_none() {
            return self.go_on();
        }
        match self.send_diary() {
            Some(next) => Ok(next),
            None => {
                let failure = self.run().telling.failure.take().expect("it was looked at a moment ago");
                Ok(self.fail(failure))
            }
        }
    }

    fn diary_was_read(&mut self, answer: &PushAnswer) {
        let is_final =
            |kind: &OutcomeKind| matches!(kind, OutcomeKind::Applied | OutcomeKind::Duplicate | OutcomeKind::Rejected);
        let outcomes = answer.outcomes.iter().filter(|outcome| is_final(&outcome.outcome));
        let done: BTreeSet<&MutationId> = outcomes.map(|outcome| &outcome.mutation_id).collect();
        let Some(batch) = self.machine.state.diary.batch.clone() else { return };
        if !batch.mutations.iter().all(|id| done.contains(id)) {
            self.run().telling.is_over = true;
        }
        if !batch.mutations.iter().any(|id| answer.outcomes.iter().any(|outcome| outcome.mutation_id == *id)) {
            return;
        }
        self.diary(|diary| {
            diary.pages.retain(|page| !done.contains(&page.mutation_id));
            diary.batch = None;
            diary.replica =
                Some(Replica { id: batch.replica, seq: batch.seq.next(), previous: Some(answer.token.clone()) });
        });
    }

    fn diary_was_refused(&mut self, problem: &Problem) {
        self.run().telling.is_over = true;
        let is_refused = problem.retry == Retry::Never && problem.status < 500 && problem.status != 403;
        match problem.retry {
            Retry::NewReplica | Retry::Resync | Retry::Rebase => self.diary(|diary| {
                diary.batch = None;
                diary.replica = None;
            }),
            // A server that does not take it loses it: it is not worth more.
            Retry::Split | Retry::Never if is_refused || problem.retry == Retry::Split => self.diary(|diary| {
                let refused = diary.batch.take().map(|batch| batch.mutations).unwrap_or_default();
                diary.pages.retain(|page| !refused.contains(&page.mutation_id));
                diary.replica = None;
            }),
            _ => {}
        }
    }
}

/// A text, not longer than is told.
fn cut(text: &str, longest: usize) -> String {
    text[..text.floor_char_boundary(longest)].to_owned()
}
