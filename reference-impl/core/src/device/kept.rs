//! What the device keeps of acknowledged mutations until a backup has them, in the order in which it kept them.
//!
//! Chapter: epoch. Where nothing is backed up it grows with all that was ever pushed, so what is asked of it with every
//! batch or every record that comes is looked up, not searched for.

use super::store::Kept;
use fieldsync_schemas::pull::RecordRef;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The kept mutations of a device, by number.
#[derive(Debug, Clone, Default)]
pub struct KeptLog {
    all: BTreeMap<u64, Kept>,
    /// Those whose place among the batches is not known.
    unplaced: BTreeSet<u64>,
    /// Those that wait for their record, by it.
    awaiting: HashMap<RecordRef, BTreeSet<u64>>,
}

impl KeptLog {
    /// From what was stored, in any order.
    pub fn restore(kept: Vec<Kept>) -> Self {
        let mut log = Self::default();
        kept.into_iter().for_each(|one| log.put(one));
        log
    }

    /// A number after all others.
    pub fn next_number(&self) -> u64 {
        self.all.last_key_value().map_or(1, |(last, _)| last + 1)
    }

    /// Puts one in its place, over the one that is there.
    pub fn put(&mut self, kept: Kept) {
        self.remove(kept.number);
        if kept.awaits_record {
            self.awaiting.entry(kept.entry.record()).or_default().insert(kept.number);
        } else if kept.accepted_seq.is_none() {
            self.unplaced.insert(kept.number);
        }
        self.all.insert(kept.number, kept);
    }

    /// Takes one out.
    pub fn remove(&mut self, number: u64) {
        let Some(kept) = self.all.remove(&number) else { return };
        self.unplaced.remove(&number);
        let record = kept.entry.record();
        if let Some(numbers) = self.awaiting.get_mut(&record) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.awaiting.remove(&record);
            }
        }
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.all.values()
    }

    /// Those whose place among the batches is not known.
    pub fn unplaced(&self) -> impl Iterator<Item = &Kept> {
        self.unplaced.iter().filter_map(|number| self.all.get(number))
    }

    /// The first of those that wait for this record.
    pub fn awaiting(&self, record: &RecordRef) -> Option<&Kept> {
        self.all.get(self.awaiting.get(record)?.first()?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::outbox::{Entry, Progress};
    use super::*;
    use fieldsync_schemas::push::Mutation;
    use serde_json::json;

    fn kept(number: u64, accepted_seq: Option<u64>, awaits_record: bool) -> Kept {
        let mutation = json!({"mutation_id": format!("m{number}"), "op": "delete", "type": "observation", "id": "x"});
        let mutation: Mutation = serde_json::from_str(&mutation.to_string()).unwrap();
        let entry = Entry { place: number, progress: Progress::Unknown, mutation: mutation.into(), snapshot: None };
        Kept { number, accepted_seq, awaits_record, entry }
    }

    #[test]
    fn what_it_looks_up_follows_what_is_put_and_taken() {
        let record = kept(1, None, true).entry.record();
        let found = |log: &KeptLog| {
            let unplaced: Vec<u64> = log.unplaced().map(|kept| kept.number).collect();
            (unplaced, log.awaiting(&record).map(|kept| kept.number), log.iter().count())
        };
        let mut log = KeptLog::restore(vec![
            kept(4, None, true),
            kept(3, None, true),
            kept(2, None, false),
            kept(1, Some(7), false),
        ]);
        assert_eq!(found(&log), (vec![2], Some(3), 4));
        log.put(kept(2, Some(8), false));
        assert_eq!(found(&log), (vec![], Some(3), 4), "its place is known now");
        log.remove(3);
        assert_eq!(found(&log), (vec![], Some(4), 3), "another one waits for the same record");
        log.remove(4);
        log.remove(9);
        assert_eq!(found(&log), (vec![], None, 2));
        assert_eq!(log.next_number(), 3);
    }
}
