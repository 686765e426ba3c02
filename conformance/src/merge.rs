//! The shards of a run, put together again: as if it had never been split.

use crate::report::jsonl::FORMAT;
use crate::report::{IncompleteStream, Run};
use crate::run::footer;
use crate::spec::Spec;
use fieldsync_schemas::event::{BaselineUse, Blocked, Cleanup, Event, Footer, Header, Shard};
use std::collections::{BTreeMap, BTreeSet};

/// One shard's run.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Its name for people: its file.
    pub name: &'a str,
    /// Its events.
    pub events: &'a [Event],
}

/// Why runs are not the shards of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// There are none.
    #[error("there is nothing to merge")]
    Nothing,
    /// A file is not a whole run.
    #[error("{name}: {source}")]
    Incomplete {
        /// The file.
        name: String,
        /// What is missing.
        source: IncompleteStream,
    },
    /// A run was not split.
    #[error("{0} is no shard: `fieldsync check --shard 1/4 --jsonl FILE` makes one")]
    NoShard(String),
    /// Runs were split in different ways.
    #[error("{first} is one of {of} shards and {second} one of {other}: they are of two runs")]
    Split {
        /// A file.
        first: String,
        /// Its number of shards.
        of: u32,
        /// Another.
        second: String,
        /// Its number of shards.
        other: u32,
    },
    /// A shard is there twice.
    #[error("{first} and {second} are both shard {index}/{of}: give each once")]
    Twice {
        /// A file.
        first: String,
        /// Another.
        second: String,
        /// Which shard.
        index: u32,
        /// Of how many.
        of: u32,
    },
    /// Shards are missing.
    #[error("of {of} shards {} missing: {}", if .missing.len() == 1 { "one is" } else { "some are" }, listed(.missing, *.of))]
    Missing {
        /// Which.
        missing: Vec<u32>,
        /// Of how many.
        of: u32,
    },
    /// Something is not the same in all.
    #[error("{first} and {second} are not of one run: {what} of the one is {one}, of the other {other}")]
    Other {
        /// A file.
        first: String,
        /// Another.
        second: String,
        /// What is not the same.
        what: &'static str,
        /// In the first.
        one: String,
        /// In the second.
        other: String,
    },
}

fn listed(missing: &[u32], of: u32) -> String {
    missing.iter().map(|index| format!("{index}/{of}")).collect::<Vec<_>>().join(", ")
}

/// Puts the shards of a run together.
pub fn merge(parts: &[Part<'_>], spec: &Spec) -> Result<Vec<Event>, MergeError> {
    let read = |part: &Part<'_>| {
        Run::of(part.events).map_err(|source| MergeError::Incomplete { name: part.name.to_owned(), source }).map(|_| ())
    };
    parts.iter().try_for_each(read)?;
    let runs: Vec<Run<'_>> = parts.iter().filter_map(|part| Run::of(part.events).ok()).collect();
    check_shards(parts, &runs)?;
    check_headers(parts, &runs)?;
    // One that was blocked does not know what its subject claims.
    let Some(first) = runs.iter().find(|run| run.blocked.is_none()).or(runs.first()) else {
        return Err(MergeError::Nothing);
    };
    let header = Header {
        format: FORMAT,
        shard: None,
        selected: runs.iter().map(|run| run.header.selected).sum(),
        ..first.header.clone()
    };
    let blocked: Option<&Blocked> = runs.iter().find_map(|run| run.blocked);
    let mut scenarios: Vec<_> = runs.iter().flat_map(|run| run.scenarios.iter().copied()).collect();
    scenarios.sort_by_cached_key(|ended| ended.key());
    let millis = runs.iter().map(|run| run.footer.millis).sum();
    let counted = footer(scenarios.iter().copied(), spec, &header.subject.judged, millis);
    let is_conformant = counted.conformant && blocked.is_none();
    let used: BTreeSet<u32> = scenarios.iter().filter_map(|ended| Some(ended.known.as_ref()?.line)).collect();
    let footer = Footer {
        conformant: is_conformant,
        cleanup: cleanup(&runs),
        baseline: baseline(&runs, used.len() as u64),
        ..counted
    };
    let mut events = vec![Event::Header(header)];
    events.extend(blocked.cloned().map(Event::Blocked));
    events.extend(scenarios.into_iter().map(|ended| Event::Scenario(Box::new(ended.clone()))));
    events.push(Event::Footer(footer));
    Ok(events)
}

fn check_shards(parts: &[Part<'_>], runs: &[Run<'_>]) -> Result<(), MergeError> {
    let mut seen: BTreeMap<u32, &str> = BTreeMap::new();
    let mut split: Option<(&str, Shard)> = None;
    for (part, run) in parts.iter().zip(runs) {
        let shard = run.header.shard.ok_or_else(|| MergeError::NoShard(part.name.to_owned()))?;
        let (first, of) = *split.get_or_insert((part.name, shard));
        if of.of != shard.of {
            let (first, second) = (first.to_owned(), part.name.to_owned());
            return Err(MergeError::Split { first, of: of.of, second, other: shard.of });
        }
        if let Some(first) = seen.insert(shard.index, part.name) {
            let (first, second) = (first.to_owned(), part.name.to_owned());
            return Err(MergeError::Twice { first, second, index: shard.index, of: shard.of });
        }
    }
    let (_, Shard { of, .. }) = split.ok_or(MergeError::Nothing)?;
    let missing: Vec<u32> = (1..=of).filter(|index| !seen.contains_key(index)).collect();
    if missing.is_empty() { Ok(()) } else { Err(MergeError::Missing { missing, of }) }
}

/// All shards are of one suite and one subject.
fn check_headers(parts: &[Part<'_>], runs: &[Run<'_>]) -> Result<(), MergeError> {
    let all = || parts.iter().zip(runs);
    let Some((first, one)) = all().next() else { return Ok(()) };
    for (part, run) in all() {
        differ((first, one), (part, run), &facts(one.header), &facts(run.header))?;
    }
    let mut claiming = all().filter(|(_, run)| run.blocked.is_none());
    let Some((first, one)) = claiming.next() else { return Ok(()) };
    for (part, run) in claiming {
        differ((first, one), (part, run), &claims(one.header), &claims(run.header))?;
    }
    Ok(())
}

type Facts = Vec<(&'static str, String)>;

fn differ(
    (first, _): (&Part<'_>, &Run<'_>),
    (second, _): (&Part<'_>, &Run<'_>),
    one: &Facts,
    other: &Facts,
) -> Result<(), MergeError> {
    match one.iter().zip(other).find(|(one, other)| one != other) {
        None => Ok(()),
        Some(((what, one), (_, other))) => Err(MergeError::Other {
            first: first.name.to_owned(),
            second: second.name.to_owned(),
            what,
            one: one.clone(),
            other: other.clone(),
        }),
    }
}

fn facts(header: &Header) -> Facts {
    vec![
        ("the suite", header.suite.clone()),
        ("the protocol", header.protocol.clone()),
        ("the seed", header.seed.to_string()),
        ("the subject", header.subject.name.clone()),
        ("the client", header.subject.client.clone().unwrap_or_else(|| "none".to_owned())),
        ("the judged side", format!("{:?}", header.subject.judged)),
        ("the selection of scenarios", header.selection.clone()),
        ("--require-all", header.require_all.to_string()),
    ]
}

fn claims(header: &Header) -> Facts {
    let listed = |all: &[String]| if all.is_empty() { "none".to_owned() } else { all.join(", ") };
    let profiles: Vec<String> = header.subject.profiles.iter().map(ToString::to_string).collect();
    vec![
        ("what is claimed of profiles", listed(&profiles)),
        ("what is claimed of capabilities", listed(&header.subject.capabilities)),
        ("what is offered of control verbs", listed(&header.subject.control)),
    ]
}

fn cleanup(runs: &[Run<'_>]) -> Option<Cleanup> {
    let all: Vec<&Cleanup> = runs.iter().filter_map(|run| run.footer.cleanup.as_ref()).collect();
    let mut merged = Cleanup::default();
    for one in &all {
        merged.deleted += one.deleted;
        for (reason, count) in &one.left {
            *merged.left.entry(reason.clone()).or_default() += count;
        }
    }
    (!all.is_empty()).then_some(merged)
}

/// What the shards said of a baseline: each problem once.
fn baseline(runs: &[Run<'_>], used: u64) -> Option<BaselineUse> {
    let all: Vec<&BaselineUse> = runs.iter().filter_map(|run| run.footer.baseline.as_ref()).collect();
    let mut problems: Vec<_> = all.iter().flat_map(|one| one.problems.iter().cloned()).collect();
    problems.sort_by(|a, b| (a.line, &a.problem).cmp(&(b.line, &b.problem)));
    problems.dedup();
    all.first().map(|first| BaselineUse { file: first.file.clone(), used, problems })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test_runs as runs;
    use crate::report::verdict::{ExitStatus, judge};
    use fieldsync_schemas::event::Verdict;

    fn shard(index: u32, of: u32, mut events: Vec<Event>) -> Vec<Event> {
        runs::header(&mut events).shard = Some(Shard { index, of });
        events
    }

    fn merged(parts: &[(&str, &[Event])]) -> Result<Vec<Event>, String> {
        let parts: Vec<Part<'_>> = parts.iter().map(|(name, events)| Part { name, events }).collect();
        merge(&parts, &runs::spec()).map_err(|error| error.to_string())
    }

    #[test]
    fn shards_come_together_as_one_run() {
        let one = shard(1, 2, runs::of(vec![runs::passed("push/b"), runs::failed("push/d")]));
        let two = shard(2, 2, runs::of(vec![runs::passed("push/c"), runs::passed("push/a")]));
        let events = merged(&[("two", &two), ("one", &one)]).unwrap();
        let run = Run::of(&events).unwrap();
        assert_eq!(
            run.scenarios.iter().map(|one| &*one.id).collect::<Vec<_>>(),
            ["push/a", "push/b", "push/c", "push/d"]
        );
        assert_eq!((run.header.shard, run.header.selected), (None, 4));
        assert_eq!((run.footer.verdicts.get("pass"), run.footer.verdicts.get("fail")), (Some(&3), Some(&1)));
        assert_eq!(judge(&run, &runs::spec()).status, ExitStatus::NotConformant);
    }

    #[test]
    fn a_claim_that_no_shard_shows_is_empty() {
        let skipped = runs::covering(
            "session/roles",
            "session.roles.kept",
            runs::skipped("", Verdict::Unsupported, "not offered"),
        );
        let one = shard(1, 2, runs::of(vec![skipped]));
        let two = shard(2, 2, runs::of(vec![runs::passed("push/a")]));
        let events = merged(&[("one", &one), ("two", &two)]).unwrap();
        assert_eq!(judge(&Run::of(&events).unwrap(), &runs::spec()).empty_claims, ["roles"]);
    }

    #[test]
    fn what_is_not_of_one_run_is_refused() {
        let one = shard(1, 3, runs::passing());
        let two = shard(2, 3, runs::passing());
        let refused = |other: &[Event]| merged(&[("a", &one), ("b", other)]).unwrap_err();
        assert_eq!(refused(&two), "of 3 shards one is missing: 3/3");
        assert_eq!(refused(&one), "a and b are both shard 1/3: give each once");
        assert_eq!(refused(&shard(2, 4, runs::passing())), "a is one of 3 shards and b one of 4: they are of two runs");
        assert_eq!(refused(&runs::passing()), "b is no shard: `fieldsync check --shard 1/4 --jsonl FILE` makes one");
        let mut other = shard(2, 2, runs::passing());
        let one = shard(1, 2, runs::passing());
        runs::header(&mut other).seed = 8;
        assert_eq!(
            merged(&[("a", &one), ("b", &other)]).unwrap_err(),
            "a and b are not of one run: the seed of the one is 7, of the other 8"
        );
    }

    #[test]
    fn a_shard_that_was_blocked_blocks_the_run() {
        let one = shard(1, 2, runs::passing());
        let mut two = shard(2, 2, runs::blocked(true));
        runs::header(&mut two).subject.capabilities.clear();
        let events = merged(&[("b", &two), ("a", &one)]).unwrap();
        let run = Run::of(&events).unwrap();
        assert_eq!(judge(&run, &runs::spec()).status, ExitStatus::NothingRan);
        assert_eq!(run.header.subject.capabilities, ["roles"]);
    }
}
