//! Prints what was measured next to its target. A missed target is shown, not failed: it depends on the machine.

use crate::process;
use std::fmt::Write;

/// What is to be reached.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// This much or more.
    AtLeast(f64),
    /// This much or less.
    AtMost(f64),
    /// Nothing: the number is there to compare with.
    None,
}

/// Prints what the benchmark measures, and where and under which load.
pub fn begin(what: &str) {
    let load = process::load().map_or_else(|| "unknown".to_owned(), |load| format!("{load:.1}"));
    println!("\n{what}\n  on {}; load before {load}", process::machine());
}

/// Prints one measured thing: the median of its rounds, the range, the target, a note.
pub fn line(what: &str, unit: &str, rounds: &[f64], target: Target, note: &str) {
    let median = median(rounds);
    let mut text = format!("  {what:<34} {:>11} {unit:<10}", number(median));
    if let [first, .., _] = rounds {
        let (low, high) = rounds.iter().fold((*first, *first), |(low, high), x| (low.min(*x), high.max(*x)));
        let _ = write!(text, " [{} .. {}]", number(low), number(high));
    }
    match target {
        Target::AtLeast(limit) => {
            let _ = write!(text, "  target >= {}: {}", number(limit), verdict(median >= limit));
        }
        Target::AtMost(limit) => {
            let _ = write!(text, "  target <= {}: {}", number(limit), verdict(median <= limit));
        }
        Target::None => {}
    }
    if !note.is_empty() {
        let _ = write!(text, "  ({note})");
    }
    println!("{text}");
}

/// Prints something that could not be measured, and why.
pub fn missing(what: &str, why: &str) {
    println!("  {what:<34} not measured: {why}");
}

/// The middle of the rounds; the mean of the two middle ones where their number is even.
pub fn median(rounds: &[f64]) -> f64 {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => (sorted[count / 2 - 1] + sorted[count / 2]) / 2.0,
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

/// Whole numbers with separators where large, digits after the point where small.
fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!([number(1_234_567.4), number(999.6), number(2.468)], ["1,234,567", "1,000", "2.47"]);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[9.0, 1.0, 5.0]), 5.0);
        assert_eq!(median(&[9.0, 1.0, 5.0, 6.0]), 5.5);
    }
}
