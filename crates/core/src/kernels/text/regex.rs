//! Stage: run. Thread: native workers.
//! `regexFind` and `regexCount`: all matches of a regular expression, or how many there are.
//!
//! R1. The matches are those of the regex crate's `find_iter` over the whole text, whatever the spans and threads.

use super::pattern::{Pattern, SPAN};
use super::{MAX_LENGTH, Meter, Text, count, object, string};
use crate::error::{ErrorCode, KernelError};
use crate::kernel::{Field, Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::Value;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a regular expression matches.
///
/// # Complexity
///
/// O(m · n) per search for a pattern of size m and a text of n bytes, and never exponential. All matches together can
/// take O(m · n²) with patterns that look far ahead to find little. Two numbers per match.
///
/// # Source
///
/// regex-automata, the engine of the regex crate: finite automata, chosen by pattern.
#[derive(Debug)]
pub(super) struct RegexFind;

/// How often a regular expression matches.
///
/// # Complexity
///
/// As [`RegexFind`], with no memory per match. Spread over idle workers when no match can hold a newline.
///
/// # Source
///
/// As [`RegexFind`].
#[derive(Debug)]
pub(super) struct RegexCount;

const INPUT: Schema = Schema::Object {
    fields: &[
        Field::required("text", Schema::Text),
        Field::required("pattern", Schema::STRING),
        Field::optional("flags", Schema::STRING),
    ],
};

/// Matches between two progress reports.
const REPORT: usize = 4096;

/// The text and the pattern of an input.
fn search_of(input: Value, ctx: &KernelContext<'_>) -> Result<(Text, Pattern), KernelError> {
    ctx.check()?;
    let mut input = object(input)?;
    let flags = if input.get("flags").is_some() { string(&input, "flags")? } else { "" };
    let utf8 = !matches!(input.get("text"), Some(Value::Array(_)));
    let pattern = Pattern::new(string(&input, "pattern")?, flags, utf8)?;
    let text = Text::of(input.take("text"), "text", ctx)?;
    Ok((text, pattern))
}

impl Kernel for RegexFind {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "regexFind",
            group: "text",
            summary: "Start and end of every match of a regular expression.",
            input: INPUT,
            options: &[Field::optional("limit", Schema::integer(0.0, MAX_LENGTH))],
            output: "{ start: number, end: number }[]",
            in_place: false,
            parallel: false,
        };
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let limit = input.options.get("limit").map(|limit| count(limit, "options.limit")).transpose()?;
        let (text, pattern) = search_of(input.value, ctx)?;
        let cells = find(&text, &pattern, limit.unwrap_or(MAX_LENGTH as usize), SPAN, ctx)?;
        Ok(Value::Rows { keys: &["start", "end"], cells })
    }
}

fn find(
    text: &Text,
    pattern: &Pattern,
    limit: usize,
    least_span: usize,
    ctx: &KernelContext<'_>,
) -> Result<Vec<f64>, KernelError> {
    let bytes = text.as_bytes();
    let mut cells = Vec::new();
    let mut cache = pattern.cache();
    let mut offsets = Offsets { bytes, utf16: matches!(text, Text::Utf8(_)), place: 0, units: 0 };
    for span in pattern.spans(bytes, least_span, ctx)? {
        if cells.len() / 2 == limit {
            break;
        }
        pattern.for_each_match(bytes, span, ctx, &mut cache, |found| {
            // The only memory that the number of matches decides; better an error than an abort.
            if cells.try_reserve(2).is_err() {
                return Err(KernelError::new(
                    ErrorCode::System,
                    format!("no memory for more than {} matches", cells.len() / 2),
                ));
            }
            cells.push(offsets.at(found.start(), ctx)?);
            cells.push(offsets.at(found.end(), ctx)?);
            if (cells.len() / 2).is_multiple_of(REPORT) {
                ctx.progress(found.end(), bytes.len());
            }
            Ok(cells.len() / 2 < limit)
        })?;
        ctx.progress(span.end, bytes.len());
    }
    ctx.check()?;
    Ok(cells)
}

/// Turns byte offsets, which only grow, into offsets of the caller.
struct Offsets<'a> {
    bytes: &'a [u8],
    utf16: bool,
    place: usize,
    units: usize,
}

impl Offsets<'_> {
    fn at(&mut self, offset: usize, ctx: &KernelContext<'_>) -> Result<f64, KernelError> {
        if !self.utf16 {
            return Ok(offset as f64);
        }
        for part in self.bytes[self.place..offset].chunks(super::STRIDE) {
            self.units += utf16_len(part);
            if part.len() == super::STRIDE {
                ctx.check()?;
            }
        }
        self.place = offset;
        Ok(self.units as f64)
    }
}

/// UTF-16 code units of a piece of UTF-8: one per character, two where it takes four bytes. Each is counted at the
/// character's first byte.
fn utf16_len(utf8: &[u8]) -> usize {
    // Sums of at most 254, so that the compiler can use small lanes.
    let part = |part: &[u8]| {
        part.iter().map(|&byte| u8::from(byte.cast_signed() >= -64) + u8::from(byte >= 0xF0)).sum::<u8>()
    };
    utf8.chunks(127).map(|chunk| usize::from(part(chunk))).sum()
}

impl Kernel for RegexCount {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "regexCount",
            group: "text",
            summary: "How often a regular expression matches.",
            input: INPUT,
            options: &[],
            output: "number",
            in_place: false,
            parallel: true,
        };
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let (text, pattern) = search_of(input.value, ctx)?;
        Ok(Value::Number(count_matches(text.as_bytes(), &pattern, SPAN, ctx)? as f64))
    }
}

fn count_matches(
    text: &[u8],
    pattern: &Pattern,
    least_span: usize,
    ctx: &KernelContext<'_>,
) -> Result<u64, KernelError> {
    let spans = pattern.spans(text, least_span, ctx)?;
    let meter = Meter::new(ctx, text.len());
    // One cache per thread, kept for its next span: a fresh one has to learn the states again.
    let caches = Mutex::new(Vec::new());
    let total = AtomicU64::new(0);
    ctx.parallel_for(spans.len(), |index| {
        let span = spans[index];
        let cached = caches.lock().pop();
        let mut cache = cached.unwrap_or_else(|| pattern.cache());
        let mut count = 0u64;
        let mut reported = span.start;
        let searched = pattern.for_each_end(text, span, ctx, &mut cache, |end| {
            count += 1;
            if count.is_multiple_of(REPORT as u64) {
                meter.add(end.offset() - reported);
                reported = end.offset();
            }
        });
        // A cancel is reported by `parallel_for`; what was counted is dropped then.
        if searched.is_ok() {
            total.fetch_add(count, Ordering::Relaxed);
            meter.add((span.end + 1).min(text.len()) - reported);
        }
        caches.lock().push(cache);
    })?;
    Ok(total.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{SharedMemory, TestHost, assert_cancels};
    use crate::value::{Array, ElementKind};

    fn input(text: Value, pattern: &str, flags: &str) -> Value {
        Value::object([
            ("text", text),
            ("pattern", Value::String(pattern.to_owned())),
            ("flags", Value::String(flags.to_owned())),
        ])
    }

    fn string_value(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    fn bytes_value(text: impl AsRef<[u8]>) -> Value {
        Value::from_vec(text.as_ref().to_vec())
    }

    fn find_in(text: Value, pattern: &str, flags: &str, options: Value) -> Vec<(f64, f64)> {
        let result = TestHost::new().run(&RegexFind, input(text, pattern, flags), options).unwrap();
        let Value::Rows { keys, cells } = result else { unreachable!() };
        assert_eq!(keys, ["start", "end"]);
        cells.chunks(2).map(|row| (row[0], row[1])).collect()
    }

    fn count_in(threads: usize, text: Value, pattern: &str, flags: &str) -> f64 {
        TestHost::with_threads(threads)
            .run(&RegexCount, input(text, pattern, flags), Value::Undefined)
            .unwrap()
            .as_number()
            .unwrap()
    }

    #[test]
    fn offsets_are_in_the_units_of_the_caller() {
        let text = "aé😀x é\u{FFFD}x";
        assert_eq!(find_in(string_value(text), "x", "", Value::Undefined), [(4.0, 5.0), (8.0, 9.0)]);
        assert_eq!(find_in(bytes_value(text), "x", "", Value::Undefined), [(7.0, 8.0), (14.0, 15.0)]);
        assert_eq!(find_in(string_value(text), "😀.", "", Value::Undefined), [(2.0, 5.0)]);
        let long = "é😀a".repeat(1000);
        for (at, (start, end)) in find_in(string_value(&long), "a", "", Value::Undefined).iter().enumerate() {
            assert_eq!((*start, *end), (at as f64 * 4.0 + 3.0, at as f64 * 4.0 + 4.0));
        }
    }

    #[test]
    fn units_of_utf16() {
        for text in ["", "a", "é", "€", "😀", "a😀é€\u{10FFFF}\u{FFFF}"] {
            let text = text.repeat(300);
            assert_eq!(utf16_len(text.as_bytes()), text.encode_utf16().count());
        }
    }

    #[test]
    fn empty_matches_and_empty_texts() {
        assert_eq!(find_in(string_value(""), "", "", Value::Undefined), [(0.0, 0.0)]);
        assert_eq!(find_in(string_value(""), "a", "", Value::Undefined), []);
        // No match inside a character of a string.
        assert_eq!(find_in(string_value("😀"), "", "", Value::Undefined), [(0.0, 0.0), (2.0, 2.0)]);
        assert_eq!(count_in(1, bytes_value("😀"), "(?-u)", ""), 5.0);
        assert_eq!(count_in(1, string_value("a\n"), "^", "m"), 2.0);
        assert_eq!(count_in(1, string_value("a\n"), "$", "m"), 2.0);
        assert_eq!(count_in(1, string_value("a\n"), "$", ""), 1.0);
        assert_eq!(count_in(1, string_value(""), "a", ""), 0.0);
    }

    #[test]
    fn flags_work() {
        assert_eq!(count_in(1, string_value("aA"), "a", "gu"), 1.0);
        assert_eq!(count_in(1, string_value("aA"), "a", "i"), 2.0);
        assert_eq!(count_in(1, string_value("a\nb"), "^.$", "m"), 2.0);
        assert_eq!(count_in(1, string_value("a\nb"), "^.*$", "s"), 1.0);
        assert_eq!(count_in(1, string_value("ab"), "a b # both", "x"), 1.0);
        let nothing = Value::object([("text", string_value("a")), ("pattern", string_value("a"))]);
        assert!(TestHost::new().run(&RegexCount, nothing, Value::Undefined).is_ok());
        let wrong = Value::object([
            ("text", string_value("a")),
            ("pattern", string_value("a")),
            ("flags", Value::Number(1.0)),
        ]);
        let error = TestHost::new().run(&RegexCount, wrong, Value::Undefined).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidArgType);
    }

    #[test]
    fn limits_cut_the_result() {
        for (limit, expected) in [(0.0, 0), (1.0, 1), (3.0, 3), (4.0, 4), (5.0, 4)] {
            let options = || Value::object([("limit", Value::Number(limit))]);
            assert_eq!(find_in(string_value("a\na\na\na"), "a", "", options()).len(), expected);
            assert_eq!(find_in(string_value("a\na\na\na"), r"a\s?", "", options()).len(), expected);
        }
        for (limit, code) in [
            (Value::Number(-1.0), ErrorCode::OutOfRange),
            (Value::Number(0.5), ErrorCode::OutOfRange),
            (Value::Null, ErrorCode::InvalidArgType),
        ] {
            let options = Value::object([("limit", limit)]);
            let error =
                TestHost::new().run(&RegexFind, input(string_value("a"), "a", ""), options).unwrap_err();
            assert_eq!(error.code, code);
        }
    }

    #[test]
    fn bytes_need_not_be_utf8() {
        let text = b"\xFFabc\x80\xFF";
        assert_eq!(find_in(bytes_value(text), "(?-u:\\xFF)", "", Value::Undefined), [(0.0, 1.0), (5.0, 6.0)]);
        assert_eq!(find_in(bytes_value(text), ".+", "", Value::Undefined), [(1.0, 4.0)]);
        // Other kinds of elements are taken as bytes.
        let array = Array::copy_from(ElementKind::F64, b"--------a-------");
        assert_eq!(find_in(Value::Array(array), "a", "", Value::Undefined), [(8.0, 9.0)]);
    }

    /// Lines made of few characters, so that the patterns below find much in them.
    fn lines(seed: u64, length: usize, alphabet: &[&str]) -> String {
        let mut state = seed;
        let mut text = String::new();
        for _ in 0..length {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(alphabet[(state >> 33) as usize % alphabet.len()]);
        }
        text
    }

    const PATTERNS: [(&str, &str); 22] = [
        ("a", ""),
        ("ab|a|b+", ""),
        ("a*", ""),
        ("", ""),
        ("^", "m"),
        ("$", "m"),
        ("^", ""),
        ("$", ""),
        (r"\A", ""),
        (r"\z", ""),
        ("^a.*b$", "m"),
        ("^.*$", "m"),
        ("(?R)^a*$", "m"),
        (r"\b", ""),
        (r"\B", ""),
        (r"\bab?\b", "i"),
        (r"(?-u:\b)a", ""),
        (r"\w*?", ""),
        (r"a\s*", ""),
        ("[^a]+", ""),
        ("a.b", "s"),
        ("é|😀+", ""),
    ];

    #[test]
    fn r1_spans_and_threads_do_not_show() {
        for seed in 0..6 {
            let text = lines(seed, 600, &["a", "b", "A", " ", "\n", "\n", "é", "😀", "\r", "-"]);
            for (pattern, flags) in PATTERNS {
                let reference = regex::RegexBuilder::new(pattern)
                    .case_insensitive(flags.contains('i'))
                    .multi_line(flags.contains('m'))
                    .dot_matches_new_line(flags.contains('s'))
                    .build()
                    .unwrap();
                let expected: Vec<f64> = reference
                    .find_iter(&text)
                    .flat_map(|found| [found.start(), found.end()])
                    .map(|offset| text[..offset].encode_utf16().count() as f64)
                    .collect();
                let ours = Pattern::new(pattern, flags, true).unwrap();
                for least_span in [0, 1, 7, 100, SPAN] {
                    let host = TestHost::with_threads(4);
                    let ctx = KernelContext::new(&host);
                    let found = find(&Text::Utf8(text.clone()), &ours, usize::MAX, least_span, &ctx).unwrap();
                    assert_eq!(found, expected, "{pattern:?} {least_span}");
                    let count = count_matches(text.as_bytes(), &ours, least_span, &ctx).unwrap();
                    assert_eq!(count as usize * 2, expected.len(), "{pattern:?} {least_span}");
                }
            }
        }
    }

    #[test]
    fn r1_spans_do_not_show_in_broken_utf8_either() {
        for seed in 0..6 {
            let text = lines(seed, 600, &["a", "b", " ", "\n", "\n", "é", "😀"]);
            // Bytes out of the middle of characters.
            let text: Vec<u8> =
                text.bytes().enumerate().filter(|(at, _)| at % 5 != 3).map(|(_, b)| b).collect();
            for (pattern, flags) in PATTERNS {
                let reference = regex::bytes::RegexBuilder::new(pattern)
                    .case_insensitive(flags.contains('i'))
                    .multi_line(flags.contains('m'))
                    .dot_matches_new_line(flags.contains('s'))
                    .build()
                    .unwrap();
                let expected: Vec<f64> = reference
                    .find_iter(&text)
                    .flat_map(|found| [found.start() as f64, found.end() as f64])
                    .collect();
                let ours = Pattern::new(pattern, flags, false).unwrap();
                for least_span in [0, 5, SPAN] {
                    let host = TestHost::with_threads(3);
                    let ctx = KernelContext::new(&host);
                    let array = Text::Bytes(Array::from_vec(text.clone()));
                    let found = find(&array, &ours, usize::MAX, least_span, &ctx).unwrap();
                    assert_eq!(found, expected, "{pattern:?} {least_span}");
                    let count = count_matches(&text, &ours, least_span, &ctx).unwrap();
                    assert_eq!(count as usize * 2, expected.len(), "{pattern:?} {least_span}");
                }
            }
        }
    }

    #[test]
    fn r1_a_big_text_on_many_threads() {
        let text = lines(1, 400_000, &["a", "b", " ", "word", "\n"]);
        for pattern in ["word", r"\bword\b", r"\s"] {
            let expected = regex::Regex::new(pattern).unwrap().find_iter(&text).count() as f64;
            assert!(expected > 1000.0);
            assert_eq!(count_in(4, string_value(&text), pattern, ""), expected);
        }
    }

    #[test]
    fn shared_memory_is_read() {
        let memory = SharedMemory::copy_of(&Array::from_vec(b"one two\nthree".to_vec()));
        assert_eq!(count_in(2, memory.view(), r"\w+", ""), 3.0);
        assert_eq!(find_in(memory.view(), "t", "", Value::Undefined), [(4.0, 5.0), (8.0, 9.0)]);
    }

    #[test]
    fn progress_reaches_the_total() {
        let text = lines(3, 200_000, &["a", "b", "\n"]);
        for (kernel, pattern) in [
            (&RegexFind as &dyn Kernel, "a"),
            (&RegexCount, "a"),
            (&RegexFind, r"a\s?"),
            (&RegexCount, r"a\s?"),
        ] {
            let host = TestHost::with_threads(3);
            host.run(kernel, input(string_value(&text), pattern, ""), Value::Undefined).unwrap();
            let reports = host.progress_reports();
            assert!(reports.len() > 2 && reports.is_sorted_by(|a, b| a.0 <= b.0));
            assert_eq!(reports.last(), Some(&(text.len() as f64, text.len() as f64)));
        }
    }

    #[test]
    fn a_cancel_is_seen() {
        let text = lines(2, 300_000, &["a", "b", "\n"]);
        for pattern in ["aab", r"a\s", "nothing"] {
            for kernel in [&RegexFind as &dyn Kernel, &RegexCount] {
                assert_cancels(kernel, 5, || (input(string_value(&text), pattern, ""), Value::Undefined));
            }
        }
    }
}
