//! In whatever order devices push what they merged, they end with one state.

use super::laws::{changed, data, equal_states, rules, three};
use super::{Rules, apply, difference, merge};
use fieldsync_schemas::record::Data;
use proptest::collection::vec;
use proptest::prelude::*;

/// A server with one record.
struct Server {
    rev: u32,
    data: Option<Data>,
}

/// A device, with work on that record or without.
#[derive(Clone)]
struct Device {
    rev: u32,
    snapshot: Option<Data>,
    shown: Option<Data>,
}

impl Server {
    /// Takes a change of its current state, as a patch where it can be one.
    fn push(&mut self, device: &Device, rules: &Rules) {
        assert_eq!(device.rev, self.rev, "a stale push was not merged");
        let mut data = device.shown.clone();
        if let (Some(current), Some(shown)) = (&self.data, &device.shown) {
            let mut patched = current.clone();
            apply(&mut patched, difference(current, shown));
            assert_eq!(rules.immutable_change(current, &patched), None, "a merged push is refused");
            data = Some(patched);
        }
        if let Some(data) = &mut data {
            rules.keep_server_set(self.data.as_ref(), data);
        }
        self.data = data;
        self.rev += 1;
    }
}

impl Device {
    /// Pulls, merges and pushes; how many values were overridden, and whether something was pushed.
    fn sync(&mut self, server: &mut Server, rules: &Rules) -> (usize, bool) {
        let merged = merge(self.snapshot.as_ref(), self.shown.take(), server.data.clone(), rules);
        let work = Device { rev: server.rev, snapshot: server.data.clone(), shown: merged.data };
        let pushes = !equal_states(work.shown.as_ref(), work.snapshot.as_ref());
        if pushes {
            server.push(&work, rules);
        }
        *self = Device { rev: server.rev, snapshot: server.data.clone(), shown: server.data.clone() };
        (merged.overridden.len(), pushes)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn devices_end_with_one_state(
        first in data(),
        edits in data().prop_flat_map(|base| vec(proptest::option::weighted(0.9, changed(base)), 6)),
        order in vec((0..3usize, any::<bool>()), 0..12),
        rules in rules(true),
    ) {
        let mut server = Server { rev: 1, data: Some(first.clone()) };
        let mut devices = vec![Device { rev: 1, snapshot: Some(first.clone()), shown: Some(first) }; 3];
        let mut edits = edits.into_iter();
        for (device, syncs) in order {
            if syncs {
                devices[device].sync(&mut server, &rules);
            } else if let Some(edit) = edits.next() {
                devices[device].shown = edit;
            }
        }
        for device in &mut devices {
            device.sync(&mut server, &rules);
        }
        for device in &mut devices {
            prop_assert_eq!(device.sync(&mut server, &rules), (0, false), "something was left to do");
            prop_assert!(equal_states(device.shown.as_ref(), server.data.as_ref()));
        }
    }

    #[test]
    fn two_devices_end_equal_in_each_order((base, one, other) in three(), rules in rules(false)) {
        let end = |edits: [&Data; 2]| {
            let mut server = Server { rev: 1, data: Some(base.clone()) };
            let mut devices = edits.map(|edit| Device { rev: 1, snapshot: Some(base.clone()), shown: Some(edit.clone()) });
            let overridden: usize = devices.iter_mut().map(|device| device.sync(&mut server, &rules).0).sum();
            devices[0].sync(&mut server, &rules);
            assert!(devices.iter().all(|device| equal_states(device.shown.as_ref(), server.data.as_ref())));
            (overridden, server.data.unwrap_or_default())
        };
        let (overridden, one_first) = end([&one, &other]);
        let (as_many, other_first) = end([&other, &one]);
        prop_assert_eq!(overridden, as_many);
        prop_assert!(overridden > 0 || rules.record.same_data(&one_first, &other_first));
    }
}
