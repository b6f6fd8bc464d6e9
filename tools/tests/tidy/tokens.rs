//! Rust source as a stream of tokens without comments, enough to see words, paths and modules.

/// One token; where it stands does not matter to the lexer, only its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A word: identifier, keyword or number.
    Word(String),
    /// The content of a string, as written.
    Text(String),
    /// `::`
    Path,
    /// Any other single character.
    Sign(char),
}

impl Token {
    /// Whether this is the word `word`.
    pub fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(own) if own == word)
    }
}

/// The tokens of a file with their lines, which count from 1.
pub fn tokens(source: &str) -> Vec<(usize, Token)> {
    let chars: Vec<char> = source.chars().collect();
    let mut lexer = Lexer { chars, at: 0, line: 1 };
    let mut out = Vec::new();
    while lexer.at < lexer.chars.len() {
        let line = lexer.line;
        if let Some(token) = lexer.next_token() {
            out.push((line, token));
        }
    }
    out
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn bump(&mut self) -> char {
        let c = self.peek(0);
        self.at += 1;
        self.line += usize::from(c == '\n');
        c
    }

    fn next_token(&mut self) -> Option<Token> {
        let c = self.peek(0);
        match (c, self.peek(1)) {
            ('/', '/') => {
                while self.at < self.chars.len() && self.peek(0) != '\n' {
                    self.bump();
                }
                None
            }
            ('/', '*') => {
                self.block_comment();
                None
            }
            (':', ':') => {
                self.at += 2;
                Some(Token::Path)
            }
            ('"', _) => Some(self.string(0)),
            ('\'', _) => self.quote(),
            _ if c.is_alphanumeric() || c == '_' => Some(self.word()),
            _ if c.is_whitespace() => {
                self.bump();
                None
            }
            _ => Some(Token::Sign(self.bump())),
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while self.at < self.chars.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    self.bump();
                    continue;
                }
            }
            self.at += 2;
            if depth == 0 {
                return;
            }
        }
    }

    /// A string that ends in a quote and `hashes` hashes; with none, a backslash escapes.
    fn string(&mut self, hashes: usize) -> Token {
        self.bump();
        let mut text = String::new();
        while self.at < self.chars.len() {
            let c = self.bump();
            if c == '"' && (0..hashes).all(|i| self.peek(i) == '#') {
                self.at += hashes;
                break;
            }
            text.push(c);
            if c == '\\' && hashes == 0 {
                text.push(self.bump());
            }
        }
        Token::Text(text)
    }

    /// A character, or a lifetime, which is passed over.
    fn quote(&mut self) -> Option<Token> {
        self.bump();
        if self.peek(0) == '\\' {
            self.at += 2;
            while self.at < self.chars.len() && self.bump() != '\'' {}
        } else if self.peek(1) == '\'' {
            self.bump();
            self.bump();
        } else {
            while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
                self.bump();
            }
        }
        None
    }

    fn word(&mut self) -> Token {
        let mut word = String::new();
        while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
            word.push(self.bump());
        }
        let hashes = (0..).take_while(|&i| self.peek(i) == '#').count();
        let is_raw = matches!(word.as_str(), "r" | "br" | "cr");
        if is_raw && self.peek(hashes) == '"' {
            self.at += hashes;
            // A raw string without hashes has no escapes either; none of ours ends in a backslash.
            return self.string(hashes);
        }
        if matches!(word.as_str(), "b" | "c") && self.peek(0) == '"' {
            return self.string(0);
        }
        Token::Word(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_told_from_words() {
        let source = "use a::b; // unsafe\n/* x /* y */ unsafe */ let s = r#\"unsafe \"q\" \"#;\n\
                      let c = '\"'; let d = '\\''; fn f<'a>(x: &'a str) { \"\\\"unsafe\" }";
        let words: Vec<_> = tokens(source)
            .into_iter()
            .filter_map(|(line, token)| match token {
                Token::Word(word) => Some((line, word)),
                _ => None,
            })
            .collect();
        assert!(words.iter().all(|(_, word)| word != "unsafe"), "{words:?}");
        assert_eq!(words.first(), Some(&(1, "use".to_owned())));
        assert_eq!(words.last(), Some(&(3, "str".to_owned())));
    }
}
