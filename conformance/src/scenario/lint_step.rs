//! What the form of one step cannot say: exactly one action, exactly one fault with what belongs to it, and names that
//! are known.

use super::error::LoadError;
use super::lint::{Lint, Seen};
use super::yaml::Path;
use fieldsync_schemas::scenario::{
    Action, AnswerChange, Conflicts, DeviceStep, FaultPlace, NetworkStep, RequestStep, ServerStep, SyncStep,
};

/// Looks at one step that is no `together`.
pub(super) fn check(lint: &Lint<'_>, action: &Action, path: &Path, seen: &mut Seen) -> Result<(), LoadError> {
    match action {
        Action::Device(name, step) => {
            let path = path.key(name);
            lint.use_device(name, &path, seen)?;
            device(lint, step, &path, seen)?;
            life(lint, name, step, &path, seen)
        }
        Action::Network(step) => network(lint, step, &path.key("network"), seen),
        Action::Server(step) => server(lint, step, &path.key("server")),
        Action::Release(name) => {
            let path = path.key("release");
            lint.use_device(name, &path, seen)?;
            match seen.held.remove(name) {
                true => Ok(()),
                false => Err(lint.wrong(
                    &path,
                    format!("nothing of `{name}` is held: write `network: {{hold: ..., of: {name}}}` first"),
                )),
            }
        }
        Action::Request(step) => request(lint, step, &path.key("request"), seen),
        Action::Together(_) => Ok(()),
    }
}

/// The names of the members that are set, of those that exclude one another.
fn set<'a>(members: &[(&'a str, bool)]) -> Vec<&'a str> {
    members.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| *name).collect()
}

fn exactly_one(lint: &Lint<'_>, path: &Path, what: &str, members: &[(&str, bool)]) -> Result<(), LoadError> {
    let names = || members.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    match set(members).as_slice() {
        [_] => Ok(()),
        [] => Err(lint.wrong(path, format!("has no {what}: write one of {}", names()))),
        several => Err(lint.wrong(path, format!("has {}: give each {what} a step of its own", several.join(" and ")))),
    }
}

fn device(lint: &Lint<'_>, step: &DeviceStep, path: &Path, seen: &mut Seen) -> Result<(), LoadError> {
    let members = [
        ("create", step.create.is_some()),
        ("edit", step.edit.is_some()),
        ("attach", step.attach.is_some()),
        ("files", step.files.is_some()),
        ("metered", step.metered.is_some()),
        ("delete", step.delete.is_some()),
        ("discard", step.discard.is_some()),
        ("sync", step.sync.is_some()),
        ("reads", step.reads.is_some()),
        ("holds", step.holds.is_some()),
        ("status", step.status.is_some()),
        ("conflicts", step.conflicts.is_some()),
        ("outbox", step.outbox.is_some()),
        ("quarantine", step.quarantine.is_some()),
        ("restart", step.restart.is_some()),
        ("clock", step.clock.is_some()),
        ("log_in", step.log_in.is_some()),
        ("online", step.online.is_some()),
        ("asks", step.asks.is_some()),
        ("clone_of", step.clone_of.is_some()),
        ("damage", step.damage.is_some()),
        ("requests", step.requests.is_some()),
        ("sends_no", step.sends_no.is_some()),
    ];
    exactly_one(lint, path, "action", &members)?;
    let member = path.key(set(&members)[0]);
    if let Some(create) = &step.create {
        if create.named.len() != 1 {
            let message = format!(
                "names {} types: write exactly one `type: name`, and what it says under data",
                create.named.len()
            );
            return Err(lint.wrong(&member, message));
        }
        seen.aliases.extend(create.named.values().flat_map(|alias| create.aliases(alias)));
    }
    if step.restart == Some(false) {
        return Err(lint.wrong(&member, "false does nothing: write true, or take the step out"));
    }
    if let Some(name) = &step.clone_of {
        lint.use_device(name, &member, seen)?;
    }
    for alias in [&step.delete, &step.discard].into_iter().flatten() {
        lint.use_alias(alias, &member, seen)?;
    }
    for alias in step.damage.iter().flat_map(|damage| damage.loses.iter().chain(damage.alters.keys())) {
        lint.use_alias(alias, &member, seen)?;
    }
    let named = step.edit.iter().flat_map(|all| all.keys());
    let named = named.chain(step.attach.iter().flat_map(|all| all.keys()));
    let named = named.chain(step.files.iter().flat_map(|all| all.keys()));
    let named = named.chain(step.reads.iter().flat_map(|all| all.keys()));
    let named = named.chain(step.holds.iter().flat_map(|all| all.keys()));
    let named = named.chain(step.status.iter().flat_map(|all| all.keys()));
    for alias in named.chain(step.quarantine.iter().flat_map(|all| all.keys())) {
        lint.use_alias(alias, &member.key(alias), seen)?;
    }
    if let Some(Conflicts::Entries(entries)) = &step.conflicts {
        for (index, entry) in entries.iter().enumerate() {
            let entry_path = member.index(index);
            lint.use_alias(&entry.record, &entry_path.key("record"), seen)?;
            for (member, name) in [("lost_by", &entry.lost_by), ("kept_by", &entry.kept_by)] {
                if let Some(name) = name {
                    lint.use_device(name, &entry_path.key(member), seen)?;
                }
            }
        }
    }
    let empty = [&step.edit.as_ref().map(|all| all.is_empty()), &step.reads.as_ref().map(|all| all.is_empty())];
    if empty.into_iter().chain([&step.holds.as_ref().map(|all| all.is_empty())]).any(|is_empty| *is_empty == Some(true))
    {
        return Err(lint.wrong(&member, "names no record: name at least one"));
    }
    Ok(())
}

/// A device that is to be killed ends in its next sync, and is started again before any device does anything else: all of
/// them may live in its process.
fn life(lint: &Lint<'_>, name: &str, step: &DeviceStep, path: &Path, seen: &mut Seen) -> Result<(), LoadError> {
    if step.restart.is_some() {
        seen.doomed.remove(name);
        seen.killed.remove(name);
    }
    if let Some(killed) = seen.killed.first()
        && step.restart.is_none()
    {
        let message = format!("`{killed}` was killed: write `{killed}: {{restart: true}}` first");
        return Err(lint.wrong(path, message));
    }
    match &step.sync {
        Some(SyncStep::Ends) if seen.doomed.remove(name) => _ = seen.killed.insert(name.to_owned()),
        Some(SyncStep::Begins | SyncStep::Ends) | None => {}
        Some(_) if seen.doomed.contains(name) => {
            let message = "the process is killed in this sync, so nobody can say how it ended: write `sync: ends`";
            return Err(lint.wrong(&path.key("sync"), message));
        }
        Some(_) => {}
    }
    Ok(())
}

fn network(lint: &Lint<'_>, step: &NetworkStep, path: &Path, seen: &mut Seen) -> Result<(), LoadError> {
    lint.use_device(&step.of, &path.key("of"), seen)?;
    let faults = [
        ("drop", step.drop.is_some()),
        ("kill", step.kill.is_some()),
        ("hold", step.hold.is_some()),
        ("duplicate", step.duplicate.is_some()),
        ("replay", step.replay.is_some()),
        ("answer", step.answer.is_some()),
        ("alter", step.alter.is_some()),
    ];
    exactly_one(lint, path, "fault", &faults)?;
    let places = match (step.drop, step.kill, step.hold) {
        (Some(_), ..) => Some(("drop", "before_send, mid_request, after_answer or mid_answer")),
        (_, Some(_), _) => Some(("kill", "before_send, mid_request, after_answer, mid_answer or answer")),
        (.., Some(_)) => Some(("hold", "request or answer")),
        _ => None,
    };
    let fits = match step.at {
        None => places.is_none(),
        Some(FaultPlace::Request) => step.hold.is_some(),
        Some(FaultPlace::Answer) => step.hold.is_some() || step.kill.is_some(),
        Some(_) => step.drop.is_some() || step.kill.is_some(),
    };
    match places {
        Some((fault, words)) if !fits => {
            return Err(lint.wrong(&path.key("at"), format!("a {fault} is at {words}: write one of them")));
        }
        None if !fits => {
            return Err(lint.wrong(&path.key("at"), "only a drop, a kill or a hold has a place: take `at` out"));
        }
        _ => {}
    }
    if step.bytes.is_some() && !matches!(step.at, Some(FaultPlace::MidAnswer | FaultPlace::MidRequest)) {
        return Err(lint.wrong(
            &path.key("bytes"),
            "bytes are counted at mid_answer or mid_request: write one of them, or take `bytes` out",
        ));
    }
    if step.delay_ms.is_some() && (step.kill.is_none() || step.at != Some(FaultPlace::Answer)) {
        return Err(lint.wrong(&path.key("delay_ms"), "only a kill at answer can be late: write that, or take it out"));
    }
    if step.kill.is_some() && step.times.is_some() {
        return Err(lint.wrong(&path.key("times"), "a process ends once: take it out"));
    }
    match &step.reply {
        Some(_) if step.answer.is_none() => {
            return Err(lint.wrong(&path.key("reply"), "only `answer` has a reply: take it out"));
        }
        Some(reply) if reply.json.is_some() && reply.text.is_some() => {
            return Err(lint.wrong(&path.key("reply"), "has json and text: an answer has one body"));
        }
        None if step.answer.is_some() => {
            return Err(lint.wrong(path, "an `answer` needs what to answer: add `reply: {status: 503}` or the like"));
        }
        _ => {}
    }
    match &step.change {
        Some(_) if step.alter.is_none() => {
            return Err(lint.wrong(&path.key("change"), "only `alter` has a change: take it out"));
        }
        Some(change) if *change == AnswerChange::default() => {
            return Err(lint.wrong(&path.key("change"), "changes nothing: write what to change"));
        }
        None if step.alter.is_some() => {
            return Err(
                lint.wrong(path, "an `alter` needs what to change: add `change: {set: {/token: x}}` or the like")
            );
        }
        _ => {}
    }
    if step.times == Some(0) {
        return Err(lint.wrong(&path.key("times"), "0 times strikes nothing: write 1 or more, or take it out"));
    }
    if let Some(alias) = &step.about {
        lint.use_alias(alias, &path.key("about"), seen)?;
    }
    if step.kill.is_some() && (seen.killed.contains(&step.of) || !seen.doomed.insert(step.of.clone())) {
        let message = format!("`{}` is killed already: let its sync end, and restart it first", step.of);
        return Err(lint.wrong(&path.key("kill"), message));
    }
    if step.hold.is_some() {
        seen.held.insert(step.of.clone());
    }
    Ok(())
}

fn server(lint: &Lint<'_>, step: &ServerStep, path: &Path) -> Result<(), LoadError> {
    let members = [
        ("kill", step.kill.is_some()),
        ("clock", step.clock.is_some()),
        ("horizon", step.horizon.is_some()),
        ("hold_commit", step.hold_commit.is_some()),
        ("release_commit", step.release_commit.is_some()),
        ("scope", step.scope.is_some()),
        ("reference", step.reference.is_some()),
        ("refetch", step.refetch.is_some()),
        ("backup", step.backup.is_some()),
        ("restore", step.restore.is_some()),
        ("wipe", step.wipe.is_some()),
    ];
    exactly_one(lint, path, "action", &members)?;
    let of_words =
        [step.kill, step.horizon, step.hold_commit, step.release_commit, step.backup, step.restore, step.wipe];
    if of_words.contains(&Some(false)) {
        return Err(lint.wrong(&path.key(set(&members)[0]), "false does nothing: write true, or take the step out"));
    }
    if step.scope.as_ref().is_some_and(|scopes| scopes.contains_key("worker")) {
        let message = "worker sees everything: the oracle reads by it; give the scope to another account";
        return Err(lint.wrong(&path.key("scope"), message));
    }
    Ok(())
}

fn request(lint: &Lint<'_>, step: &RequestStep, path: &Path, seen: &mut Seen) -> Result<(), LoadError> {
    let bodies = set(&[
        ("body", step.body.is_some()),
        ("text", step.text.is_some()),
        ("oversized_by", step.oversized_by.is_some()),
    ]);
    if bodies.len() > 1 && bodies != ["body", "oversized_by"] {
        return Err(lint.wrong(&path.key(bodies[1]), format!("the request has {} already: it has one body", bodies[0])));
    }
    if !step.path.is_empty() && !step.path.starts_with('/') {
        return Err(
            lint.wrong(&path.key("path"), "a path below the base URL starts with /: write it so, or leave it empty")
        );
    }
    if step.expect.status.is_some_and(|status| !(100..=599).contains(&status)) {
        return Err(lint.wrong(&path.key("expect").key("status"), "an HTTP status is between 100 and 599: write one"));
    }
    // A variable of a raw request is an id made up at its first use: from here on a device may speak of that record.
    let written = serde_json::to_string(step).unwrap_or_default();
    let variables =
        written.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name.to_owned());
    seen.aliases.extend(variables);
    seen.aliases.extend(step.save.keys().cloned());
    Ok(())
}
