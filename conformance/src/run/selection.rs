//! What of the suite is run: a name for a selection, and its parts.
//!
//! Which part a scenario belongs to is decided by its file alone, so that every machine decides alike. Files go to the
//! parts in turn: a chapter is spread over all of them.

use fieldsync_schemas::event::Shard;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The SHA-256 of these ids, sorted, each with a line feed.
pub fn digest<'a>(ids: impl IntoIterator<Item = &'a str>) -> String {
    let ids: BTreeSet<&str> = ids.into_iter().collect();
    let mut hash = Sha256::new();
    for id in ids {
        hash.update(id.as_bytes());
        hash.update(b"\n");
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The shard of this name, such as `1/4`.
pub fn shard(text: &str) -> Result<Shard, String> {
    let parts = text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
    match parts {
        Some((index, of)) if index >= 1 && index <= of => Ok(Shard { index, of }),
        _ => Err("a shard is one of several, such as 1/4 to 4/4".to_owned()),
    }
}

/// The files that belong to a shard.
pub fn part<'a>(files: impl IntoIterator<Item = &'a str>, shard: Shard) -> BTreeSet<&'a str> {
    let files: BTreeSet<&str> = files.into_iter().collect();
    let of = shard.of.max(1) as usize;
    let own = (shard.index as usize).saturating_sub(1);
    files.into_iter().enumerate().filter(|(place, _)| place % of == own).map(|(_, file)| file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_in_one_shard_whatever_the_order() {
        let files = ["push/b", "pull/a", "push/a", "push/c", "push/a"];
        let shards: Vec<Vec<&str>> =
            (1..=3).map(|index| part(files, Shard { index, of: 3 }).into_iter().collect()).collect();
        assert_eq!(shards, [vec!["pull/a", "push/c"], vec!["push/a"], vec!["push/b"]]);
        assert!(part(files, Shard { index: 9, of: 9 }).is_empty());
    }

    #[test]
    fn a_selection_has_one_name() {
        assert_eq!(digest(["b", "a"]), digest(["a", "b", "a"]));
        assert_ne!(digest(["a", "b"]), digest(["ab"]));
    }
}
