//! Pushing: a batch is frozen, sent byte for byte until it is answered, and taken apart where the server fails over it.
//!
//! Chapter: push.

use super::call::Answer;
use super::cycle::{ATTEMPTS, Failure, Flow, Phase};
use super::outbox::{Entry, Progress};
use super::store::{FrozenBatch, Reason, StoreError};
use super::{DeviceError, Next, Step, Write};
use fieldsync_schemas::id::{FeedName, MutationId};
use fieldsync_schemas::problem::{Problem, ProblemCode, Retry};
use fieldsync_schemas::push::{PushAnswer, PushRequest};
use fieldsync_schemas::scenario::{CallKind, FailureCause};
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// After so many failures of the server over one batch it is taken apart.
const FAILURES: u32 = 3;
/// The most bytes that a batch has besides its mutations: three ids, a token and the members' names.
const ENVELOPE: u64 = 1024;

/// What still fits into a batch.
pub(super) struct Room {
    mutations: usize,
    bytes: u64,
    is_empty: bool,
}

impl Room {
    /// Whether these mutations go into it, too. What is too large for any batch goes alone, and the server says so.
    pub(super) fn takes(&mut self, texts: &[Box<RawValue>]) -> bool {
        let bytes = texts.iter().map(|text| text.get().len() as u64 + 1).sum();
        if (bytes > self.bytes || texts.len() > self.mutations) && !self.is_empty {
            return false;
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        self.mutations = self.mutations.saturating_sub(texts.len());
        self.is_empty &= texts.is_empty();
        true
    }
}

impl Step<'_> {
    /// A batch without an answer comes before anything else; after a restore, what was kept.
    pub(super) fn settle(&mut self) -> Result<Flow, StoreError> {
        self.recover()?;
        Ok(match self.send_batch() {
            Some(next) => Flow::Do(next),
            None => Flow::Over,
        })
    }

    pub(super) fn push(&mut self) -> Result<Flow, StoreError> {
        if self.machine.state.batch.is_none() && self.run().refusal.is_none() {
            self.freeze()?;
        }
        self.settle()
    }

    fn send_batch(&mut self) -> Option<Next> {
        let body = self.machine.state.batch.as_ref()?.body.clone();
        let run = self.run();
        run.first_send = std::mem::take(&mut run.batch_is_new);
        Some(self.send(CallKind::Push, "/push", Some(body)))
    }

    /// Makes the next batch, if anything waits: its bytes and their place in the replica's row are stored before they
    /// are sent.
    pub(super) fn freeze(&mut self) -> Result<(), StoreError> {
        self.drop_discarded();
        let text = |mutation| serde_json::value::to_raw_value(&mutation).expect("a mutation is plain JSON");
        let mut room = self.room();
        let (mut mutations, mut entries) = (Vec::new(), Vec::new());
        // Of what was chosen there may be nothing left to push.
        while entries.is_empty() {
            let mut pieces = self.next_pieces(room.mutations)?.into_iter();
            if pieces.len() == 0 {
                break;
            }
            while let Some(piece) = pieces.next() {
                let pushed = piece.iter().filter_map(|entry| Some((text(self.as_pushed(entry)?), entry.clone())));
                let (texts, of_piece): (Vec<_>, Vec<_>) = pushed.unzip();
                if !room.takes(&texts) {
                    self.put_back(std::iter::once(piece).chain(pieces));
                    break;
                }
                mutations.extend(texts);
                entries.extend(of_piece);
            }
        }
        self.freeze_batch(entries.iter().map(|entry| entry.mutation.mutation_id.clone()).collect(), mutations);
        for entry in entries {
            if entry.progress != Progress::Unknown {
                self.write(Write::Entry(Box::new(Entry { progress: Progress::Unknown, ..entry })));
            }
        }
        Ok(())
    }

    /// What fits into a batch.
    pub(super) fn room(&mut self) -> Room {
        let limits = self.session().limits;
        let mutations = limits.batch_mutations.min(self.machine.settings.batch_limit.unwrap_or(u32::MAX)).max(1);
        Room { mutations: mutations as usize, bytes: limits.body_bytes.saturating_sub(ENVELOPE), is_empty: true }
    }

    /// Stores the bytes of a batch, if there is anything in it, and their place in the replica's row.
    pub(super) fn freeze_batch(&mut self, ids: Vec<MutationId>, mutations: Vec<Box<RawValue>>) {
        if ids.is_empty() {
            return;
        }
        let replica = self.replica();
        let request = PushRequest::<Box<RawValue>> {
            replica: replica.id.clone(),
            seq: replica.seq,
            previous: replica.previous,
            epoch: self.machine.state.marks.epoch.clone(),
            mutations,
        };
        self.write(Write::Batch(Some(FrozenBatch {
            replica: replica.id,
            seq: replica.seq,
            mutations: ids,
            body: serde_json::to_string(&request).expect("a batch is plain JSON"),
            failures: 0,
        })));
        self.run().batch_is_new = true;
    }

    pub(super) fn on_push(&mut self, answer: &Answer) -> Result<Next, DeviceError> {
        let message = match self.understood::<PushAnswer>(CallKind::Push, answer) {
            Ok(message) => message,
            Err(next) => return Ok(next),
        };
        let Some(batch) = self.machine.state.batch.clone() else { return self.go_on() };
        match message {
            Ok(answer) if !answer.outcomes.iter().any(|outcome| batch.mutations.contains(&outcome.mutation_id)) => {
                let detail = "the answer speaks of none of the mutations that were pushed";
                Ok(self.fail(Failure::new(FailureCause::Network, detail)))
            }
            Ok(answer) => {
                self.took_a_batch();
                self.write(Write::Batch(None));
                let mut replica = self.replica();
                replica.seq = batch.seq.next();
                replica.previous = Some(answer.token.clone());
                self.write(Write::Replica(replica));
                self.heard_accepted_seq(answer.accepted_seq);
                self.outcomes(&batch, &answer)?;
                self.heard_session_tag(&answer.session);
                self.go_on()
            }
            Err(problem) => self.on_push_problem(batch, &problem, answer.status),
        }
    }

    fn on_push_problem(&mut self, batch: FrozenBatch, problem: &Problem, status: u16) -> Result<Next, DeviceError> {
        let failure = Failure::of(problem);
        if Self::is_epoch_mismatch(problem) {
            return self.on_epoch_mismatch(problem);
        }
        let is_expired = problem.code == ProblemCode::OutcomeExpired;
        match &problem.retry {
            // The server changed nothing, so a batch that it gets for the first time left no trace there.
            retry if *retry == Retry::NewReplica || is_expired && self.run().first_send => {
                self.write(Write::Batch(None));
                self.become_new_replica();
                self.mark(|marks| marks.parts.insert(0, batch.mutations));
                self.run().fences += 1;
                if self.run().fences > ATTEMPTS {
                    return Ok(self.fail(failure));
                }
                self.go_on()
            }
            _ if is_expired => {
                self.write(Write::Batch(None));
                self.become_new_replica();
                self.mark(|marks| marks.forgotten.extend(batch.mutations));
                let feeds = self.feeds();
                if let Err(next) = self.resync(feeds) {
                    return Ok(next);
                }
                self.go_to(Phase::Pull);
                self.go_on()
            }
            Retry::Upgrade => Ok(self.fail(failure)),
            Retry::Resync => {
                self.refused_whole(batch, failure);
                let asked = self.feeds();
                let named: BTreeSet<FeedName> =
                    problem.feeds.iter().filter(|feed| asked.contains(*feed)).cloned().collect();
                match self.resync(if named.is_empty() { asked } else { named }) {
                    Ok(()) => self.go_on(),
                    Err(next) => Ok(next),
                }
            }
            Retry::Rebase => {
                self.refused_whole(batch, failure);
                self.go_on()
            }
            retry if *retry == Retry::Split || matches!(status, 400 | 413) || status >= 500 => {
                self.take_apart(batch, &failure);
                self.go_on()
            }
            _ => {
                self.refused_whole(batch, failure);
                self.go_on()
            }
        }
    }

    /// The batch is refused as a whole, so it is answered: what others did is pulled, then the sync fails.
    fn refused_whole(&mut self, batch: FrozenBatch, failure: Failure) {
        self.write(Write::Batch(None));
        self.mark(|marks| marks.parts.insert(0, batch.mutations));
        self.run().refusal = Some(failure);
        if self.machine.state.marks.recovering {
            // What is kept comes before anything that is pulled.
            self.give_up_sync();
        } else {
            self.go_to(Phase::Pull);
        }
    }

    /// The server failed over the batch once more. Whether it was taken apart.
    pub(super) fn batch_failed(&mut self, failure: &Failure) -> bool {
        let Some(mut batch) = self.machine.state.batch.clone() else { return false };
        batch.failures += 1;
        if !self.run().took_a_batch {
            self.run().failed_batches += 1;
        }
        if batch.failures < FAILURES {
            self.write(Write::Batch(Some(batch)));
            return false;
        }
        self.take_apart(batch, failure);
        true
    }

    /// Goes on as a new replica with halves of the batch; a mutation that is alone in it is given up, so that it does
    /// not stop the others. Where the server has taken no batch in this sync it may fail over any: then the mutation is
    /// only suspected.
    pub(super) fn take_apart(&mut self, batch: FrozenBatch, failure: &Failure) {
        self.write(Write::Batch(None));
        self.become_new_replica();
        if self.is_of_links(&batch) {
            return self.take_links_apart(batch.mutations);
        }
        let mut pieces = self.pieces(&batch.mutations);
        if pieces.len() == 1 {
            for only in batch.mutations {
                if self.run().took_a_batch {
                    self.give_up(&only, Reason::Server(failure.detail.clone()));
                } else {
                    self.run().suspects.push(only);
                }
            }
            return;
        }
        let second = pieces.split_off(pieces.len().div_ceil(2));
        let halves = [pieces.concat(), second.concat()];
        self.mark(|marks| {
            marks.parts.splice(0..0, halves);
        });
    }

    /// The server takes batches: what it failed over, alone, it fails over for a reason.
    fn took_a_batch(&mut self) {
        let run = self.run();
        run.took_a_batch = true;
        run.pushed_since_pull = true;
        self.give_up_suspects();
    }

    /// The server answers a pull. Where one mutation is all that waits, no other push can show that the server lives.
    pub(super) fn took_a_pull(&mut self) {
        let suspects = self.run().suspects.clone();
        if self.pieces(&suspects).len() == 1 {
            self.give_up_suspects();
        }
    }

    fn give_up_suspects(&mut self) {
        for suspect in std::mem::take(&mut self.run().suspects) {
            self.give_up(&suspect, Reason::Server("the server fails over this change, and answers others".to_owned()));
        }
    }

    /// Fails the sync, because what the server says does not lead on.
    pub(super) fn lead_nowhere(&mut self, detail: &str) -> Next {
        self.fail(Failure::new(FailureCause::Server, detail))
    }

    /// Whether a refusal asks for a new mutation id.
    pub(super) fn asks_for_new_id(code: &ProblemCode) -> bool {
        *code == ProblemCode::MutationIdReused
    }
}
