//! Who plays which device of a scenario: the client under test, or the reference.

use crate::scenario::{Case, each_step};
use crate::subject::device::{Device, DeviceError, DeviceSetup, Devices};
use crate::subject::reference::ReferenceDevices;
use async_trait::async_trait;
use fieldsync_schemas::adapter::AdapterCapability;
use fieldsync_schemas::scenario::{Action, SyncStep};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The devices that the client under test plays; the reference plays the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roles {
    /// All of them.
    All,
    /// This one.
    One(String),
}

impl Roles {
    /// Every way to cast a scenario: each device alone, then all of them. One that copies another is never played by
    /// somebody else than that one, because stores differ.
    pub fn of(case: &Case) -> Vec<Roles> {
        let names: Vec<String> = case.scenario.devices.settings().into_iter().map(|(name, _)| name).collect();
        let mut copies = BTreeSet::new();
        each_step(&case.scenario.steps, &mut |step| {
            if let Action::Device(name, what) = &step.action
                && let Some(other) = &what.clone_of
            {
                copies.extend([name.clone(), other.clone()]);
            }
        });
        let mut roles = Vec::new();
        if names.len() > 1 {
            roles.extend(names.iter().filter(|name| !copies.contains(*name)).cloned().map(Roles::One));
        }
        if !names.is_empty() {
            roles.push(Roles::All);
        }
        roles
    }

    /// Whether the client plays this device.
    pub fn plays(&self, device: &str) -> bool {
        match self {
            Roles::All => true,
            Roles::One(name) => name == device,
        }
    }

    /// As it stands in a report.
    pub fn as_str(&self) -> &str {
        match self {
            Roles::All => "all",
            Roles::One(name) => name,
        }
    }

    /// What a client must claim to play these roles.
    pub fn needs(&self, case: &Case) -> BTreeSet<AdapterCapability> {
        let mut needs = BTreeSet::new();
        for known in [
            AdapterCapability::AttachmentsProxied,
            AdapterCapability::AttachmentsDirect,
            AdapterCapability::Link,
            AdapterCapability::Partitions,
        ] {
            if case.scenario.needs.capabilities.iter().any(|capability| capability.as_str() == known.as_str()) {
                needs.insert(known);
            }
        }
        for (name, settings) in case.scenario.devices.settings() {
            if self.plays(&name) && settings.password {
                needs.insert(AdapterCapability::PasswordLogin);
            }
            if self.plays(&name) && settings.triggers.is_some() {
                needs.insert(AdapterCapability::Triggers);
            }
            if self.plays(&name) && settings.telemetry {
                needs.insert(AdapterCapability::Telemetry);
            }
        }
        each_step(&case.scenario.steps, &mut |step| {
            if let Action::Server(server) = &step.action
                && server.refetch.is_some()
            {
                needs.insert(AdapterCapability::Refetch);
            }
        });
        let mut syncing: BTreeSet<&str> = BTreeSet::new();
        for step in &case.scenario.steps {
            let Action::Device(name, what) = &step.action else { continue };
            if what.damage.is_some() && self.plays(name) {
                needs.insert(AdapterCapability::Digest);
            }
            if self.plays(name) && what.create.as_ref().is_some_and(|create| create.group.is_some()) {
                needs.insert(AdapterCapability::Groups);
            }
            match &what.sync {
                Some(SyncStep::Begins) => _ = syncing.insert(name),
                Some(_) => _ = syncing.remove(name.as_str()),
                // What is seen on the wire is not asked of the device, and what ends it need not be answered by it.
                None if what.requests.is_some() || what.sends_no.is_some() => {}
                None if what.restart.is_some() || what.asks.is_some() => {}
                None if syncing.contains(name.as_str()) && self.plays(name) => {
                    needs.insert(AdapterCapability::Concurrent);
                }
                None => {}
            }
        }
        needs
    }
}

/// The devices of one scenario, by who plays them.
pub struct Cast {
    /// The devices of the client under test.
    pub client: Arc<dyn Devices>,
    /// Those that it plays.
    pub roles: Roles,
    /// The others.
    pub reference: ReferenceDevices,
}

#[async_trait]
impl Devices for Cast {
    async fn open(&self, setup: DeviceSetup) -> Result<Arc<dyn Device>, DeviceError> {
        match self.roles.plays(&setup.name) {
            true => self.client.open(setup).await,
            false => self.reference.open(setup).await,
        }
    }

    async fn log(&self) -> Option<String> {
        self.client.log().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(text: &str) -> Case {
        let head = "title: Something that is a fact\ncovers: [push.retry.same-outcome]\n";
        let cases = crate::scenario::parse("scenarios/push/x.yaml", &format!("{head}{text}")).unwrap();
        cases.into_iter().next().unwrap()
    }

    #[test]
    fn every_device_is_played_alone_and_then_all() {
        let two = case("devices: [tablet, phone]\nsteps:\n  - tablet: {sync: ok}\n  - phone: {sync: ok}\n");
        let names: Vec<String> = Roles::of(&two).iter().map(|roles| roles.as_str().to_owned()).collect();
        assert_eq!(names, ["tablet", "phone", "all"]);
        let one = case("devices: [tablet]\nsteps:\n  - tablet: {sync: ok}\n");
        assert_eq!(Roles::of(&one), [Roles::All]);
        let copied = case(
            "devices: [tablet, phone]\nsteps:\n  - tablet: {sync: ok}\n  - phone: {clone_of: tablet}\n  - phone: {sync: ok}\n",
        );
        assert_eq!(Roles::of(&copied), [Roles::All], "a store is copied within one client");
    }

    #[test]
    fn what_is_asked_during_a_sync_needs_a_client_that_can() {
        let text = "devices: [tablet, phone]\nsteps:\n  - tablet: {create: {observation: a}}\n  - network: {hold: push, of: tablet, at: answer}\n  - tablet: {sync: begins}\n  - tablet: {edit: {a: {count: 1}}}\n  - release: tablet\n  - tablet: {sync: ok}\n  - phone: {sync: ok}\n";
        let busy = case(text);
        assert!(Roles::All.needs(&busy).contains(&AdapterCapability::Concurrent));
        assert!(Roles::One("tablet".to_owned()).needs(&busy).contains(&AdapterCapability::Concurrent));
        assert!(Roles::One("phone".to_owned()).needs(&busy).is_empty());
    }
}
