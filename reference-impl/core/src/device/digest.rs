//! Comparing: what a device holds is held against what the server has, bucket by bucket, and mended.
//!
//! Chapter: digest. A device compares when it is asked to, at the end of a sync: everything was pulled then. Only
//! buckets that differ are fetched; unsent work is left alone.

use super::call::Answer;
use super::cycle::{ATTEMPTS, Failure, Flow, Phase};
use super::settle::record_of;
use super::store::{ServerCopy, StoreError};
use super::{DeviceError, Next, Step};
use crate::data::content_hash;
use crate::digest::{Buckets, bucket_of};
use fieldsync_schemas::digest::{BucketAnswer, BucketRequest, DigestAnswer, DigestRequest};
use fieldsync_schemas::id::{BucketName, Cursor, FeedName, RecordId};
use fieldsync_schemas::problem::Problem;
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::record::Record;
use fieldsync_schemas::scenario::{CallKind, FailureCause};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Where more buckets of a feed differ, the feed is walked from null: that is less to send.
const MANY: usize = 64;

/// How far the comparison of one sync got.
#[derive(Default)]
pub(super) struct Comparison {
    /// The digests came.
    is_known: bool,
    /// Only these feeds; all where it is the first attempt.
    only: Option<BTreeSet<FeedName>>,
    /// The feeds that moved before they could be compared.
    missed: BTreeSet<FeedName>,
    attempts: u32,
    /// The buckets that differ and are not fetched yet.
    differing: VecDeque<(FeedName, BucketName)>,
    /// What came so far of the first of them.
    seen: BTreeSet<RecordRef>,
    after: Option<RecordId>,
}

impl Step<'_> {
    pub(super) fn compare(&mut self) -> Flow {
        let is_claimed = self.session().capabilities.iter().any(|claimed| claimed.as_str() == "digest");
        if !is_claimed || self.run().comparison.is_none() {
            return Flow::Over;
        }
        let (replica, epoch) = (self.replica().id, self.machine.state.marks.epoch.clone());
        let limit = self.machine.settings.page_limit;
        let feeds = self.compared_feeds();
        let comparison = self.comparison();
        if !comparison.is_known {
            comparison.attempts += 1;
            let request = DigestRequest { replica, epoch, feeds };
            let body = serde_json::to_string(&request).expect("a request is plain JSON");
            return Flow::Do(self.send(CallKind::Digest, "/digest", Some(body)));
        }
        let after = comparison.after.clone();
        let Some((feed, bucket)) = comparison.differing.front().cloned() else {
            let missed = std::mem::take(&mut comparison.missed);
            if missed.is_empty() || comparison.attempts >= ATTEMPTS {
                self.run().comparison = None;
                return Flow::Over;
            }
            (comparison.is_known, comparison.only) = (false, Some(missed));
            self.run().pulled_all = false;
            return Flow::At(Phase::Pull);
        };
        let request = BucketRequest { replica, epoch, feed, bucket, after, limit };
        let body = serde_json::to_string(&request).expect("a request is plain JSON");
        Flow::Do(self.send(CallKind::Bucket, "/bucket", Some(body)))
    }

    /// The feeds to compare, with the cursors to which they were pulled.
    fn compared_feeds(&mut self) -> BTreeMap<FeedName, Cursor> {
        let only = self.comparison().only.clone();
        let feeds = self.feeds().into_iter().filter(|feed| only.as_ref().is_none_or(|only| only.contains(feed)));
        let cursors = &self.machine.state.cursors;
        feeds.filter_map(|feed| Some((feed.clone(), cursors.get(&feed)?.clone()?))).collect()
    }

    fn comparison(&mut self) -> &mut Comparison {
        self.run().comparison.get_or_insert_default()
    }

    pub(super) fn on_digest(&mut self, answer: &Answer) -> Result<Next, DeviceError> {
        let answer = match self.understood::<DigestAnswer>(CallKind::Digest, answer) {
            Ok(Ok(answer)) => answer,
            Ok(Err(problem)) => return self.on_digest_problem(&problem),
            Err(next) => return Ok(next),
        };
        let mut differing = VecDeque::new();
        let mut missed: BTreeSet<FeedName> = self.compared_feeds().into_keys().collect();
        for told in answer.feeds {
            if self.machine.state.cursors.get(&told.feed) != Some(&Some(told.from)) {
                continue;
            }
            missed.remove(&told.feed);
            let mut own = Buckets::default();
            for record in self.held(&told.feed)? {
                let content = content_hash(record.data.as_deref(), &record.attachments);
                own.add(record.id.as_str(), &record.rev, &content);
            }
            let own = own.named();
            let names: BTreeSet<BucketName> = own.keys().chain(told.buckets.keys()).cloned().collect();
            let names: Vec<BucketName> =
                names.into_iter().filter(|name| own.get(name) != told.buckets.get(name)).collect();
            if names.len() <= MANY {
                differing.extend(names.into_iter().map(|name| (told.feed.clone(), name)));
            } else if let Err(next) = self.resync(BTreeSet::from([told.feed])) {
                return Ok(next);
            } else {
                self.go_to(Phase::Pull);
            }
        }
        let comparison = self.comparison();
        (comparison.is_known, comparison.differing, comparison.missed) = (true, differing, missed);
        self.heard_session_tag(&answer.session);
        self.go_on()
    }

    pub(super) fn on_bucket(&mut self, answer: &Answer) -> Result<Next, DeviceError> {
        let answer = match self.understood::<BucketAnswer>(CallKind::Bucket, answer) {
            Ok(Ok(answer)) => answer,
            Ok(Err(problem)) => return self.on_digest_problem(&problem),
            Err(next) => return Ok(next),
        };
        let asked = self.comparison().differing.front().cloned();
        let read: Option<Vec<Record>> = answer.records.iter().map(|raw| record_of(raw)).collect();
        let (Some((feed, bucket)), Some(records)) = (asked, read) else {
            return Ok(self.fail(Failure::new(FailureCause::Network, "a bucket cannot be read")));
        };
        let is_asked = answer.feed == feed && answer.bucket == bucket;
        if !is_asked || self.machine.state.marks.epoch.as_ref() != Some(&answer.epoch) {
            return Ok(self.fail(Failure::new(FailureCause::Network, "a bucket came that was not asked for")));
        }
        let mark = self.machine.state.marks.mark;
        for record in records {
            self.run().counts.pulled += 1;
            let name = RecordRef { type_name: record.type_name.clone(), id: record.id.clone() };
            self.comparison().after = Some(name.id.clone());
            self.comparison().seen.insert(name);
            self.put_server(ServerCopy { record: Arc::new(record), feed: feed.clone(), mark })?;
        }
        if answer.more && !answer.records.is_empty() {
            return self.go_on();
        }
        let number = u8::from_str_radix(bucket.as_str(), 16).expect("a bucket's name is two digits");
        let seen = std::mem::take(&mut self.comparison().seen);
        for record in self.held(&feed)? {
            let name = RecordRef { type_name: record.type_name.clone(), id: record.id.clone() };
            if bucket_of(name.id.as_str()) == number && !seen.contains(&name) {
                self.drop_server(name)?;
            }
        }
        self.comparison().after = None;
        self.comparison().differing.pop_front();
        self.heard_session_tag(&answer.session);
        self.go_on()
    }

    fn on_digest_problem(&mut self, problem: &Problem) -> Result<Next, DeviceError> {
        if Self::is_epoch_mismatch(problem) {
            return self.on_epoch_mismatch(problem);
        }
        Ok(self.fail(Failure::of(problem)))
    }

    /// The server's live records of a feed, as this device holds them.
    fn held(&self, feed: &FeedName) -> Result<Vec<Arc<Record>>, StoreError> {
        let types = self.machine.state.session.iter().flat_map(|session| &session.registry.types);
        let base = feed.as_str().split('/').next().unwrap_or_default();
        let mut held = Vec::new();
        for entry in types.filter(|entry| entry.is_whole_feed(base)) {
            let copies = self.context.store.records(&entry.name)?.into_iter().filter(|copy| copy.feed == *feed);
            held.extend(copies.map(|copy| copy.record).filter(|record| !record.deleted));
        }
        Ok(held)
    }
}
