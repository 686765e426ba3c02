//! The records that are pushed and pulled: 500 bytes each as they are published, envelope included, all different, and
//! as compressible as what people fill into forms.

use crate::hosted::PARENT;
use std::borrow::Cow;
use std::fmt::Write;

/// The type that they have.
pub const TYPE: &str = "observation";

const WORDS: [&str; 24] = [
    "fever",
    "cough",
    "headache",
    "none",
    "malaria",
    "referred",
    "follow up",
    "clinic north",
    "clinic south",
    "rash",
    "measles",
    "vaccinated",
    "not seen",
    "household",
    "water source",
    "latrine",
    "school",
    "market",
    "river",
    "moved",
    "pregnant",
    "newborn",
    "discharged",
    "treated",
];

/// In which order ids come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ids {
    /// As the reference device makes them: the time in front, then random digits.
    ByTime,
    /// Random from the first digit on.
    Random,
}

/// A stream of numbers that is the same in every run, and of ids made from them.
#[derive(Debug, Clone)]
pub struct Numbers {
    state: u64,
    ids: Ids,
    millis: u64,
}

impl Numbers {
    /// The stream of this seed.
    pub fn new(seed: u64, ids: Ids) -> Self {
        Self { state: seed.wrapping_mul(2).wrapping_add(1), ids, millis: 1_764_000_000_000 + seed * 1009 }
    }

    /// The next number (SplitMix64).
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// An id of 32 characters. Somebody needs up to a minute for each.
    pub fn id(&mut self) -> String {
        self.millis += self.draw() % 60_000;
        let front = if self.ids == Ids::ByTime { self.millis } else { self.draw() & 0xffff_ffff_ffff };
        format!("{front:012x}{:016x}{:04x}", self.draw(), self.draw() & 0xffff)
    }
}

/// One record that a device makes.
#[derive(Debug, Clone)]
pub struct Made {
    /// Its id.
    pub id: String,
    /// Its `data`, JSON.
    pub data: String,
}

/// The length of the envelope: everything of a published record but `data`.
const ENVELOPE: usize = 240;
/// The length of a published record.
pub const RECORD_BYTES: usize = 500;

/// What a page has around each record, comma included.
pub const CHANGE_BYTES: usize = 23;

/// Makes a record.
pub fn make(numbers: &mut Numbers) -> Made {
    let id = numbers.id();
    let mut word = || WORDS[(numbers.draw() % WORDS.len() as u64) as usize];
    let mut data = format!(
        r#"{{"name":"{} {}","complaint":"{}","place":"{}","outcome":"{}""#,
        word(),
        word(),
        word(),
        word(),
        word()
    );
    let drawn = numbers.draw();
    let _ = write!(
        data,
        r#","temp":{}.{},"age":{},"pulse":{},"tested":{},"at":{{"lat":{}.{:05},"lon":{}.{:05}}},"notes":""#,
        36 + drawn % 5,
        drawn / 5 % 10,
        drawn / 50 % 90,
        50 + drawn / 4500 % 100,
        drawn & 1 == 0,
        drawn >> 8 & 15,
        drawn >> 12 & 0xffff,
        drawn >> 28 & 31,
        drawn >> 33 & 0xffff
    );
    // The notes fill it up.
    while data.len() < RECORD_BYTES - ENVELOPE - 2 {
        data.push_str(WORDS[(numbers.draw() % WORDS.len() as u64) as usize]);
        data.push(' ');
    }
    data.truncate(RECORD_BYTES - ENVELOPE - 2);
    data.push_str("\"}");
    Made { id, data }
}

/// The create of this record, JSON.
pub fn create(record: &Made, mutation_id: &str) -> String {
    create_of(TYPE, record, None, mutation_id)
}

/// The create of this record as one of a type, JSON. Where it has a parent, its data names it in front.
pub fn create_of(type_name: &str, record: &Made, parent: Option<&str>, mutation_id: &str) -> String {
    let data = match parent {
        None => Cow::Borrowed(record.data.as_str()),
        Some(parent) => Cow::Owned(format!(r#"{{"{PARENT}":"{parent}",{}"#, &record.data[1..])),
    };
    format!(
        r#"{{"mutation_id":"{mutation_id}","op":"create","type":"{type_name}","id":"{}","base":null,"version":1,"modified_at":"2026-11-20T08:00:00.000Z","data":{data}}}"#,
        record.id
    )
}

/// An update of this record, JSON: the second version, made on this rev.
pub fn update(record: &Made, mutation_id: &str, base: &str) -> String {
    format!(
        r#"{{"mutation_id":"{mutation_id}","op":"update","type":"{TYPE}","id":"{}","base":"{base}","version":2,"modified_at":"2026-11-20T09:00:00.000Z","data":{}}}"#,
        record.id, record.data
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_json_of_the_same_length() {
        let mut numbers = Numbers::new(1, Ids::ByTime);
        for _ in 0..1000 {
            let record = make(&mut numbers);
            assert_eq!(record.data.len(), RECORD_BYTES - ENVELOPE, "{}", record.data);
            serde_json::from_str::<serde_json::Value>(&create(&record, "m1")).unwrap();
        }
    }
}
