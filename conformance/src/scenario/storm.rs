//! Scenarios made from a seed: two devices work on a few records while their processes are killed and their connections
//! cut, and then come to rest.
//!
//! Every strike meets a request: each time there is something to push, and every sync pulls. What must hold at the end
//! is the oracle's: nothing acknowledged is lost, nothing is applied twice, and all devices are equal.

use super::{Case, LoadError, parse};

const DEVICES: [&str; 2] = ["tablet", "phone"];
const SHARED: [&str; 3] = ["fever", "cough", "rash"];
const BYTES: [&str; 5] = ["", ", bytes: 0", ", bytes: 1", ", bytes: 60", ", bytes: -1"];
const DELAYS: [&str; 5] = ["", ", delay_ms: 1", ", delay_ms: 3", ", delay_ms: 6", ", delay_ms: 12"];

/// A scenario with this many kills and cuts, the same for the same seed.
pub fn storm(seed: u64, strikes: usize) -> Result<Case, LoadError> {
    let file = format!("fixtures/scenarios/storm/seed-{seed}.yaml");
    let mut cases = parse(&file, &text(seed, strikes))?;
    Ok(cases.swap_remove(0))
}

/// The same under the profile `field-merge`, in which each change sets a member of its own, too: however the changes meet
/// and whatever strikes, in the end all of these are there.
pub fn storm_of_merges(seed: u64, strikes: usize) -> Result<Case, LoadError> {
    let file = format!("fixtures/scenarios/storm/merges-{seed}.yaml");
    let mut cases = parse(&file, &told(seed, strikes, true))?;
    Ok(cases.swap_remove(0))
}

/// The fixture of such a scenario.
pub fn text(seed: u64, strikes: usize) -> String {
    told(seed, strikes, false)
}

fn told(seed: u64, strikes: usize, merges: bool) -> String {
    let mut storm =
        Storm { dice: Dice(seed), steps: Vec::new(), own: [Vec::new(), Vec::new()], marks: Vec::new(), merges };
    storm.begin();
    for number in 0..strikes {
        storm.strike(number);
    }
    storm.rest();
    let steps: String = storm.steps.iter().map(|step| format!("  - {step}\n")).collect();
    format!(
        "title: Two devices come to rest in one state after {strikes} kills and cuts\n\
         covers: [cycles.durable.outlives-the-process]\n{}\
         devices: {{tablet: {{page: 2, batch: 2}}, phone: {{page: 3}}}}\n\
         steps:\n{steps}",
        if merges { "profile: field-merge\n" } else { "" }
    )
}

struct Storm {
    dice: Dice,
    steps: Vec<String>,
    /// The records that only this device changes, so that it may delete them.
    own: [Vec<String>; 2],
    /// The shared records that were changed, each with the member that is the change's own.
    marks: Vec<(&'static str, String)>,
    merges: bool,
}

impl Storm {
    fn say(&mut self, step: String) {
        self.steps.push(step);
    }

    fn begin(&mut self) {
        for record in SHARED {
            self.say(format!("tablet: {{create: {{observation: {record}, data: {{round: 0}}}}}}"));
        }
        self.say("tablet: {sync: ok}".to_owned());
        self.say("phone: {sync: ok}".to_owned());
    }

    fn strike(&mut self, number: usize) {
        let who = self.dice.below(2);
        let device = DEVICES[who];
        self.work(who, number);
        let is_kill = self.dice.below(2) == 0;
        let (word, places): (_, &[&str]) = match is_kill {
            true => ("kill", &["before_send", "mid_request", "after_answer", "mid_answer", "answer"]),
            false => ("drop", &["before_send", "mid_request", "after_answer", "mid_answer"]),
        };
        let kind = self.dice.of(&["push", "pull", "any", "any"]);
        let after = if kind == "any" { self.dice.below(2) } else { 0 };
        let at = self.dice.of(places);
        let detail = match at {
            "mid_answer" => self.dice.of(&BYTES),
            "answer" => self.dice.of(&DELAYS),
            _ => "",
        };
        self.say(format!("network: {{{word}: {kind}, of: {device}, at: {at}{detail}, after: {after}}}"));
        if is_kill {
            self.say(format!("{device}: {{sync: ends}}"));
            self.say(format!("{device}: {{restart: true}}"));
        } else {
            self.say(format!("{device}: {{sync: {{fails: network}}}}"));
        }
        if self.dice.below(3) == 0 {
            self.say(format!("{}: {{sync: ok}}", DEVICES[1 - who]));
        }
    }

    /// A few changes, the last of which is one that has to be pushed.
    fn work(&mut self, who: usize, number: usize) {
        let device = DEVICES[who];
        if self.dice.below(3) == 0 {
            let record = format!("{device}-{number}");
            self.say(format!("{device}: {{create: {{observation: {record}, data: {{round: {number}}}}}}}"));
            self.own[who].push(record);
        }
        if self.dice.below(4) == 0 && !self.own[who].is_empty() {
            let place = self.dice.below(self.own[who].len());
            let record = self.own[who].swap_remove(place);
            self.say(format!("{device}: {{delete: {record}}}"));
        }
        for change in 0..=self.dice.below(3) {
            let record = self.dice.of(&SHARED);
            let mut mark = String::new();
            if self.merges {
                let member = format!("{device}_{number}_{change}");
                mark = format!(", {member}: here");
                self.marks.push((record, member));
            }
            self.say(format!("{device}: {{edit: {{{record}: {{round: {number}, change: {change}{mark}}}}}}}"));
        }
    }

    fn rest(&mut self) {
        for _ in 0..2 {
            for device in DEVICES {
                self.say(format!("{device}: {{sync: ok}}"));
            }
        }
        for device in DEVICES {
            self.say(format!("{device}: {{outbox: 0}}"));
            self.say(format!("{device}: {{quarantine: {{}}}}"));
            for record in SHARED {
                let marks =
                    self.marks.iter().filter(|(of, _)| *of == record).map(|(_, member)| format!("{member}: here"));
                let marks: Vec<String> = marks.collect();
                if !marks.is_empty() {
                    self.say(format!("{device}: {{holds: {{{record}: {{data: {{{}}}}}}}}}", marks.join(", ")));
                }
            }
        }
    }
}

/// Numbers that look random and are the same for the same seed everywhere: SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    fn of(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_makes_a_sound_scenario_with_all_its_strikes() {
        for seed in 0..200 {
            let case = storm(seed, 10).expect("a fixture that loads");
            assert_eq!(case.source.matches("network:").count(), 10);
            assert_eq!(*case.source, *text(seed, 10), "the same for the same seed");
            let merges = storm_of_merges(seed, 10).expect("a fixture that loads");
            assert_eq!(merges.source.matches("network:").count(), 10);
            assert!(merges.source.contains("holds:"), "what was changed is looked for");
        }
        assert_ne!(text(1, 10), text(2, 10));
    }
}
