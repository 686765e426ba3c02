//! Epochs: the identity of a data set's data, new after a restore and after a wipe.
//!
//! Chapter: epoch. The history is part of the data: a backup has the one that it was made under, so that a restore
//! undoes the wipes that came after it.

use crate::problem::Trouble;
use fieldsync_schemas::id::Epoch;
use fieldsync_schemas::problem::{EpochCause, ProblemCode};

/// How one epoch began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The epoch.
    pub epoch: Epoch,
    /// Why it came after another; none for the first.
    pub cause: Option<EpochCause>,
}

/// The epochs of a data set, the first one in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epochs {
    before: Vec<Begun>,
    current: Begun,
}

impl Epochs {
    /// A new data set.
    pub fn first(epoch: Epoch) -> Self {
        Self { before: Vec::new(), current: Begun { epoch, cause: None } }
    }

    /// From what was stored, in order; none where nothing was.
    pub fn restore(mut begun: Vec<Begun>) -> Option<Self> {
        let current = begun.pop()?;
        Some(Self { before: begun, current })
    }

    /// The same data set in a new epoch.
    pub fn then(mut self, epoch: Epoch, cause: EpochCause) -> Self {
        self.before.push(std::mem::replace(&mut self.current, Begun { epoch, cause: Some(cause) }));
        self
    }

    /// The present epoch.
    pub fn current(&self) -> &Epoch {
        &self.current.epoch
    }

    /// All of them, in order.
    pub fn all(&self) -> impl Iterator<Item = &Begun> {
        self.before.iter().chain([&self.current])
    }

    /// Refuses a request that names another epoch than the present one. One that names none takes what is there.
    pub fn check(&self, named: Option<&Epoch>) -> Result<(), Trouble> {
        let Some(named) = named.filter(|named| *named != self.current()) else { return Ok(()) };
        let cause = self.cause_since(named);
        let (what, then) = match cause {
            EpochCause::Wiped => ("was emptied on purpose", "push what was never acknowledged"),
            _ => ("was restored from a backup", "push again what you keep, then what was never acknowledged"),
        };
        let detail = format!("the data {what} since the epoch {named}; {then}, and pull every feed from null");
        Err(Trouble::new(ProblemCode::EpochMismatch, detail).with_epoch(self.current().clone(), cause))
    }

    /// A wipe since then counts, whatever came after it. An epoch that is not in the history was given up by a restore.
    fn cause_since(&self, named: &Epoch) -> EpochCause {
        let causes: Vec<&EpochCause> = match self.before.iter().position(|begun| begun.epoch == *named) {
            Some(place) => self.all().skip(place + 1).filter_map(|begun| begun.cause.as_ref()).collect(),
            None => self.current.cause.iter().collect(),
        };
        if causes.contains(&&EpochCause::Wiped) { EpochCause::Wiped } else { EpochCause::Restored }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(name: &str) -> Epoch {
        name.parse().unwrap()
    }

    fn cause(epochs: &Epochs, named: &str) -> Option<EpochCause> {
        epochs.check(Some(&epoch(named))).err()?.epoch.map(|(_, cause)| cause)
    }

    #[test]
    fn a_wipe_counts_for_everybody_who_was_there_before_it() {
        let first = Epochs::first(epoch("e1"));
        assert_eq!(first.check(None), Ok(()));
        assert_eq!(cause(&first, "e1"), None);
        let epochs = first.then(epoch("e2"), EpochCause::Wiped).then(epoch("e3"), EpochCause::Restored);
        assert_eq!(cause(&epochs, "e1"), Some(EpochCause::Wiped));
        assert_eq!(cause(&epochs, "e2"), Some(EpochCause::Restored));
        assert_eq!(cause(&epochs, "e3"), None);
        assert_eq!(cause(&epochs, "given up by the restore"), Some(EpochCause::Restored));
        let wiped = epochs.then(epoch("e4"), EpochCause::Wiped);
        assert_eq!(cause(&wiped, "given up by the restore"), Some(EpochCause::Wiped));
    }
}
