//! Faults against the chapter `merge`.

use crate::Mutant;
use crate::seam::effects::around_decide;
use crate::seam::policy::instead_of;
use fieldsync_core::policy::{Contest, Ruling, append_only, arrival_wins, version_wins};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::push::MutationOp;
use fieldsync_schemas::record::Record;
use fieldsync_schemas::registry::MergePolicy::{AppendOnly, ArrivalWins, ServerOnly, VersionWins};
use fieldsync_server::Parts;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "last-arrival-wins",
        "merge.version-wins.higher-version",
        "Whatever arrives last replaces what is there.",
        |parts| instead_of(VersionWins, last_arrival, parts),
    ),
    Mutant::server(
        "first-arrival-wins-a-tie",
        "merge.version-wins.later-time",
        "Of two states with equal versions the one that arrived first stays.",
        |parts| instead_of(VersionWins, first_arrival_of_a_tie, parts),
    ),
    Mutant::server(
        "claimed-time-is-compared",
        "merge.version-wins.clamped-time",
        "The current state is compared by the time that its device claimed, not by the one that is published.",
        current_as_claimed,
    ),
    Mutant::server(
        "exact-tie-stays-as-it-is",
        "merge.version-wins.greater-replica",
        "Of two states with equal versions and times the one that arrived first stays.",
        |parts| instead_of(VersionWins, first_arrival_of_an_exact_tie, parts),
    ),
    Mutant::server(
        "winner-of-a-tie-keeps-its-version",
        "merge.version-wins.tie-counts-on",
        "A state that wins a tie is stored with the version of the one that it replaces.",
        |parts| instead_of(VersionWins, tie_without_counting, parts),
    ),
    Mutant::server(
        "server-counts-versions-itself",
        "merge.version-wins.version-as-pushed",
        "A state that wins is stored with the next version, whatever was pushed.",
        |parts| instead_of(VersionWins, own_count, parts),
    ),
    Mutant::server(
        "equal-content-is-a-new-state",
        "merge.version-wins.equal-content",
        "A change that says what is there already is applied as a new state.",
        |parts| instead_of(VersionWins, equal_content_applied, parts),
    ),
    Mutant::server(
        "higher-version-stays",
        "merge.arrival-wins.last-replaces",
        "Where the last arrival wins, states are ranked by their versions all the same.",
        |parts| instead_of(ArrivalWins, version_wins, parts),
    ),
    Mutant::server(
        "arrival-keeps-its-own-version",
        "merge.arrival-wins.version-counts-on",
        "A state that replaces one of a higher version is stored with the version that was pushed.",
        |parts| instead_of(ArrivalWins, arrival_without_counting, parts),
    ),
    Mutant::server(
        "equal-arrival-is-a-new-state",
        "merge.arrival-wins.equal-content",
        "Where the last arrival wins, a change that says what is there already is applied as a new state.",
        |parts| instead_of(ArrivalWins, equal_arrival_applied, parts),
    ),
    Mutant::server(
        "appended-twice-is-an-error",
        "merge.append-only.same-content",
        "A create of an appended record that exists is rejected, even with the same content.",
        |parts| instead_of(AppendOnly, append_once, parts),
    ),
    Mutant::server(
        "appended-record-can-be-changed",
        "merge.append-only.never-changed",
        "Appended records are merged like any others.",
        |parts| instead_of(AppendOnly, append_or_merge, parts),
    ),
    Mutant::server(
        "reference-data-can-be-pushed",
        "merge.server-only.rejected",
        "Records that only the server writes are merged like any others.",
        |parts| instead_of(ServerOnly, version_wins, parts),
    ),
];

/// Whether two states meet of which neither has seen the other.
fn ties(contest: &Contest) -> bool {
    let equal = |current: &fieldsync_core::policy::Claim| current.version == contest.pushed.version;
    !contest.base_is_current && contest.current.as_ref().is_some_and(equal)
}

fn last_arrival(contest: &Contest) -> Ruling {
    match &contest.current {
        Some(current) => Ruling::Apply(contest.pushed.version.max(current.version.next())),
        None => version_wins(contest),
    }
}

fn first_arrival_of_a_tie(contest: &Contest) -> Ruling {
    match version_wins(contest) {
        Ruling::Apply(_) if ties(contest) => Ruling::Supersede,
        ruling => ruling,
    }
}

fn first_arrival_of_an_exact_tie(contest: &Contest) -> Ruling {
    let same_time = contest.current.as_ref().is_some_and(|current| current.modified_at == contest.pushed.modified_at);
    if same_time { first_arrival_of_a_tie(contest) } else { version_wins(contest) }
}

fn tie_without_counting(contest: &Contest) -> Ruling {
    match version_wins(contest) {
        Ruling::Apply(_) => Ruling::Apply(contest.pushed.version),
        ruling => ruling,
    }
}

fn own_count(contest: &Contest) -> Ruling {
    match (version_wins(contest), &contest.current) {
        (Ruling::Apply(_), Some(current)) => Ruling::Apply(current.version.next()),
        (ruling, _) => ruling,
    }
}

fn equal_content_applied(contest: &Contest) -> Ruling {
    match (version_wins(contest), &contest.current) {
        (Ruling::Duplicate, Some(current)) => Ruling::Apply(current.version.next()),
        (ruling, _) => ruling,
    }
}

fn arrival_without_counting(contest: &Contest) -> Ruling {
    match arrival_wins(contest) {
        Ruling::Apply(_) => Ruling::Apply(contest.pushed.version),
        ruling => ruling,
    }
}

fn equal_arrival_applied(contest: &Contest) -> Ruling {
    match (arrival_wins(contest), &contest.current) {
        (Ruling::Duplicate, Some(current)) => Ruling::Apply(current.version.next()),
        (ruling, _) => ruling,
    }
}

fn append_once(contest: &Contest) -> Ruling {
    match append_only(contest) {
        Ruling::Duplicate => Ruling::Reject(ProblemCode::AppendOnly),
        ruling => ruling,
    }
}

fn append_or_merge(contest: &Contest) -> Ruling {
    if contest.op == MutationOp::Create { append_only(contest) } else { version_wins(contest) }
}

fn current_as_claimed(parts: Parts) -> Parts {
    around_decide(parts, |batch, mut loaded, ground, decide| {
        for state in loaded.states.values_mut() {
            let record: Record = serde_json::from_str(&state.json).expect("the server wrote it");
            state.modified_at = record.claimed_at.unwrap_or(state.modified_at);
        }
        decide(batch, loaded, ground)
    })
}
