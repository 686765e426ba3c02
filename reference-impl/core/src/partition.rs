//! Partitions: a type whose changes are spread over several feeds, by the value of one member.
//!
//! Chapter: partitions. A record is in the feed of its current value, `feed/value`; one without a value that can be the
//! end of a feed's name is in the feed without one. A tombstone has no data, and stays where its record was.

use fieldsync_schemas::id::FeedName;
use fieldsync_schemas::registry::{Registry, TypeEntry};
use serde_json::Value;
use serde_json::value::RawValue;

/// What stands between the name of a type's feed and the value.
const BEFORE_VALUE: char = '/';

/// The feed of a record of this type with these data.
pub fn feed(entry: &TypeEntry, data: Option<&RawValue>) -> FeedName {
    let whole = entry.feed_name();
    let Some(member) = &entry.partition else { return whole };
    let value = data.and_then(|data| crate::data::tree(data).remove(member));
    match value {
        Some(Value::String(value)) => FeedName::new(format!("{whole}{BEFORE_VALUE}{value}")).unwrap_or(whole),
        _ => whole,
    }
}

/// The type of a feed, whether the feed is there or not.
pub fn entry_of<'a>(registry: &'a Registry, feed: &FeedName) -> Option<&'a TypeEntry> {
    registry.types.iter().find(|entry| is_of(entry, feed))
}

/// Whether a feed is one of a type.
pub fn is_of(entry: &TypeEntry, feed: &FeedName) -> bool {
    match feed.as_str().split_once(BEFORE_VALUE) {
        None => entry.is_whole_feed(feed.as_str()),
        Some((whole, _)) => entry.partition.is_some() && entry.is_whole_feed(whole),
    }
}

/// Whether a feed is of one value.
pub fn is_part(feed: &FeedName) -> bool {
    feed.as_str().contains(BEFORE_VALUE)
}

/// The feeds of a type: the one without a value, then those of these feeds that are parts of it, by name.
pub fn feeds_of<'a>(entry: &TypeEntry, there: impl Iterator<Item = &'a FeedName>) -> Vec<FeedName> {
    let mut feeds = vec![entry.feed_name()];
    if entry.partition.is_some() {
        feeds.extend(there.filter(|feed| is_part(feed) && is_of(entry, feed)).cloned());
        feeds[1..].sort();
    }
    feeds
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_that_ends_no_name_is_as_none() {
        let entry = json!({"name": "encounter", "class": "transactional", "partition": "kind", "feed": "meeting",
            "merge": {"policy": "arrival-wins"}});
        let entry: TypeEntry = serde_json::from_value(entry).unwrap();
        let of = |data: Value| feed(&entry, Some(&serde_json::value::to_raw_value(&data).unwrap())).to_string();
        assert_eq!(of(json!({"kind": "anc-1.b:c_D"})), "meeting/anc-1.b:c_D");
        for other in [json!({}), json!({"kind": ""}), json!({"kind": null}), json!({"kind": 7}), json!({"kind": "a b"})]
        {
            assert_eq!(of(other), "meeting");
        }
        assert_eq!(of(json!({"kind": "x".repeat(65)})), "meeting");
        assert_eq!(feed(&entry, None).as_str(), "meeting");
        assert!(is_of(&entry, &"meeting/anc".parse().unwrap()));
        assert!(!is_of(&TypeEntry { partition: None, ..entry }, &"meeting/anc".parse().unwrap()));
    }
}
