//! Tokens to statements.

use std::ops::Range;

use block::{Error, Result};

use super::STATEMENT_LIMIT;
use super::lexer::{Kind, Token};
use super::script::{Block, Branch, Command, Statement};
use super::word::Word;

/// The deepest nesting of blocks and conditions that is read; `grub-mkconfig` makes 4. A deeper script is refused, because the parser
/// goes down by calling itself.
const DEPTH_LIMIT: usize = 48;

/// Words that are no command where one could begin. `case`, `esac` and `select` are reserved by GRUB without a meaning.
const KEYWORDS: &[&[u8]] = &[
    b"if",
    b"then",
    b"elif",
    b"else",
    b"fi",
    b"for",
    b"in",
    b"do",
    b"done",
    b"while",
    b"until",
    b"function",
    b"case",
    b"esac",
    b"select",
];

/// Reads all statements.
pub(super) fn parse(source: &[u8], tokens: &[Token]) -> Result<Vec<Statement>> {
    let tokens = tokens
        .iter()
        .filter(|token| !matches!(token.kind, Kind::Blank | Kind::Comment))
        .collect();
    let mut parser = Parser {
        source,
        tokens,
        at: 0,
        depth: 0,
        count: 0,
    };
    let statements = parser.statements()?;
    match parser.peek() {
        None => Ok(statements),
        Some(_) => Err(parser.unexpected()),
    }
}

struct Parser<'a> {
    source: &'a [u8],
    /// Without blanks and comments.
    tokens: Vec<&'a Token>,
    at: usize,
    depth: usize,
    count: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at).copied()
    }

    fn kind(&self) -> Option<Kind> {
        self.peek().map(|token| token.kind)
    }

    fn raw(&self, token: &Token) -> &'a [u8] {
        self.source.get(token.span.clone()).unwrap_or_default()
    }

    /// The keyword that stands here, by its bytes: a quoted one is a word.
    fn keyword(&self) -> Option<&'a [u8]> {
        let token = self.peek().filter(|token| token.kind == Kind::Word)?;
        Some(self.raw(token)).filter(|raw| KEYWORDS.contains(raw))
    }

    /// `[[` and `]]`, which GRUB takes nowhere.
    fn is_double_bracket(&self) -> bool {
        self.peek()
            .is_some_and(|token| matches!(self.raw(token), b"[[" | b"]]"))
    }

    /// Where the next token begins, or the end.
    fn offset(&self) -> usize {
        self.peek()
            .map_or(self.source.len(), |token| token.span.start)
    }

    /// Where the last token ended.
    fn end(&self) -> usize {
        self.at
            .checked_sub(1)
            .and_then(|at| self.tokens.get(at))
            .map_or(0, |token| token.span.end)
    }

    fn unexpected(&self) -> Error {
        let offset = u64::try_from(self.offset()).unwrap_or(u64::MAX);
        let message = match self.peek() {
            None => "the script ends inside of a statement".to_owned(),
            Some(token) => {
                let raw = String::from_utf8_lossy(self.raw(token));
                format!("unexpected {:?}", raw.chars().take(40).collect::<String>())
            }
        };
        Error::corrupt("GRUB script", message).at(offset)
    }

    fn too_much(&self, message: String) -> Error {
        let offset = u64::try_from(self.offset()).unwrap_or(u64::MAX);
        Error::limit("GRUB script", message).at(offset)
    }

    fn expect_keyword(&mut self, keyword: &[u8]) -> Result<()> {
        if self.keyword() != Some(keyword) {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(())
    }

    fn expect(&mut self, kind: Kind) -> Result<Range<usize>> {
        match self.peek() {
            Some(token) if token.kind == kind => {
                self.at += 1;
                Ok(token.span.clone())
            }
            _ => Err(self.unexpected()),
        }
    }

    fn word(&mut self) -> Result<Word> {
        Ok(Word::read(self.source, self.expect(Kind::Word)?))
    }

    /// What stands between statements: one semicolon at most, then ends of lines. Before the first there is no semicolon.
    fn skip_delimiters(&mut self) {
        if self.kind() == Some(Kind::Semicolon) {
            self.at += 1;
        }
        self.skip_newlines();
    }

    fn skip_newlines(&mut self) {
        while self.kind() == Some(Kind::Newline) {
            self.at += 1;
        }
    }

    /// Statements up to what cannot begin one: the end, a brace, or a keyword that belongs to whoever called.
    fn statements(&mut self) -> Result<Vec<Statement>> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            let message = format!("statements in statements, over {DEPTH_LIMIT} deep");
            return Err(self.too_much(message));
        }
        let mut statements = Vec::new();
        self.skip_newlines();
        while let Some(statement) = self.statement()? {
            statements.push(statement);
            self.count += 1;
            if self.count > STATEMENT_LIMIT {
                return Err(self.too_much(format!("over {STATEMENT_LIMIT} statements")));
            }
            match self.kind() {
                Some(Kind::Newline | Kind::Semicolon) => self.skip_delimiters(),
                None | Some(Kind::Close) => break,
                Some(_) => return Err(self.unexpected()),
            }
        }
        self.depth -= 1;
        Ok(statements)
    }

    /// At least one statement, as GRUB wants it in conditions, loops and blocks.
    fn some_statements(&mut self) -> Result<Vec<Statement>> {
        let statements = self.statements()?;
        if statements.is_empty() {
            return Err(self.unexpected());
        }
        Ok(statements)
    }

    fn statement(&mut self) -> Result<Option<Statement>> {
        if self.kind() != Some(Kind::Word) {
            return Ok(None);
        }
        match self.keyword() {
            None => self.command().map(Some),
            Some(b"if") => self.condition().map(Some),
            Some(b"while" | b"until") => self.repetition().map(Some),
            Some(b"for") => self.iteration().map(Some),
            Some(b"function") => self.function().map(Some),
            Some(_) => Ok(None),
        }
    }

    fn command(&mut self) -> Result<Statement> {
        let start = self.offset();
        let (mut words, mut blocks) = (Vec::new(), Vec::new());
        loop {
            match self.kind() {
                Some(Kind::Word) if self.is_double_bracket() => return Err(self.unexpected()),
                Some(Kind::Word) => words.push(self.word()?),
                Some(Kind::Open) => blocks.push(self.block()?),
                _ => break,
            }
        }
        Ok(Statement::Command(Command {
            span: start..self.end(),
            words,
            blocks,
        }))
    }

    fn block(&mut self) -> Result<Block> {
        let start = self.expect(Kind::Open)?.start;
        let statements = self.some_statements()?;
        let end = self.expect(Kind::Close)?.end;
        Ok(Block {
            span: start..end,
            statements,
        })
    }

    fn condition(&mut self) -> Result<Statement> {
        let start = self.offset();
        let mut branches = Vec::new();
        let mut otherwise = Vec::new();
        self.at += 1;
        loop {
            let condition = self.some_statements()?;
            self.expect_keyword(b"then")?;
            let body = self.some_statements()?;
            branches.push(Branch { condition, body });
            match self.keyword() {
                Some(b"elif") => self.at += 1,
                Some(b"else") => {
                    self.at += 1;
                    otherwise = self.some_statements()?;
                    break;
                }
                _ => break,
            }
        }
        self.expect_keyword(b"fi")?;
        Ok(Statement::If {
            span: start..self.end(),
            branches,
            otherwise,
        })
    }

    fn repetition(&mut self) -> Result<Statement> {
        let start = self.offset();
        self.at += 1;
        let condition = self.some_statements()?;
        let body = self.loop_body()?;
        Ok(Statement::While {
            span: start..self.end(),
            branch: Branch { condition, body },
        })
    }

    fn iteration(&mut self) -> Result<Statement> {
        let start = self.offset();
        self.at += 1;
        let name = self.word()?;
        self.expect_keyword(b"in")?;
        let mut words = Vec::new();
        while self.kind() == Some(Kind::Word) {
            words.push(self.word()?);
        }
        self.skip_delimiters();
        let body = self.loop_body()?;
        Ok(Statement::For {
            span: start..self.end(),
            name,
            words,
            body,
        })
    }

    fn loop_body(&mut self) -> Result<Vec<Statement>> {
        self.expect_keyword(b"do")?;
        let body = self.some_statements()?;
        self.expect_keyword(b"done")?;
        Ok(body)
    }

    fn function(&mut self) -> Result<Statement> {
        let start = self.offset();
        self.at += 1;
        let name = self.word()?;
        self.skip_delimiters();
        let body = self.block()?;
        // Other than in a menu entry, a delimiter has to stand before the brace.
        let before_brace = self.at.checked_sub(2).and_then(|at| self.tokens.get(at));
        if before_brace.is_none_or(|token| !matches!(token.kind, Kind::Newline | Kind::Semicolon)) {
            self.at -= 1;
            return Err(self.unexpected());
        }
        Ok(Statement::Function {
            span: start..self.end(),
            name,
            body,
        })
    }
}
