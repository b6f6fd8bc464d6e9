//! Java's `.properties` format, as `java.util.Properties.load` reads it.
//!
//! One difference: the file is read as UTF-8, and as ISO 8859-1, which Java takes always, only if it
//! is not UTF-8.

use std::iter::Peekable;
use std::str::Chars;

/// One key with its value, in the order of the file; a key may come twice, the later counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// The key, escapes resolved.
    pub key: String,
    /// The value, escapes resolved, not trimmed at its end.
    pub value: String,
    /// The line it begins on, from 1.
    pub line: u32,
}

/// The file is not in the format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: \\u must be followed by four hexadecimal digits")]
pub struct PropertiesError {
    /// The line on which the faulty setting begins, from 1.
    pub line: u32,
}

/// Reads a whole file.
///
/// # Errors
/// A `\u` escape without four hexadecimal digits.
pub fn parse(bytes: &[u8]) -> Result<Vec<Property>, PropertiesError> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    };
    let mut lines = LogicalLines { chars: text.chars().peekable(), line: 1 };
    let mut properties = Vec::new();
    while let Some((content, line)) = lines.next_line() {
        properties.push(split(&content, line)?);
    }
    Ok(properties)
}

/// Lines without comments and blank ones, continued lines joined, escapes still in.
struct LogicalLines<'a> {
    chars: Peekable<Chars<'a>>,
    line: u32,
}

impl LogicalLines<'_> {
    /// The next character; `\r\n` and `\r` come as `\n`.
    fn next_char(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        let c = if c == '\r' {
            self.chars.next_if_eq(&'\n');
            '\n'
        } else {
            c
        };
        self.line += u32::from(c == '\n');
        Some(c)
    }

    fn next_line(&mut self) -> Option<(String, u32)> {
        let mut content = String::new();
        let mut begins_at = self.line;
        // White space is dropped where a line begins. After a continued line an empty one ends the
        // whole, before anything has been read it does not.
        let mut at_start = true;
        let mut continued = false;
        let mut escaped = false;
        while let Some(c) = self.next_char() {
            if at_start {
                if is_blank(c) || (c == '\n' && !continued) {
                    continue;
                }
                at_start = false;
                continued = false;
            }
            if content.is_empty() {
                if c == '#' || c == '!' {
                    while self.next_char().is_some_and(|c| c != '\n') {}
                    at_start = true;
                    continue;
                }
                begins_at = self.line;
            }
            if c != '\n' {
                content.push(c);
                escaped = c == '\\' && !escaped;
            } else if content.is_empty() {
                at_start = true;
            } else if escaped {
                content.pop();
                (at_start, continued, escaped) = (true, true, false);
            } else {
                return Some((content, begins_at));
            }
        }
        if escaped {
            content.pop();
        }
        (!content.is_empty()).then_some((content, begins_at))
    }
}

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// The key ends at the first `=`, `:` or white space without a backslash before it.
fn split(content: &str, line: u32) -> Result<Property, PropertiesError> {
    let mut escaped = false;
    let key_end = content
        .find(|c| {
            let ends = !escaped && (c == '=' || c == ':' || is_blank(c));
            escaped = c == '\\' && !escaped;
            ends
        })
        .unwrap_or(content.len());
    let (key, rest) = content.split_at(key_end);
    let rest = rest.trim_start_matches(is_blank);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start_matches(is_blank);
    let resolve = |text| unescape(text).ok_or(PropertiesError { line });
    Ok(Property { key: resolve(key)?, value: resolve(value)?, line })
}

/// Resolves escapes; none if a `\u` is malformed.
fn unescape(text: &str) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let push = |units: &mut Vec<u16>, c: char| {
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    };
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            push(&mut units, c);
            continue;
        }
        match chars.next() {
            None => {}
            Some('t') => push(&mut units, '\t'),
            Some('r') => push(&mut units, '\r'),
            Some('n') => push(&mut units, '\n'),
            Some('f') => push(&mut units, '\x0c'),
            Some('u') => {
                let mut unit = 0_u16;
                for _ in 0..4 {
                    let digit = u16::try_from(chars.next()?.to_digit(16)?).ok()?;
                    unit = unit << 4 | digit;
                }
                units.push(unit);
            }
            Some(other) => push(&mut units, other),
        }
    }
    Some(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let properties = parse(text.as_bytes()).expect("well formed");
        properties.into_iter().map(|property| (property.key, property.value)).collect()
    }

    #[test]
    fn what_java_reads() {
        for (text, expected) in [
            ("", &[][..]),
            ("\n \t\r\n# a=b\n  ! c=d\\\n", &[]),
            ("a=b", &[("a", "b")]),
            ("a = b c \n", &[("a", "b c ")]),
            ("a:b\rc d\r\ne", &[("a", "b"), ("c", "d"), ("e", "")]),
            ("a  :  = b", &[("a", "= b")]),
            ("a\\ b\\=c\\:d=e", &[("a b=c:d", "e")]),
            ("a=b\\\n   c", &[("a", "bc")]),
            ("a=b\\\\\nc=d", &[("a", "b\\"), ("c", "d")]),
            ("a=b\\\n\nc=d", &[("a", "b"), ("c", "d")]),
            ("a=b\\\n#c", &[("a", "b#c")]),
            ("a=b\\", &[("a", "b")]),
            ("=b", &[("", "b")]),
            ("a=\\t\\n\\r\\f\\q\\\"", &[("a", "\t\n\r\x0cq\"")]),
            ("a=\\u00e4\\ud83d\\ude00", &[("a", "ä😀")]),
            ("a=1\na=2", &[("a", "1"), ("a", "2")]),
        ] {
            let expected: Vec<(String, String)> =
                expected.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            assert_eq!(pairs(text), expected, "{text:?}");
        }
    }

    #[test]
    fn lines_are_counted_and_bad_escapes_named() {
        let properties = parse(b"# one\n\n  a = \\\n 1\nb=2").expect("well formed");
        let lines: Vec<u32> = properties.iter().map(|property| property.line).collect();
        assert_eq!(lines, [3, 5]);
        for bad in [&b"a=1\nb=\\u12"[..], b"a=1\nb=\\u12xy", b"a=1\n\\u=2"] {
            assert_eq!(parse(bad), Err(PropertiesError { line: 2 }));
        }
        assert_eq!(parse(b"a=\xe4").expect("Latin-1")[0].value, "ä");
    }
}
