//! Another epoch: what was acknowledged and may be lost is kept, and sent again after a restore.
//!
//! Chapter: epoch. A device hears of another epoch by a problem, a page or a session, and enters it in one step: the
//! batch on its way is given up, the replica id is new, and every feed is walked from null. After a restore, what it
//! keeps goes back into the outbox first, in front of what was never acknowledged; nothing is pulled until that is sent.

use super::outbox::{Entry, Progress};
use super::store::{Kept, StoreError};
use super::{DeviceError, Next, Step, Write};
use fieldsync_schemas::id::Epoch;
use fieldsync_schemas::problem::{EpochCause, Problem, ProblemCode};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::{Mutation, MutationOp};
use fieldsync_schemas::record::Record;
use fieldsync_schemas::session::Session;
use std::sync::Arc;

impl Step<'_> {
    pub(super) fn is_epoch_mismatch(problem: &Problem) -> bool {
        problem.code == ProblemCode::EpochMismatch && problem.epoch.is_some()
    }

    /// The data are of another epoch than the request that was sent.
    pub(super) fn on_epoch_mismatch(&mut self, problem: &Problem) -> Result<Next, DeviceError> {
        let Some(epoch) = problem.epoch.clone().filter(|epoch| self.machine.state.marks.epoch.as_ref() != Some(epoch))
        else {
            return Ok(self.lead_nowhere("the server refuses the epoch that it names"));
        };
        match self.enter_epoch(epoch, problem.cause.as_ref()) {
            Ok(()) => self.go_on(),
            Err(next) => Ok(next),
        }
    }

    /// The session names the epoch, too; only a device that knew none takes it from there, because it does not say why
    /// another one began. Otherwise the next request is told.
    pub(super) fn heard_epoch(&mut self, session: &Session) {
        if self.machine.state.marks.epoch.is_none() {
            self.mark(|marks| marks.epoch = Some(session.epoch.clone()));
        }
        if self.machine.state.marks.epoch.as_ref() == Some(&session.epoch)
            && let Some(backed_up) = session.backed_up_seq
        {
            let is_safe = |kept: &&Kept| kept.accepted_seq.is_some_and(|seq| seq <= backed_up);
            let safe: Vec<u64> = self.machine.state.kept.iter().filter(is_safe).map(|kept| kept.number).collect();
            safe.into_iter().for_each(|number| self.write(Write::KeptGone(number)));
        }
    }

    /// Nothing that the server said before counts: another epoch has begun. Without a cause it is taken for a restore,
    /// in which nothing gets lost.
    pub(super) fn enter_epoch(&mut self, epoch: Epoch, cause: Option<&EpochCause>) -> Result<(), Next> {
        let feeds = self.feeds();
        self.resync(feeds)?;
        self.run().session_is_old = self.session().epoch != epoch;
        self.write(Write::Batch(None));
        self.become_new_replica();
        let is_wiped = cause == Some(&EpochCause::Wiped);
        self.mark(|marks| {
            marks.epoch = Some(epoch);
            marks.epoch_mark = marks.mark;
            marks.recovering = !is_wiped;
            marks.parts.clear();
            marks.forgotten.clear();
        });
        let kept: Vec<Kept> = self.machine.state.kept.iter().cloned().collect();
        kept.iter().for_each(|kept| self.write(Write::KeptGone(kept.number)));
        if !is_wiped {
            self.take_up(kept);
        }
        self.forget_queue();
        self.run().phase = 0;
        Ok(())
    }

    /// Puts what is kept back into the outbox, in front of everything that waits there.
    fn take_up(&mut self, kept: Vec<Kept>) {
        if kept.is_empty() {
            return;
        }
        let waiting: Vec<Entry> = self.machine.state.outbox.iter().cloned().collect();
        waiting.iter().for_each(|entry| self.write(Write::EntryGone(entry.place)));
        for Kept { entry, .. } in kept {
            let place = self.machine.state.outbox.next_place();
            self.write(Write::Entry(Box::new(Entry { place, progress: Progress::Unknown, ..entry })));
        }
        for entry in waiting {
            let place = self.machine.state.outbox.next_place();
            self.write(Write::Entry(Box::new(Entry { place, ..entry })));
        }
    }

    /// Sends what was kept, batch by batch; nothing, once all of it went or the sync cannot go on.
    pub(super) fn recover(&mut self) -> Result<(), StoreError> {
        if self.machine.state.batch.is_some() || !self.machine.state.marks.recovering {
            return Ok(());
        }
        if self.run().refusal.is_some() {
            self.give_up_sync();
            return Ok(());
        }
        self.freeze()?;
        if self.machine.state.batch.is_none() {
            if self.run().suspects.len() > 1 {
                self.give_up_sync();
                return Ok(());
            }
            self.mark(|marks| marks.recovering = false);
        }
        Ok(())
    }

    /// Past the last phase: whatever stopped it is told.
    pub(super) fn give_up_sync(&mut self) {
        self.run().phase = usize::from(u8::MAX);
    }

    /// Keeps an acknowledged mutation until a backup has it.
    pub(super) fn keep(&mut self, entry: Entry) {
        if !self.session().capabilities.iter().any(|claimed| claimed.as_str() == "restore") {
            return;
        }
        let accepted_seq = self.run().accepted_seq;
        self.put_kept(Kept { number: 0, accepted_seq, awaits_record: false, entry });
    }

    fn put_kept(&mut self, kept: Kept) {
        let number = self.machine.state.kept.next_number();
        self.write(Write::Kept(Box::new(Kept { number, ..kept })));
    }

    /// A batch was taken at this place; what was found to be settled by what was pulled before was taken earlier.
    pub(super) fn heard_accepted_seq(&mut self, seq: Option<u64>) {
        self.run().accepted_seq = seq;
        if seq.is_some() {
            for kept in self.machine.state.kept.unplaced().cloned().collect::<Vec<_>>() {
                self.write(Write::Kept(Box::new(Kept { accepted_seq: seq, ..kept })));
            }
        }
    }

    /// The backup lacks the record of what is sent again: it is made once more, as this device has it. A delete waits
    /// until somebody else has done that. Whether that is so.
    pub(super) fn lost_by_restore(&mut self, entry: &Entry) -> Result<bool, StoreError> {
        if !self.machine.state.marks.recovering || entry.progress == Progress::Discarded {
            return Ok(false);
        }
        if entry.mutation.op == MutationOp::Delete {
            self.run().counts.settled += 1;
            self.write(Write::EntryGone(entry.place));
            self.put_kept(Kept { number: 0, accepted_seq: None, awaits_record: true, entry: entry.clone() });
            return Ok(true);
        }
        let data = match entry.mutation.data.clone() {
            Some(data) => Some(data),
            None => self.context.store.record(&entry.record())?.and_then(|server| server.record.data.clone()),
        };
        let Some(data) = data else { return Ok(false) };
        let mutation = Mutation {
            mutation_id: self.new_mutation_id(),
            replaces: Some(entry.mutation.mutation_id.clone()),
            op: MutationOp::Create,
            base: None,
            data: Some(data),
            patch: None,
            ..Mutation::clone(&entry.mutation)
        };
        self.renew(Entry { progress: Progress::Unsent, mutation: mutation.into(), snapshot: None, ..entry.clone() });
        Ok(true)
    }

    /// A record came whose delete a backup lacked: it is deleted once more, unless somebody went on from there.
    pub(super) fn delete_again(&mut self, record: &Arc<Record>) {
        let name = RecordRef { type_name: record.type_name.clone(), id: record.id.clone() };
        let Some(kept) = self.machine.state.kept.awaiting(&name).cloned() else { return };
        self.write(Write::KeptGone(kept.number));
        if record.deleted || record.version >= kept.entry.version() || self.first(&name).is_some() {
            return;
        }
        let mutation = Arc::new(Mutation {
            mutation_id: self.new_mutation_id(),
            replaces: Some(kept.entry.mutation.mutation_id.clone()),
            base: Some(record.rev.clone()),
            ..Mutation::clone(&kept.entry.mutation)
        });
        let place = self.machine.state.outbox.next_place();
        let snapshot = self.snapshot(record);
        self.write(Write::Entry(Box::new(Entry { place, progress: Progress::Unsent, mutation, snapshot })));
    }
}
