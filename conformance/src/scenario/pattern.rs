//! Patterns of names, in which `*` stands for any characters.

/// Whether a pattern means the scenario of this id: by the id, or by the id of its file.
pub fn names(pattern: &str, id: &str) -> bool {
    fits(pattern, id) || id.split_once('[').is_some_and(|(file, _)| fits(pattern, file))
}

/// Whether a text fits a pattern.
pub fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text
            .strip_prefix(head)
            .is_some_and(|tail| (0..=tail.len()).any(|at| tail.is_char_boundary(at) && fits(rest, &tail[at..]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, does) in [
            ("push/x", true),
            ("push/*", true),
            ("*x", true),
            ("*", true),
            ("p*h/*x*", true),
            ("push", false),
            ("pull/*", false),
        ] {
            assert_eq!(fits(pattern, "push/x"), does, "{pattern}");
        }
    }

    #[test]
    fn a_file_means_all_that_it_expands_to() {
        assert!(names("push/x", "push/x[page=2]") && names("push/x[page=2]", "push/x[page=2]"));
        assert!(!names("push/x[page=3]", "push/x[page=2]") && !names("push", "push/x[page=2]"));
    }
}
