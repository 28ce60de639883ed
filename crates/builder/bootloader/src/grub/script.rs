//! The syntax tree: statements with the spans at which they stand.

use std::ops::Range;
use std::rc::Rc;

use block::Result;

use super::word::Word;
use super::{lexer, parser};

/// A script as it was read.
#[derive(Clone, Debug)]
pub struct Script {
    source: Vec<u8>,
    statements: Vec<Statement>,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// A command with its words.
    Command(Command),
    /// `if … then … elif … then … else … fi`.
    If {
        /// From `if` to behind `fi`.
        span: Range<usize>,
        /// `if` and every `elif`, in their order.
        branches: Vec<Branch>,
        /// What `else` has.
        otherwise: Vec<Statement>,
    },
    /// `while … do … done` and `until … do … done`.
    While {
        /// From the keyword to behind `done`.
        span: Range<usize>,
        /// The condition and the body.
        branch: Branch,
    },
    /// `for name in words; do … done`.
    For {
        /// From `for` to behind `done`.
        span: Range<usize>,
        /// The variable.
        name: Word,
        /// What it goes through.
        words: Vec<Word>,
        /// What is repeated.
        body: Vec<Statement>,
    },
    /// `function name { … }`.
    Function {
        /// From `function` to behind the brace.
        span: Range<usize>,
        /// The name.
        name: Word,
        /// What it does.
        body: Block,
    },
}

/// A condition with what is done under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The last of these decides.
    pub condition: Vec<Statement>,
    /// What is done.
    pub body: Vec<Statement>,
}

/// A command: `linux /vmlinuz ro`, `menuentry 'x' { … }`, `set a=b`, `[ -f x ]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// From the first word to the end of the last word or block.
    pub span: Range<usize>,
    /// The words, the first of which is the command's name; at least one.
    pub words: Vec<Word>,
    /// The blocks among the words.
    pub blocks: Vec<Block>,
}

/// `{ … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// With the braces.
    pub span: Range<usize>,
    /// What stands between.
    pub statements: Vec<Statement>,
}

/// A command as [`Script::commands`] meets it.
#[derive(Clone, Debug)]
pub struct Visit<'a> {
    /// The command.
    pub command: &'a Command,
    /// The commands in whose blocks it stands, outermost first: submenus and menu entries.
    pub within: Rc<[&'a Command]>,
    /// Whether it stands in a condition, loop or function inside the innermost of these.
    pub nested: bool,
}

impl Command {
    /// The command's name, if no variable is in it.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.words.first().and_then(Word::literal)
    }

    /// The words behind the name.
    #[must_use]
    pub fn arguments(&self) -> &[Word] {
        self.words.get(1..).unwrap_or_default()
    }
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    ///
    /// [`block::Kind::Corrupt`] with the offset at which the bytes break the syntax, [`block::Kind::Limit`] for a script that is
    /// longer or deeper than we read.
    pub fn parse(source: impl Into<Vec<u8>>) -> Result<Self> {
        let source = source.into();
        let tokens = lexer::tokens(&source)?;
        let statements = parser::parse(&source, &tokens)?;
        Ok(Self { source, statements })
    }

    /// The bytes that were read.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// The bytes at `span`, as they were written; what is no UTF-8 is replaced.
    #[must_use]
    pub fn text(&self, span: &Range<usize>) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.source.get(span.clone()).unwrap_or_default())
    }

    /// The statements outside of all blocks.
    #[must_use]
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// Every command, also those in conditions and blocks, in the order in which they stand.
    #[must_use]
    pub fn commands(&self) -> Vec<Visit<'_>> {
        let mut found = Vec::new();
        visit(&self.statements, &Rc::from([]), false, &mut found);
        found
    }
}

/// Collects the commands of `statements`. The depth is bounded by the parser.
fn visit<'a>(
    statements: &'a [Statement],
    within: &Rc<[&'a Command]>,
    nested: bool,
    found: &mut Vec<Visit<'a>>,
) {
    for statement in statements {
        match statement {
            Statement::Command(command) => {
                found.push(Visit {
                    command,
                    within: within.clone(),
                    nested,
                });
                if command.blocks.is_empty() {
                    continue;
                }
                let inner = within.iter().copied().chain([command]).collect();
                for block in &command.blocks {
                    visit(&block.statements, &inner, false, found);
                }
            }
            Statement::If {
                branches,
                otherwise,
                ..
            } => {
                for Branch { condition, body } in branches {
                    visit(condition, within, true, found);
                    visit(body, within, true, found);
                }
                visit(otherwise, within, true, found);
            }
            Statement::While { branch, .. } => {
                visit(&branch.condition, within, true, found);
                visit(&branch.body, within, true, found);
            }
            Statement::For { body, .. } => visit(body, within, true, found),
            Statement::Function { body, .. } => visit(&body.statements, within, true, found),
        }
    }
}
