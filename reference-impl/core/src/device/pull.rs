//! Pulling: every feed from its cursor in one call, page by page, each page stored with its cursor.
//!
//! Chapter: pull. A page that does not go on from the stored cursor is discarded. A resync pulls from null and marks
//! what it sees; at the end what is not marked goes.

use super::call::Answer;
use super::cycle::{ATTEMPTS, Failure, Flow, Phase};
use super::settle::record_of;
use super::store::{Resync, ServerCopy, StoreError};
use super::{DeviceError, Next, Step, Write};
use crate::partition;
use fieldsync_schemas::conflict::CONFLICT_TYPE;
use fieldsync_schemas::id::{Cursor, FeedName, TypeName};
use fieldsync_schemas::problem::{Problem, ProblemCode, Retry};
use fieldsync_schemas::pull::{ChangeOp, Page, PullAnswer, PullRequest, RecordRef};
use fieldsync_schemas::push::MutationOp;
use fieldsync_schemas::record::Record;
use fieldsync_schemas::registry::TypeClass;
use fieldsync_schemas::scenario::{CallKind, FailureCause};
use fieldsync_schemas::telemetry::{TELEMETRY_FEED, TELEMETRY_TYPE};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A change, read.
enum Seen {
    State(Arc<Record>),
    Left(RecordRef),
    /// It is in another feed of its type now.
    Moved(RecordRef, FeedName),
}

impl Step<'_> {
    pub(super) fn pull(&mut self) -> Result<Flow, DeviceError> {
        let state = &self.machine.state;
        if state.resyncs.iter().any(|(feed, resync)| self.is_due(feed, resync)) {
            // The sweep looks at the marks, so they are stored first.
            if !self.writes.is_empty() {
                return Ok(Flow::Do(Next::Proceed));
            }
            self.sweep()?;
            return Ok(Flow::Do(Next::Proceed));
        }
        let feeds = self.next_feeds();
        if !feeds.is_empty() && !self.run().pulled_all {
            let cursors = &self.machine.state.cursors;
            let feeds = feeds.iter().map(|feed| (feed.clone(), cursors.get(feed).cloned().flatten())).collect();
            let request = PullRequest {
                replica: self.replica().id,
                epoch: self.machine.state.marks.epoch.clone(),
                limit: self.machine.settings.page_limit,
                feeds,
            };
            let body = serde_json::to_string(&request).expect("a pull is plain JSON");
            self.run().pushed_since_pull = false;
            return Ok(Flow::Do(self.send(CallKind::Pull, "/pull", Some(body))));
        }
        if !self.machine.state.marks.forgotten.is_empty() && self.machine.state.resyncs.is_empty() {
            if !self.writes.is_empty() {
                return Ok(Flow::Do(Next::Proceed));
            }
            self.settle_forgotten()?;
            self.run().pulled_all = false;
            return Ok(Flow::At(Phase::Push));
        }
        Ok(Flow::Over)
    }

    /// What the server made of what was pushed. Where nothing was, everything was pulled already, unless the answer is
    /// to show that the server lives.
    pub(super) fn pull_results(&mut self) -> Result<Flow, DeviceError> {
        let run = self.run();
        if run.pushed_since_pull || run.suspects.len() == 1 {
            self.run().pulled_all = false;
        }
        self.pull()
    }

    /// The feeds that this device pulls.
    pub(super) fn feeds(&self) -> BTreeSet<FeedName> {
        self.feeds_in_order().into_iter().collect()
    }

    /// Those of the registry and their partitions, without types that are left out; what the server alone writes, and
    /// parents, stand before the others.
    fn feeds_in_order(&self) -> Vec<FeedName> {
        let Some(session) = &self.machine.state.session else { return Vec::new() };
        let left_out = self.left_out();
        let is_pulled = |name: &TypeName| !left_out.contains(name) && name.as_str() != TELEMETRY_TYPE;
        let mut types: Vec<_> = session.registry.types.iter().filter(|entry| is_pulled(&entry.name)).collect();
        types.sort_by_key(|entry| entry.class != TypeClass::Reference);
        types.into_iter().flat_map(|entry| partition::feeds_of(entry, self.machine.state.cursors.keys())).collect()
    }

    /// The feeds of the next request: as many as it may name of those that were not walked to their ends yet.
    fn next_feeds(&mut self) -> BTreeSet<FeedName> {
        let most = self.machine.state.session.as_ref().map_or(0, |session| session.limits.pull_feeds) as usize;
        let feeds = self.feeds_in_order();
        let run = self.run();
        let waiting = feeds.into_iter().filter(|feed| !run.unknown_feeds.contains(feed) && !run.walked.contains(feed));
        waiting.take(most.max(1)).collect()
    }

    /// The same, without those that the server does not have.
    fn asked_feeds(&mut self) -> BTreeSet<FeedName> {
        let feeds = self.feeds();
        feeds.difference(&self.run().unknown_feeds).cloned().collect()
    }

    /// Whether a feed that the server names is one that this device could pull, by what it knows of the types.
    fn is_left_out(&self, feed: &FeedName) -> bool {
        let left_out = self.left_out();
        let base = feed.as_str().split('/').next().unwrap_or_default();
        if base == TELEMETRY_FEED {
            return true;
        }
        left_out.iter().any(|type_name| self.feed_of(type_name).as_str() == base)
    }

    pub(super) fn on_pull(&mut self, answer: &Answer) -> Result<Next, DeviceError> {
        let answer = match self.understood::<PullAnswer>(CallKind::Pull, answer) {
            Ok(Ok(answer)) => answer,
            Ok(Err(problem)) => return self.on_pull_problem(&problem),
            Err(next) => return Ok(next),
        };
        let mut pages = Vec::with_capacity(answer.feeds.len());
        for page in &answer.feeds {
            match read(page) {
                Some(seen) => pages.push((page, seen)),
                None => {
                    let detail = format!("a change of the feed {} cannot be read", page.feed);
                    return Ok(self.fail(Failure::new(FailureCause::Network, detail)));
                }
            }
        }
        if self.machine.state.marks.epoch.as_ref() != Some(&answer.epoch) {
            return match self.enter_epoch(answer.epoch.clone(), None) {
                Ok(()) => self.go_on(),
                Err(next) => Ok(next),
            };
        }
        self.took_a_pull();
        let (asked, named) = (self.asked_feeds(), self.next_feeds());
        let (mut strays, mut more, mut moved) = (false, false, false);
        for (page, seen) in pages {
            let stored: Option<Cursor> = self.machine.state.cursors.get(&page.feed).cloned().flatten();
            if !named.contains(&page.feed) || page.from != stored {
                strays = true;
                continue;
            }
            more |= page.more;
            moved |= page.from.as_ref() != Some(&page.cursor) || !page.changes.is_empty();
            self.take_page(page, seen)?;
        }
        let mut is_new = false;
        for feed in &answer.new_feeds {
            if !asked.contains(feed) && !self.is_left_out(feed) && self.run().new_feeds.insert(feed.clone()) {
                self.write(Write::Cursor(feed.clone(), None));
                // A new part of a type is no new type.
                self.run().session_is_old |= partition::entry_of(&self.session().registry, feed).is_none();
                is_new = true;
            }
        }
        self.heard_session_tag(&answer.session);
        if !(strays || more || is_new) {
            self.run().walked.extend(named);
            self.run().pulled_all = self.next_feeds().is_empty();
        }
        if self.run().pulled_all {
            self.run().walked.clear();
        }
        if strays || (more && !moved) {
            self.run().stray_answers += 1;
            if self.run().stray_answers > ATTEMPTS {
                let detail = "the pages that come do not go on from the cursors that they were asked for";
                return Ok(self.fail(Failure::new(FailureCause::Network, detail)));
            }
        }
        self.go_on()
    }

    fn take_page(&mut self, page: &Page, seen: Vec<Seen>) -> Result<(), StoreError> {
        let mark = self.machine.state.marks.mark;
        for change in seen {
            self.run().counts.pulled += 1;
            let type_name = match &change {
                Seen::State(record) => record.type_name.clone(),
                Seen::Left(record) | Seen::Moved(record, _) => record.type_name.clone(),
            };
            *self.run().tally.pulled.entry(type_name).or_default() += 1;
            match change {
                Seen::State(record) => {
                    if record.type_name.as_str() == CONFLICT_TYPE
                        && let Some(data) = record.data.clone()
                    {
                        self.write(Write::Conflict(record.id.clone(), data));
                    }
                    self.meet(&record);
                    self.delete_again(&record);
                    self.put_server(ServerCopy { record, feed: page.feed.clone(), mark })?;
                }
                Seen::Moved(record, to) => self.left_feed(&record, &page.feed, to)?,
                Seen::Left(record) => {
                    self.gone(&record);
                    if record.type_name.as_str() == CONFLICT_TYPE {
                        self.write(Write::ConflictGone(record.id.clone()));
                    }
                    self.drop_server(record)?;
                }
            }
        }
        self.write(Write::Cursor(page.feed.clone(), Some(page.cursor.clone())));
        if !page.more
            && let Some(resync) = self.machine.state.resyncs.get(&page.feed).cloned()
        {
            self.write(Write::Resync(page.feed.clone(), Some(Resync { complete: true, ..resync })));
        }
        Ok(())
    }

    /// A record left this feed for another one of its type, which brings it, or brought it already.
    fn left_feed(&mut self, record: &RecordRef, from: &FeedName, to: FeedName) -> Result<(), StoreError> {
        // An earlier page of this answer may have brought it.
        let is_of_it = |copy: &ServerCopy| copy.record.type_name == record.type_name && copy.record.id == record.id;
        let brought = self.writes.iter().rev().find_map(|write| match write {
            Write::Server(copy) if is_of_it(copy) => Some((**copy).clone()),
            _ => None,
        });
        let server = match brought {
            Some(copy) => Some(copy),
            None => self.context.store.record(record)?,
        };
        if let Some(copy) = server.filter(|copy| copy.feed == *from) {
            self.write(Write::Server(Box::new(ServerCopy { feed: to, ..copy })));
        }
        Ok(())
    }

    fn on_pull_problem(&mut self, problem: &Problem) -> Result<Next, DeviceError> {
        if Self::is_epoch_mismatch(problem) {
            return self.on_epoch_mismatch(problem);
        }
        if problem.retry != Retry::Resync {
            return Ok(self.fail(Failure::of(problem)));
        }
        let asked = self.asked_feeds();
        if problem.code == ProblemCode::UnknownFeed && problem.feeds.iter().any(|feed| asked.contains(feed)) {
            let run = self.run();
            run.session_is_old = true;
            let (parts, whole): (Vec<&FeedName>, Vec<&FeedName>) =
                problem.feeds.iter().partition(|feed| partition::is_part(feed));
            run.unknown_feeds.extend(whole.into_iter().cloned());
            parts.into_iter().filter(|feed| asked.contains(*feed)).for_each(|feed| self.forget_part(feed));
            return self.go_on();
        }
        let named: BTreeSet<FeedName> = problem.feeds.iter().filter(|feed| asked.contains(*feed)).cloned().collect();
        match self.resync(if named.is_empty() { asked } else { named }) {
            Ok(()) => self.go_on(),
            Err(next) => Ok(next),
        }
    }

    /// A part of a type that is not there any more is as one that was walked and had nothing.
    fn forget_part(&mut self, feed: &FeedName) {
        self.mark(|marks| marks.mark += 1);
        let mark = self.machine.state.marks.mark;
        self.write(Write::CursorGone(feed.clone()));
        self.write(Write::Resync(feed.clone(), Some(Resync { mark, complete: true })));
    }

    /// Whether what a walk did not meet is to go. What left one part of a type may be in another that is not pulled to its
    /// end yet.
    fn is_due(&self, feed: &FeedName, resync: &Resync) -> bool {
        let types = self.machine.state.session.iter().flat_map(|session| &session.registry.types);
        let has_parts = types.into_iter().any(|entry| entry.partition.is_some() && partition::is_of(entry, feed));
        resync.complete && (!has_parts || self.machine.run.as_ref().is_some_and(|run| run.pulled_all))
    }

    /// Begins to pull these feeds again from null.
    pub(super) fn resync(&mut self, feeds: BTreeSet<FeedName>) -> Result<(), Next> {
        self.run().resyncs += 1;
        self.run().pulled_all = false;
        self.run().walked.clear();
        if self.run().resyncs > ATTEMPTS {
            return Err(self.lead_nowhere("the server asks for one resync after another"));
        }
        self.mark(|marks| marks.mark += 1);
        let mark = self.machine.state.marks.mark;
        for feed in feeds {
            self.write(Write::Cursor(feed.clone(), None));
            self.write(Write::Resync(feed, Some(Resync { mark, complete: false })));
        }
        Ok(())
    }

    /// What a resync did not see goes; unsettled work on it is kept in quarantine.
    fn sweep(&mut self) -> Result<(), StoreError> {
        let resyncs = self.machine.state.resyncs.clone();
        let due: BTreeMap<_, _> = resyncs.into_iter().filter(|(feed, resync)| self.is_due(feed, resync)).collect();
        let records: BTreeSet<RecordRef> = self.machine.state.outbox.iter().map(|entry| entry.record()).collect();
        for record in records {
            let Some(first) = self.first(&record) else { continue };
            // What is to be made need not be there.
            if first.mutation.op == MutationOp::Create {
                continue;
            }
            if self.machine.state.marks.forgotten.contains(&first.mutation.mutation_id) {
                continue;
            }
            let server = self.context.store.record(&record)?;
            if server.is_some_and(|server| due.get(&server.feed).is_some_and(|resync| server.mark < resync.mark)) {
                self.gone(&record);
            }
        }
        self.loosen_swept(&due)?;
        let mut by_mark: BTreeMap<u64, BTreeSet<FeedName>> = BTreeMap::new();
        for (feed, resync) in &due {
            by_mark.entry(resync.mark).or_default().insert(feed.clone());
        }
        for (below, feeds) in by_mark {
            self.write(Write::Sweep { feeds, below });
        }
        if due.contains_key(&self.feed_of(&TypeName::new(CONFLICT_TYPE).expect("a constant that is a type name"))) {
            self.write(Write::SweepConflicts);
        }
        for feed in due.into_keys() {
            self.write(Write::Resync(feed, None));
        }
        Ok(())
    }

    /// Feeds whose type left the registry are no longer pulled.
    pub(super) fn forget_feeds_without_a_type(&mut self) {
        let feeds = self.feeds();
        let known: Vec<FeedName> = self.machine.state.cursors.keys().cloned().collect();
        for feed in known.into_iter().filter(|feed| !feeds.contains(feed)) {
            self.write(Write::CursorGone(feed.clone()));
            if self.machine.state.resyncs.contains_key(&feed) {
                self.write(Write::Resync(feed, None));
            }
        }
    }
}

/// Reads the changes of a page; unknown kinds of change are left out. Nothing, where one cannot be read.
fn read(page: &Page) -> Option<Vec<Seen>> {
    let mut seen = Vec::with_capacity(page.changes.len());
    for change in &page.changes {
        match &change.op {
            ChangeOp::Put | ChangeOp::Tombstone => {
                let mut record = record_of(change.record.as_deref()?)?;
                record.deleted |= change.op == ChangeOp::Tombstone;
                seen.push(Seen::State(Arc::new(record)));
            }
            ChangeOp::Remove => {
                let record = change.removed.clone()?;
                seen.push(match change.to.clone() {
                    Some(to) => Seen::Moved(record, to),
                    None => Seen::Left(record),
                });
            }
            ChangeOp::Other(_) => {}
        }
    }
    Some(seen)
}
