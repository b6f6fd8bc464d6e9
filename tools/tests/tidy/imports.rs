//! Which paths a Rust file names, resolved from its place in its crate.

use crate::tokens::Token;

/// A path that a file names: its first two parts, counted from where it begins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    /// Where it is named.
    pub line: usize,
    /// `crate`, or the name of another crate.
    pub start: String,
    /// The module behind it; `*` for all of them.
    pub module: String,
}

/// Every path in `tokens` that begins at the crate's root (`crate::`, `$crate::`, enough `super::`) or at
/// another of our crates. `depth` is the number of modules above the file's content: 0 in `lib.rs`.
pub fn imports(tokens: &[(usize, Token)], depth: usize, crates: &[&str]) -> Vec<Import> {
    let mut out = Vec::new();
    // Which braces, opened and not yet closed, are those of inline modules.
    let mut braces: Vec<bool> = Vec::new();
    for (at, (_, token)) in tokens.iter().enumerate() {
        match token {
            Token::Sign('{') => {
                let word = |back: usize| at.checked_sub(back).and_then(|i| tokens.get(i));
                braces.push(word(2).is_some_and(|(_, token)| token.is("mod")));
            }
            Token::Sign('}') => {
                braces.pop();
            }
            Token::Word(word) if begins_path(tokens, at) => {
                let depth = depth + braces.iter().filter(|is_module| **is_module).count();
                path_at(tokens, at, word, depth, crates, &mut out);
            }
            _ => {}
        }
    }
    out.sort();
    out.dedup();
    out
}

/// Whether a path begins at this word: something else than `::` stands before it.
fn begins_path(tokens: &[(usize, Token)], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|i| tokens.get(i));
    let behind = tokens.get(at + 1);
    before.is_none_or(|(_, token)| *token != Token::Path)
        && behind.is_some_and(|(_, token)| *token == Token::Path)
}

fn path_at(
    tokens: &[(usize, Token)],
    at: usize,
    word: &str,
    depth: usize,
    crates: &[&str],
    out: &mut Vec<Import>,
) {
    let mut next = at + 2;
    if word == "super" {
        let mut ups = 1;
        while tokens.get(next).is_some_and(|(_, token)| token.is("super")) {
            ups += 1;
            next += 2;
        }
        // Fewer lead to a module in between, which is a part of the same one.
        if ups < depth {
            return;
        }
        heads(tokens, next, "crate", out);
    } else if word == "self" {
        if depth == 0 {
            heads(tokens, next, "crate", out);
        }
    } else if word == "crate" || crates.contains(&word) {
        heads(tokens, next, word, out);
    }
}

/// The first part of each path at `at`: one, or those of a brace.
fn heads(tokens: &[(usize, Token)], at: usize, start: &str, out: &mut Vec<Import>) {
    let mut push = |line, module: &str| {
        out.push(Import { line, start: start.to_owned(), module: module.to_owned() });
    };
    match tokens.get(at) {
        Some((line, Token::Word(module))) => push(*line, module),
        Some((line, Token::Sign('*'))) => push(*line, "*"),
        Some((_, Token::Sign('{'))) => {
            let mut depth = 0;
            let mut is_head = false;
            for (line, token) in tokens.iter().skip(at) {
                match token {
                    Token::Sign('{') => {
                        depth += 1;
                        is_head = depth == 1;
                    }
                    Token::Sign('}') => {
                        depth -= 1;
                        if depth == 0 {
                            return;
                        }
                    }
                    Token::Sign(',') => is_head = depth == 1,
                    Token::Word(module) if is_head => {
                        push(*line, module);
                        is_head = false;
                    }
                    Token::Sign('*') if is_head => push(*line, "*"),
                    _ => is_head = false,
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::tokens;

    #[test]
    fn paths_are_resolved() {
        let source = "use crate::{a::{x, y}, b, c::z}; use super::d::E; use super::super::f;\n\
                      fn g() { crate::h::i(); std::mem::take(); other::j::k(); }\n\
                      mod tests { use super::*; use super::super::super::l; } use super::super::*;";
        let found = imports(&tokens(source), 2, &["other"]);
        let names: Vec<_> =
            found.iter().map(|i| (i.line, i.start.as_str(), i.module.as_str())).collect();
        assert_eq!(
            names,
            [
                (1, "crate", "a"),
                (1, "crate", "b"),
                (1, "crate", "c"),
                (1, "crate", "f"),
                (2, "crate", "h"),
                (2, "other", "j"),
                (3, "crate", "*"),
                (3, "crate", "l"),
            ]
        );
    }
}
