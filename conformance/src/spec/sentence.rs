//! What a normative sentence says: whom it binds, and how strongly.
//!
//! The actor stands right before the normative word ("… a server MUST …") or begins the sentence ("A device that …").

use super::rule::Strength;
use fieldsync_schemas::event::Actor;

/// The text without its code spans, each of which becomes the one character `…`.
pub(super) fn without_code(text: &str) -> String {
    text.split('`').enumerate().map(|(index, part)| if index % 2 == 0 { part } else { "…" }).collect()
}

/// The words of a text, without punctuation.
fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '\'' || c == '-' || c == '…'))
        .filter(|word| !word.is_empty())
        .collect()
}

/// The normative words of a text outside code, each with its place among the words.
fn normative(words: &[&str]) -> Vec<(usize, Strength)> {
    let mut found = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let not = words.get(index + 1) == Some(&"NOT");
        found.push((
            index,
            match *word {
                "MUST" if not => Strength::MustNot,
                "MUST" => Strength::Must,
                "SHOULD" if not => Strength::ShouldNot,
                "SHOULD" => Strength::Should,
                "MAY" => Strength::May,
                _ => continue,
            },
        ));
    }
    found
}

/// Whether a text has a normative word outside code.
pub(super) fn is_normative(text: &str) -> bool {
    !normative(&words(&without_code(text))).is_empty()
}

fn actor_at(words: &[&str], article: usize) -> Option<Actor> {
    let (Some(article), Some(noun)) = (words.get(article), words.get(article + 1)) else { return None };
    if !["a", "the"].contains(&article.to_lowercase().as_str()) {
        return None;
    }
    match *noun {
        "server" => Some(Actor::Server),
        "device" => Some(Actor::Device),
        _ => None,
    }
}

/// Whom a sentence binds and how strongly, or what it lacks.
pub(super) fn binding(sentence: &str) -> Result<(Actor, Strength), String> {
    let bare = without_code(sentence);
    check_one_sentence(&bare)?;
    let words = words(&bare);
    let normative = normative(&words);
    let Some(&(_, strength)) = normative.first() else {
        return Err("the sentence of a rule says MUST, MUST NOT, SHOULD, SHOULD NOT or MAY".to_owned());
    };
    let mut actors: Vec<Actor> =
        normative.iter().filter_map(|&(index, _)| actor_at(&words, index.checked_sub(2)?)).collect();
    if actors.is_empty() {
        actors.extend(actor_at(&words, 0));
    }
    actors.dedup();
    match actors[..] {
        [actor] => Ok((actor, strength)),
        [] => {
            Err("whom the rule binds is missing: write \"a server MUST\" or \"a device MUST\", or begin with the actor"
                .to_owned())
        }
        _ => Err("the rule binds both a server and a device: make it two rules".to_owned()),
    }
}

/// Checks that a text is one whole sentence. A full stop before a lower-case word (as in "e.g. one") ends nothing.
fn check_one_sentence(bare: &str) -> Result<(), String> {
    let bare = bare.trim();
    if !bare.ends_with('.') {
        return Err("the sentence of a rule ends with a full stop".to_owned());
    }
    let characters: Vec<char> = bare.chars().collect();
    for (index, character) in characters.iter().enumerate() {
        if !matches!(character, '.' | '?' | '!') || characters.get(index + 1) != Some(&' ') {
            continue;
        }
        if characters.get(index + 2).is_some_and(|next| !next.is_lowercase()) {
            return Err("a rule is one sentence: move what explains it into a paragraph of its own".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_actor_stands_before_the_normative_word_or_first() {
        let server_must = Ok((Actor::Server, Strength::Must));
        assert_eq!(binding("A server MUST answer."), server_must);
        assert_eq!(binding("Where a device asks twice, a server MUST answer twice."), server_must);
        assert_eq!(binding("A server that hears from a device it knows MUST answer."), server_must);
        assert_eq!(binding("A device SHOULD NOT wait."), Ok((Actor::Device, Strength::ShouldNot)));
        assert_eq!(binding("The server MAY refuse (e.g. when full)."), Ok((Actor::Server, Strength::May)));
    }

    #[test]
    fn what_a_sentence_lacks_is_named() {
        let problem = |text: &str| binding(text).unwrap_err();
        assert!(problem("Answers MUST be quick.").contains("whom the rule binds"));
        assert!(problem("A server MUST ask and a device MUST answer.").contains("two rules"));
        assert!(problem("A server answers.").contains("says MUST"));
        assert!(problem("A server MUST answer. It is quick.").contains("one sentence"));
        assert!(problem("A server MUST answer. `x` is quick.").contains("one sentence"));
        assert!(problem("A server MUST answer").contains("full stop"));
        assert!(problem("A server `MUST` answer.").contains("says MUST"));
    }

    #[test]
    fn code_and_lower_case_are_not_normative() {
        assert!(is_normative("It MUST be."));
        assert!(is_normative("(MAY)"));
        assert!(!is_normative("It must be `MUST`. MUSTARD."));
    }
}
