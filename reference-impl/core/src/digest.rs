//! Digests: what a feed has, in 256 short texts that are compared with what a device holds.
//!
//! Chapter: digest.

use crate::partition;
use crate::problem::Trouble;
use crate::pull::{self, Ground, PullError};
use crate::scope::{self, Sight};
use crate::store::{Hash, Snapshot};
use fieldsync_schemas::digest::{BucketAnswer, BucketRequest, DigestAnswer, DigestRequest, FeedDigest};
use fieldsync_schemas::id::{BucketHash, BucketName, RecordId, Rev};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::pull::PullRequest;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The bucket of a record.
pub fn bucket_of(id: &str) -> u8 {
    Sha256::digest(id)[0]
}

/// The name of a bucket.
pub fn name_of(bucket: u8) -> BucketName {
    BucketName::new(format!("{bucket:02x}")).expect("two digits are a bucket's name")
}

/// The buckets of a feed.
#[derive(Debug, Clone, PartialEq)]
pub struct Buckets(Box<[Hash; 256]>);

impl Default for Buckets {
    fn default() -> Self {
        Self(Box::new([[0; 32]; 256]))
    }
}

impl Buckets {
    /// Takes in a live record: its id, its rev, and the hash of its content.
    pub fn add(&mut self, id: &str, rev: &Rev, content: &Hash) {
        let text = format!("{id}\n{}\n{}", rev.as_str(), hex(content));
        let hash: Hash = Sha256::digest(text).into();
        let bucket = &mut self.0[usize::from(bucket_of(id))];
        bucket.iter_mut().zip(hash).for_each(|(byte, other)| *byte ^= other);
    }

    /// Those that are not all zeros, by name.
    pub fn named(&self) -> BTreeMap<BucketName, BucketHash> {
        let named = |(bucket, hash): (u8, &Hash)| {
            (name_of(bucket), BucketHash::new(hex(hash)).expect("64 digits are a bucket's hash"))
        };
        (0..=255u8).zip(self.0.iter()).filter(|(_, hash)| **hash != [0; 32]).map(named).collect()
    }
}

fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Answers a digest request. A feed with changes after its cursor cannot be compared, and is left out.
pub async fn answer(
    request: DigestRequest,
    ground: Ground<'_>,
    snapshot: &mut dyn Snapshot,
) -> Result<DigestAnswer, PullError> {
    ground.epochs.check(request.epoch.as_ref())?;
    let heads = snapshot.heads().await?;
    let feeds = request.feeds.into_iter().map(|(feed, cursor)| (feed, Some(cursor))).collect();
    let asked = PullRequest { replica: request.replica, epoch: request.epoch, limit: None, feeds };
    let points = pull::points(&asked, ground, &heads, snapshot.is_scoped())?;
    let mut feeds = Vec::new();
    for (entry, feed) in ground.registry.types.iter().flat_map(|entry| pull::feeds_of(entry, &heads)) {
        let Some(Some(from)) = asked.feeds.get(&feed) else { continue };
        let sight = scope::sight(entry, ground.role, snapshot.is_scoped());
        let moved = heads.get(&feed).is_some_and(|head| head.last > points[&feed].place);
        // Where not everything is seen, or records have left, only a row tells whether there is one.
        let is_whole = sight == Sight::Everything && entry.partition.is_none();
        let moved =
            moved && (is_whole || !pull::rows(snapshot, entry, &feed, sight, points[&feed], 1).await?.is_empty());
        if moved {
            continue;
        }
        let buckets = snapshot.digest(&feed, sight).await?.named();
        feeds.push(FeedDigest { feed, from: from.clone(), buckets });
    }
    Ok(DigestAnswer { epoch: ground.epochs.current().clone(), session: ground.session.clone(), feeds })
}

/// Answers a request for a bucket.
pub async fn bucket(
    request: BucketRequest,
    ground: Ground<'_>,
    snapshot: &mut dyn Snapshot,
) -> Result<BucketAnswer, PullError> {
    ground.epochs.check(request.epoch.as_ref())?;
    let is_there = !partition::is_part(&request.feed) || snapshot.heads().await?.contains_key(&request.feed);
    let Some(entry) = partition::entry_of(ground.registry, &request.feed).filter(|_| is_there) else {
        let trouble = Trouble::new(ProblemCode::UnknownFeed, "the registry has no such feed; fetch the session again");
        return Err(trouble.with_feeds(vec![request.feed]).into());
    };
    if request.limit == Some(0) {
        return Err(Trouble::new(ProblemCode::Malformed, "limit must be at least 1").into());
    }
    let limit = request.limit.unwrap_or(u64::MAX).min(u64::from(ground.limits.page_changes));
    let number = u8::from_str_radix(request.bucket.as_str(), 16).expect("a bucket's name is two digits");
    let sight = scope::sight(entry, ground.role, snapshot.is_scoped());
    // One more than is given tells whether there is more.
    let mut found = snapshot.bucket(&request.feed, sight, number, request.after.as_ref(), limit + 1).await?;
    let more = found.len() as u64 > limit;
    found.truncate(limit as usize);
    let records = found.into_iter().map(|json| RawValue::from_string(json.to_string()).expect("the server wrote it"));
    Ok(BucketAnswer {
        epoch: ground.epochs.current().clone(),
        session: ground.session.clone(),
        feed: request.feed,
        bucket: request.bucket,
        records: records.collect(),
        more,
    })
}

/// Whether a record stands in a bucket after an id.
pub fn is_in(bucket: u8, after: Option<&RecordId>, id: &str) -> bool {
    after.is_none_or(|after| id > after.as_str()) && bucket_of(id) == bucket
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::content_hash;
    use fieldsync_schemas::record::Record;

    /// Made by a program in another language, from the chapter alone.
    const VECTOR: &str = include_str!("../../../fixtures/vectors/digest/buckets.json");

    #[derive(serde::Deserialize)]
    struct Vector {
        records: Vec<Record>,
        buckets: BTreeMap<BucketName, BucketHash>,
    }

    #[test]
    fn buckets_are_as_the_chapter_says() {
        let vector: Vector = serde_json::from_str(VECTOR).unwrap();
        let mut buckets = Buckets::default();
        for record in &vector.records {
            let content = content_hash(record.data.as_deref(), &record.attachments);
            buckets.add(record.id.as_str(), &record.rev, &content);
        }
        assert_eq!(buckets.named(), vector.buckets);
    }

    #[test]
    fn what_is_taken_in_twice_is_taken_out() {
        let mut buckets = Buckets::default();
        buckets.add("fever", &"r1".parse().unwrap(), &[7; 32]);
        assert_eq!(buckets.named().len(), 1);
        buckets.add("fever", &"r1".parse().unwrap(), &[7; 32]);
        assert_eq!(buckets, Buckets::default());
    }
}
