//! Which scenarios run, under which profile and in which casting, and which cannot.

use super::Options;
use crate::judge::verdict::binds;
use crate::scenario::Case;
use crate::spec::{Spec, is_of_clients};
use crate::subject::cast::Roles;
use crate::subject::client::Client;
use crate::subject::server::Server;
use fieldsync_schemas::control::{Reach, Verb};
use fieldsync_schemas::event::{Actor, Verdict};
use fieldsync_schemas::id::Capability;
use fieldsync_schemas::registry::Profile;
use std::sync::Arc;

/// Needs an object storage besides a server.
const DIRECT: &str = "attachments-direct";

/// One scenario under one profile, in one casting.
#[derive(Clone)]
pub(super) struct Planned {
    pub(super) case: Case,
    pub(super) profile: Profile,
    pub(super) roles: Roles,
    pub(super) alone: bool,
    pub(super) skip: Option<(Verdict, String)>,
}

/// Which scenarios run under which profiles, and which cannot.
pub(super) fn plan(
    cases: &[&Case],
    spec: &Spec,
    server: &dyn Server,
    client: &dyn Client,
    options: &Options,
) -> Vec<Arc<Planned>> {
    let mut planned = Vec::new();
    for case in cases {
        let scenario = &case.scenario;
        let castings = if options.each_role { Roles::of(case) } else { vec![Roles::All] };
        // A client has its part in every scenario that speaks of devices, whoever's rules it shows.
        let concerns =
            options.each_role || scenario.covers.iter().any(|rule| binds(spec, rule.as_str(), &options.judged));
        if !concerns {
            continue;
        }
        let most = if options.one_profile { 1 } else { usize::MAX };
        for profile in profiles(case, spec, server).into_iter().take(most) {
            let verbs = case.needed_verbs();
            let reaches_server = verbs.iter().any(|verb| server.verbs().get(verb) == Some(&Reach::Server));
            // Where all share one data set, the pages of such a device would be filled by its neighbours.
            let counts_pages = case.scenario.devices.settings().iter().any(|(_, device)| device.page.is_some());
            let alone = reaches_server || (counts_pages && !server.verbs().contains_key(&Verb::NewDataSet));
            for roles in castings.clone() {
                let skip = skip(case, &profile, spec, server, &options.judged)
                    .or_else(|| cannot_play(case, &profile, &roles, client));
                let (case, profile) = ((*case).clone(), profile.clone());
                planned.push(Arc::new(Planned { case, profile, roles, alone, skip }));
            }
        }
    }
    planned
}

/// The profiles under which a scenario runs: the claimed ones among those that it names, or that all its rules belong
/// to. One that is not claimed where none is, so that this is told.
pub(super) fn profiles(case: &Case, spec: &Spec, server: &dyn Server) -> Vec<Profile> {
    let rules: Vec<_> = case.scenario.covers.iter().filter_map(|rule| spec.rule(rule.as_str())).collect();
    let belongs =
        |profile: &&Profile| rules.iter().all(|rule| rule.profiles.is_empty() || rule.profiles.contains(profile));
    let wanted: Vec<Profile> = match case.scenario.profile.named() {
        [] => Profile::KNOWN.iter().filter(belongs).cloned().collect(),
        named => named.to_vec(),
    };
    let claimed = server.profiles();
    let runs: Vec<Profile> = wanted.iter().filter(|profile| claimed.contains(profile)).cloned().collect();
    if runs.is_empty() { wanted.into_iter().take(1).collect() } else { runs }
}

/// Why a scenario cannot run against this server. What the server lacks says nothing against a client.
fn skip(
    case: &Case,
    profile: &Profile,
    spec: &Spec,
    server: &dyn Server,
    judged: &[Actor],
) -> Option<(Verdict, String)> {
    if !server.profiles().contains(profile) {
        return Some((Verdict::Unsupported, format!("the profile {profile} is not claimed")));
    }
    let of_rules = case.scenario.covers.iter().filter_map(|rule| spec.rule(rule.as_str())?.capability.clone());
    let of_rules = of_rules.filter(|capability| !is_of_clients(capability.as_str()));
    for capability in case.scenario.needs.capabilities.iter().cloned().chain(of_rules) {
        if server.capabilities(profile).contains(&capability) {
            continue;
        }
        if judged.contains(&Actor::Server) {
            return Some((Verdict::Unsupported, format!("the capability {capability} is not claimed")));
        }
        let how = if capability.as_str() == DIRECT { "; name an object storage with --object-storage" } else { "" };
        let reason = format!("the server that the client is tried against does not offer {capability}{how}");
        return Some((Verdict::NotTested, reason));
    }
    if let Some(claimed) = case.scenario.needs.unclaimed.iter().find(|one| server.capabilities(profile).contains(one)) {
        return Some((Verdict::Unsupported, format!("the capability {claimed} is claimed")));
    }
    let missing: Vec<String> =
        case.needed_verbs().iter().filter(|verb| !server.verbs().contains_key(verb)).map(ToString::to_string).collect();
    if !missing.is_empty() {
        return Some((Verdict::NotTested, format!("the server offers no control verb {}", missing.join(", "))));
    }
    // What devices put there is seen by nobody.
    let is_direct = |capability: &Capability| capability.as_str() == DIRECT;
    if server.storage().is_none()
        && case.scenario.needs.capabilities.iter().any(is_direct)
        && !case.scenario.devices.settings().is_empty()
    {
        let reason = "the way to the server's object storage is not known; start the server by --serve, with {storage} \
             where it takes the address to sign for, and name the storage with --object-storage";
        return Some((Verdict::NotTested, reason.to_owned()));
    }
    let accounts = server.account_names();
    let missing: Vec<String> = case.accounts().into_iter().filter(|name| !accounts.contains(name)).collect();
    if !missing.is_empty() {
        return Some((
            Verdict::NotTested,
            format!("there is no account {}; name one with --accounts", missing.join(", ")),
        ));
    }
    None
}

/// Why a client has no part in a scenario.
fn cannot_play(case: &Case, profile: &Profile, roles: &Roles, client: &dyn Client) -> Option<(Verdict, String)> {
    if !client.profiles().contains(profile) {
        return Some((Verdict::Unsupported, format!("the client does not claim the profile {profile}")));
    }
    let claimed = client.capabilities();
    let missing = roles.needs(case).into_iter().find(|needed| !claimed.contains(needed))?;
    Some((Verdict::Unsupported, format!("the client does not claim {missing}")))
}
