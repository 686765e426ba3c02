//! Faults against the chapter `deletes`.

use crate::Mutant;
use crate::seam::effects::around_pull;
use crate::seam::policy::instead_of;
use fieldsync_core::policy::{Contest, Ruling, arrival_wins, version_wins};
use fieldsync_schemas::push::MutationOp;
use fieldsync_schemas::registry::DeleteRule;
use fieldsync_schemas::registry::MergePolicy::{ArrivalWins, VersionWins};
use fieldsync_server::Parts;
use serde_json::{Value, json};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "tombstone-is-an-empty-record",
        "deletes.tombstone.published",
        "A deleted record is published as one whose data is empty.",
        tombstones_as_puts,
    ),
    Mutant::server(
        "delete-always-wins",
        "deletes.rank.delete-on-old-base",
        "A delete is applied whatever it was made on.",
        |parts| instead_of(VersionWins, every_delete, parts),
    ),
    Mutant::server(
        "deleted-stays-deleted",
        "deletes.rank.edit-of-deleted",
        "An update that has not seen the delete is superseded, however high its version is.",
        |parts| instead_of(VersionWins, no_edit_of_deleted, parts),
    ),
    Mutant::server(
        "late-edit-brings-back",
        "deletes.delete-wins.stays-deleted",
        "Where the last arrival wins, an edit that arrives after a delete brings the record back.",
        |parts| instead_of(ArrivalWins, last_of_delete_and_edit, parts),
    ),
    Mutant::server(
        "delete-gives-way",
        "deletes.delete-wins.delete-applies",
        "Where the last arrival wins, a delete of what was edited meanwhile is superseded.",
        |parts| instead_of(ArrivalWins, |contest| deletes_as(DeleteRule::EditWins, contest), parts),
    ),
    Mutant::server(
        "edit-gives-way",
        "deletes.edit-wins.edit-applies",
        "An edit that has not seen the delete is superseded, whatever the type says.",
        |parts| instead_of(ArrivalWins, |contest| deletes_as(DeleteRule::DeleteWins, contest), parts),
    ),
    Mutant::server(
        "late-delete-removes",
        "deletes.edit-wins.delete-loses",
        "Where the last arrival wins, a delete that arrives last is applied, whatever the type says.",
        |parts| instead_of(ArrivalWins, last_of_delete_and_edit, parts),
    ),
    Mutant::server(
        "id-is-used-up-by-a-delete",
        "deletes.create.on-the-tombstone",
        "A create over a tombstone is superseded, even where it names the tombstone.",
        |parts| instead_of(VersionWins, no_create_over_deleted, parts),
    ),
    Mutant::server(
        "create-brings-back-unseen",
        "deletes.create.needs-the-rev",
        "A create over a tombstone is ranked like an update, so a high version brings the record back.",
        |parts| instead_of(VersionWins, create_as_update, parts),
    ),
];

fn meets_tombstone(contest: &Contest) -> bool {
    contest.current.as_ref().is_some_and(|current| current.deleted)
}

fn every_delete(contest: &Contest) -> Ruling {
    match &contest.current {
        Some(current) if contest.op == MutationOp::Delete => {
            Ruling::Apply(contest.pushed.version.max(current.version.next()))
        }
        _ => version_wins(contest),
    }
}

fn deletes_as(deletes: DeleteRule, contest: &Contest) -> Ruling {
    arrival_wins(&Contest { deletes, ..contest.clone() })
}

fn last_of_delete_and_edit(contest: &Contest) -> Ruling {
    let deletes = match contest.op {
        MutationOp::Delete => DeleteRule::DeleteWins,
        _ => DeleteRule::EditWins,
    };
    deletes_as(deletes, contest)
}

fn no_edit_of_deleted(contest: &Contest) -> Ruling {
    if contest.op == MutationOp::Update && meets_tombstone(contest) { Ruling::Supersede } else { version_wins(contest) }
}

fn no_create_over_deleted(contest: &Contest) -> Ruling {
    if contest.op == MutationOp::Create && meets_tombstone(contest) { Ruling::Supersede } else { version_wins(contest) }
}

fn create_as_update(contest: &Contest) -> Ruling {
    let op = if contest.op == MutationOp::Create { MutationOp::Update } else { contest.op.clone() };
    version_wins(&Contest { op, ..contest.clone() })
}

fn tombstones_as_puts(parts: Parts) -> Parts {
    around_pull(
        parts,
        |_| {},
        |_, answer| {
            let pages = answer["feeds"].as_array_mut().expect("an answer has feeds").iter_mut();
            let changes = pages.flat_map(|page| page["changes"].as_array_mut().into_iter().flatten());
            for change in changes.filter(|change| change["op"] == "tombstone") {
                change["op"] = json!("put");
                change["record"]["data"] = json!({});
                change["record"]["deleted"] = Value::Bool(false);
            }
        },
    )
}
