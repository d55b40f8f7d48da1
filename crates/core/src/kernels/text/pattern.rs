//! Stage: run. Thread: native workers.
//! A regular expression, compiled within bounds, and the cutting of text into spans that it can be searched in one by
//! one.
//!
//! P1. A span ends at a newline only if no match of the pattern can hold a newline. Look-around sees the whole text, not
//! the span. So the matches of all spans, in order, are the matches of the text.

use super::find_byte;
use crate::error::{ErrorCode, KernelError};
use crate::kernel::KernelContext;
use regex_automata::meta::{self, Cache, Regex};
use regex_automata::util::iter::Searcher;
use regex_automata::util::syntax;
use regex_automata::{HalfMatch, Input, Match, Span};
use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::ast::{Ast, ClassSetBinaryOp, ClassSetItem, Visitor, visit};
use regex_syntax::hir::{Class, Hir, HirKind};

/// Bytes of a pattern at most. What is no class of characters takes some hundred bytes for each when it is parsed.
const MAX_PATTERN: usize = 1 << 18;

/// Classes of characters in a pattern at most. One like `\w` takes two bytes of the pattern, and some thousand when it is parsed.
const MAX_CLASSES: usize = 1 << 12;

/// What an intersection, difference or negation of classes counts for: it is worked out range by range.
const COMBINED: usize = 16;

/// Bytes of the compiled automaton at most: as much as the regex crate allows by default. It also bounds the time for
/// compiling.
const MAX_COMPILED: usize = 10 << 20;

/// Bytes that a search may use per thread to cache states.
const CACHE: usize = 2 << 20;

/// Bytes of a span at least. Most patterns take a tenth of a millisecond for it, the slowest a few milliseconds.
pub(super) const SPAN: usize = 64 * 1024;

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    /// Whether a match can hold a newline.
    crosses_lines: bool,
}

impl Pattern {
    /// Compiles `pattern`. With `utf8`, no match will split a character, and patterns that could are refused.
    pub(super) fn new(pattern: &str, flags: &str, utf8: bool) -> Result<Self, KernelError> {
        let syntax = syntax_of(flags)?.utf8(utf8);
        if pattern.len() > MAX_PATTERN {
            return Err(invalid(format!(
                "it is too large: {} bytes, where {MAX_PATTERN} are the most",
                pattern.len()
            )));
        }
        let classes = classes_of(pattern, flags)?;
        if classes > MAX_CLASSES {
            return Err(invalid(format!(
                "it is too large: its classes of characters count for {classes}, where {MAX_CLASSES} are the most"
            )));
        }
        let hir = syntax::parse_with(pattern, &syntax).map_err(|error| invalid(reason(pattern, &error)))?;
        let config = meta::Config::new()
            .utf8_empty(utf8)
            .nfa_size_limit(Some(MAX_COMPILED))
            .hybrid_cache_capacity(CACHE);
        let regex = Regex::builder().configure(config).build_from_hir(&hir).map_err(|error| {
            invalid(match error.size_limit() {
                Some(limit) => format!("it is too large: compiled it exceeds {limit} bytes"),
                None => error.to_string(),
            })
        })?;
        Ok(Self { regex, crosses_lines: can_match_newline(&hir) })
    }

    /// Memory for searches of one thread.
    pub(super) fn cache(&self) -> Cache {
        self.regex.create_cache()
    }

    /// Cuts `text` into spans of `least` bytes or more, which can be searched in any order (P1).
    pub(super) fn spans(
        &self,
        text: &[u8],
        least: usize,
        ctx: &KernelContext<'_>,
    ) -> Result<Vec<Span>, KernelError> {
        if self.crosses_lines {
            return Ok(vec![Span { start: 0, end: text.len() }]);
        }
        let mut spans = Vec::new();
        let mut start = 0usize;
        // A newline is in no match. The place before it belongs to the span that it ends, the place after it to the next.
        while let Some(end) = find_byte(b'\n', text, start.saturating_add(least), ctx)? {
            ctx.check()?;
            spans.push(Span { start, end });
            start = end + 1;
        }
        spans.push(Span { start, end: text.len() });
        Ok(spans)
    }

    /// Calls `found` with every match in `span`, in order, until it says `false`. Overlapping matches are left out as
    /// the regex crate does it.
    pub(super) fn for_each_match(
        &self,
        text: &[u8],
        span: Span,
        ctx: &KernelContext<'_>,
        cache: &mut Cache,
        mut found: impl FnMut(Match) -> Result<bool, KernelError>,
    ) -> Result<(), KernelError> {
        let mut searcher = Searcher::new(Input::new(text).span(span));
        while let Some(next) = searcher.advance(|input| Ok(self.regex.search_with(cache, input))) {
            ctx.check()?;
            if !found(next)? {
                return Ok(());
            }
        }
        ctx.check()
    }

    /// Like [`Pattern::for_each_match`], but `found` gets only the end of each match, which takes half the time.
    pub(super) fn for_each_end(
        &self,
        text: &[u8],
        span: Span,
        ctx: &KernelContext<'_>,
        cache: &mut Cache,
        mut found: impl FnMut(HalfMatch),
    ) -> Result<(), KernelError> {
        let mut searcher = Searcher::new(Input::new(text).span(span));
        while let Some(next) = searcher.advance_half(|input| Ok(self.regex.search_half_with(cache, input))) {
            ctx.check()?;
            found(next);
        }
        ctx.check()
    }
}

fn invalid(reason: impl std::fmt::Display) -> KernelError {
    KernelError::new(ErrorCode::InvalidPattern, format!("the pattern is not valid: {reason}"))
}

/// What the parser complains of, and where, in one line.
fn reason(pattern: &str, error: &regex_syntax::Error) -> String {
    let (kind, span) = match error {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), *error.span()),
        regex_syntax::Error::Translate(error) => (error.kind().to_string(), *error.span()),
        error => return error.to_string(),
    };
    let at = pattern.get(..span.start.offset).map_or(0, |before| before.chars().count());
    format!("{kind} (at character {})", at + 1)
}

/// How many classes of characters a pattern has, before any is worked out; what does not parse has none.
fn classes_of(pattern: &str, flags: &str) -> Result<usize, KernelError> {
    struct Count(usize);
    impl Visitor for Count {
        type Output = usize;
        type Err = KernelError;
        fn finish(self) -> Result<usize, KernelError> {
            Ok(self.0)
        }
        fn visit_pre(&mut self, ast: &Ast) -> Result<(), KernelError> {
            self.0 += match ast {
                Ast::ClassUnicode(_) | Ast::ClassPerl(_) | Ast::ClassBracketed(_) => 1,
                _ => 0,
            };
            Ok(())
        }
        fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), KernelError> {
            self.0 += match item {
                ClassSetItem::Unicode(_) | ClassSetItem::Perl(_) => 1,
                ClassSetItem::Bracketed(class) if class.negated => COMBINED,
                _ => 0,
            };
            Ok(())
        }
        fn visit_class_set_binary_op_pre(&mut self, _: &ClassSetBinaryOp) -> Result<(), KernelError> {
            self.0 += COMBINED;
            Ok(())
        }
    }
    let parsed = ParserBuilder::new().ignore_whitespace(flags.contains('x')).build().parse(pattern);
    parsed.map_or(Ok(0), |ast| visit(&ast, Count(0)))
}

/// The parser's settings for `flags`.
fn syntax_of(flags: &str) -> Result<syntax::Config, KernelError> {
    let mut config = syntax::Config::new();
    for flag in flags.chars() {
        config = match flag {
            'i' => config.case_insensitive(true),
            'm' => config.multi_line(true),
            's' => config.dot_matches_new_line(true),
            'x' => config.ignore_whitespace(true),
            // Every search is for all matches, and Unicode is always on.
            'g' | 'u' => config,
            _ => {
                return Err(KernelError::arg_value(format!(
                    "flags may hold 'i', 'm', 's', 'x', 'g' and 'u', not '{flag}'"
                )));
            }
        };
    }
    Ok(config)
}

/// Whether some match of `hir` might hold a newline. A `false` is a proof; a `true` may be wrong, for example for a
/// part that is repeated zero times.
fn can_match_newline(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        // No longer character has this byte in its UTF-8 form.
        HirKind::Literal(literal) => literal.0.contains(&b'\n'),
        HirKind::Class(Class::Unicode(class)) => {
            class.iter().any(|range| (range.start()..=range.end()).contains(&'\n'))
        }
        HirKind::Class(Class::Bytes(class)) => {
            class.iter().any(|range| (range.start()..=range.end()).contains(&b'\n'))
        }
        HirKind::Repetition(repetition) => can_match_newline(&repetition.sub),
        HirKind::Capture(capture) => can_match_newline(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(can_match_newline),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::TestHost;

    fn crosses(pattern: &str, flags: &str) -> bool {
        Pattern::new(pattern, flags, true).unwrap().crosses_lines
    }

    #[test]
    fn p1_patterns_that_stay_in_a_line_are_known() {
        for pattern in
            ["abc", "a.*b", r"\d+", r"\w+@\w+", "^x$", r"\bfoo\b", "[a-z]{2,5}|é+", r"\A.*\z", "", "[^\n]"]
        {
            assert!(!crosses(pattern, ""), "{pattern}");
            assert!(!crosses(pattern, "im"), "{pattern}");
        }
        for pattern in ["a\nb", r"\s+", "[^a]", r"\W", "(?s).", r"\n*", "[\t-\r]", r"(a|(b\n)?)", r"\P{L}"] {
            assert!(crosses(pattern, ""), "{pattern}");
        }
        assert!(crosses("a.b", "s"));
        assert!(Pattern::new(r"(?-u:[^a])", "", false).unwrap().crosses_lines);
        assert!(!Pattern::new(r"(?-u:[\x80-\xFF]+)", "", false).unwrap().crosses_lines);
    }

    fn spans(text: &str, least: usize) -> Vec<(usize, usize)> {
        let host = TestHost::new();
        let pattern = Pattern::new("a", "", true).unwrap();
        let spans = pattern.spans(text.as_bytes(), least, &KernelContext::new(&host)).unwrap();
        spans.iter().map(|span| (span.start, span.end)).collect()
    }

    #[test]
    fn p1_spans_cover_every_place_once() {
        assert_eq!(spans("", 0), [(0, 0)]);
        assert_eq!(spans("\n", 0), [(0, 0), (1, 1)]);
        assert_eq!(spans("ab\n\ncd", 0), [(0, 2), (3, 3), (4, 6)]);
        assert_eq!(spans("ab\n\ncd\n", 1), [(0, 2), (3, 6), (7, 7)]);
        assert_eq!(spans("ab\n\ncd\n", usize::MAX), [(0, 7)]);
    }

    #[test]
    fn invalid_patterns_say_why_and_where() {
        for (pattern, part) in [
            ("(a", "unclosed group (at character 1)"),
            ("éé[", "unclosed character class (at character 3)"),
            ("a(?=b)", "look-around, including look-ahead and look-behind, is not supported"),
            (r"(a)\1", "backreferences are not supported"),
            (r"\p{nothing}", "Unicode property not found"),
            ("(?-u:\\xFF)", "pattern can match invalid UTF-8"),
            ("[b-a]", "invalid character class range"),
            (r"(\w{1000}){1000}", "it is too large: compiled"),
        ] {
            let error = Pattern::new(pattern, "", true).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidPattern);
            assert!(error.message.contains(part), "{}", error.message);
            assert!(!error.message.contains('\n'));
        }
        let deep = "(".repeat(10_000) + &")".repeat(10_000);
        assert_eq!(Pattern::new(&deep, "", true).unwrap_err().code, ErrorCode::InvalidPattern);
        let long = "a".repeat(MAX_PATTERN + 1);
        assert_eq!(Pattern::new(&long, "", true).unwrap_err().code, ErrorCode::InvalidPattern);
    }

    #[test]
    fn classes_are_counted_before_they_are_worked_out() {
        for pattern in [r"\w".repeat(5000), r"[\w&&\pL]".repeat(300), r"[^x[^\pL]]".repeat(300)] {
            let error = Pattern::new(&pattern, "i", true).unwrap_err();
            assert!(error.message.contains("classes of characters"), "{}", error.message);
        }
        assert!(Pattern::new(&r"[a-z]".repeat(1000), "", true).is_ok());
        assert!(Pattern::new("[ a # b\n ]", "x", true).is_ok());
    }

    #[test]
    fn unknown_flags_are_errors() {
        for flags in ["y", "d", "I", " ", "é", "igq"] {
            assert_eq!(Pattern::new("a", flags, true).unwrap_err().code, ErrorCode::InvalidArgValue);
        }
        assert!(Pattern::new("a", "gimsux", true).is_ok());
    }
}
