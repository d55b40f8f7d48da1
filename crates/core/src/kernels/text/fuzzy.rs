//! Stage: run. Thread: native workers.
//! `fuzzyTopK`: the candidates that match a query best, as in the file finder of an editor.
//!
//! F1. The order is total, by score and then by index, so that the threads do not show in the result.

use super::{MAX_LENGTH, Meter, count, object, string};
use crate::error::KernelError;
use crate::kernel::{Field, Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::Value;
use frizbee::{CaseMatching, Config, Matcher, SortStrategy, UnicodeMatching};
use parking_lot::Mutex;
use std::cmp::Reverse;

/// The best `k` of a list of strings. A candidate matches when it has all characters of the query in their order, with
/// any others between them; runs, starts of words and the start of the candidate score higher. Case counts only if the
/// query has an upper-case letter.
///
/// # Complexity
///
/// O(q · n) for a query of q characters and n bytes of candidates; where the matching part of one is longer than 1024
/// bytes, a greedy pass scores it instead of the exact one. Memory for 2k results per part.
///
/// # Source
///
/// frizbee: Smith-Waterman alignment with affine gaps, on vectors.
#[derive(Debug)]
pub(super) struct FuzzyTopK;

/// Longest query in bytes. Its scoring table has this many rows.
const MAX_QUERY: usize = 1024;

/// Candidates per part.
const PART: usize = 4096;

/// Bytes of candidates between two cancel checks.
const BATCH_BYTES: usize = 1 << 18;

impl Kernel for FuzzyTopK {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "fuzzyTopK",
            group: "text",
            summary: "The candidates that match a query best, with their scores.",
            input: Schema::Object {
                fields: &[
                    Field::required("query", Schema::STRING),
                    Field::required("candidates", Schema::List { items: &Schema::STRING }),
                    Field::required("k", Schema::integer(0.0, MAX_LENGTH)),
                ],
            },
            options: &[],
            output: "{ index: number, score: number }[]",
            in_place: false,
            parallel: true,
        };
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let mut value = object(input.value)?;
        let Value::List(candidates) = value.take("candidates") else {
            return Err(KernelError::arg_type("candidates must be an array of strings"));
        };
        let query = string(&value, "query")?;
        let k = count(value.get("k").unwrap_or(&Value::Undefined), "k")?;
        if query.len() > MAX_QUERY {
            return Err(KernelError::arg_value(format!(
                "query must have at most {MAX_QUERY} bytes of UTF-8, not {}",
                query.len()
            )));
        }
        ctx.check()?;
        let best = top_k(query, &candidates, k, ctx)?;
        let cells = best.iter().flat_map(|found| [found.1 as f64, f64::from(found.0.0)]).collect();
        Ok(Value::Rows { keys: &["index", "score"], cells })
    }
}

/// Score and index; the least is the best.
type Found = (Reverse<u16>, usize);

fn top_k(
    query: &str,
    candidates: &[Value],
    k: usize,
    ctx: &KernelContext<'_>,
) -> Result<Vec<Found>, KernelError> {
    let config = Config::default()
        .max_typos(Some(0))
        .casing(CaseMatching::Smart)
        .unicode(UnicodeMatching::Smart)
        .sort(SortStrategy::IndexAsc);
    let meter = Meter::new(ctx, candidates.len());
    let result = Mutex::new(Ok(Best::new(k)));
    ctx.parallel_for(candidates.len().div_ceil(PART), |index| {
        let first = index * PART;
        let part = &candidates[first..candidates.len().min(first + PART)];
        let mut matcher = Matcher::new(query, &config);
        let best = search(&mut matcher, query.len(), part, first, k, ctx);
        let mut result = result.lock();
        match (&mut *result, best) {
            (Ok(all), Ok(best)) => all.merge(best),
            (Ok(_), Err(error)) => *result = Err(error),
            // The first error stays.
            (Err(_), _) => {}
        }
        drop(result);
        meter.add(part.len());
    })?;
    let best = result.into_inner()?.into_sorted();
    ctx.check()?;
    Ok(best)
}

/// The best of a part that begins at index `first`.
fn search(
    matcher: &mut Matcher,
    query_len: usize,
    part: &[Value],
    first: usize,
    k: usize,
    ctx: &KernelContext<'_>,
) -> Result<Best, KernelError> {
    // A long query takes more time per candidate.
    let batch_len = (16 * 1024 / query_len.max(1)).clamp(16, 512);
    let mut best = Best::new(k);
    let mut batch: Vec<&str> = Vec::with_capacity(batch_len);
    let mut rest = part;
    let mut batch_first = first;
    while !rest.is_empty() {
        ctx.check()?;
        let mut bytes = 0;
        batch.clear();
        for candidate in rest.iter().take(batch_len) {
            let Some(candidate) = candidate.as_str() else {
                let index = batch_first + batch.len();
                return Err(KernelError::arg_type(format!("candidates[{index}] must be a string")));
            };
            batch.push(candidate);
            bytes += candidate.len();
            if bytes >= BATCH_BYTES {
                break;
            }
        }
        for found in matcher.match_list(&batch) {
            best.push((Reverse(found.score), batch_first + found.index as usize));
        }
        batch_first += batch.len();
        rest = &rest[batch.len()..];
    }
    Ok(best)
}

/// Keeps the best `k` of all that is pushed, and forgets the others now and then.
#[derive(Debug)]
struct Best {
    k: usize,
    found: Vec<Found>,
}

impl Best {
    fn new(k: usize) -> Self {
        Self { k, found: Vec::new() }
    }

    fn push(&mut self, found: Found) {
        self.found.push(found);
        if self.found.len() >= self.k.saturating_mul(2).max(1024) {
            self.shrink();
        }
    }

    fn merge(&mut self, mut other: Self) {
        other.shrink();
        self.found.append(&mut other.found);
        if self.found.len() >= self.k.saturating_mul(2).max(1024) {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        if self.found.len() > self.k {
            if self.k > 0 {
                self.found.select_nth_unstable(self.k - 1);
            }
            self.found.truncate(self.k);
        }
    }

    fn into_sorted(mut self) -> Vec<Found> {
        self.shrink();
        self.found.sort_unstable();
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::kernels::testing::{TestHost, assert_cancels};

    fn input(query: &str, candidates: &[impl AsRef<str>], k: f64) -> Value {
        let candidates = candidates.iter().map(|text| Value::String(text.as_ref().to_owned())).collect();
        Value::object([
            ("query", Value::String(query.to_owned())),
            ("candidates", Value::List(candidates)),
            ("k", Value::Number(k)),
        ])
    }

    fn run(threads: usize, query: &str, candidates: &[impl AsRef<str>], k: f64) -> Vec<(usize, f64)> {
        let result = TestHost::with_threads(threads)
            .run(&FuzzyTopK, input(query, candidates, k), Value::Undefined)
            .unwrap();
        let Value::Rows { keys, cells } = result else { unreachable!() };
        assert_eq!(keys, ["index", "score"]);
        cells.chunks(2).map(|row| (row[0] as usize, row[1])).collect()
    }

    fn indices(query: &str, candidates: &[impl AsRef<str>], k: f64) -> Vec<usize> {
        run(1, query, candidates, k).iter().map(|found| found.0).collect()
    }

    #[test]
    fn the_best_comes_first() {
        let candidates = ["prelude", "foo_bar", "xfxbx", "fooBar", "barfoo", "fb"];
        let found = run(1, "fb", &candidates, 10.0);
        assert_eq!(found[0].0, 5);
        // Without the letters in their order there is no match.
        let mut matched: Vec<_> = found.iter().map(|found| found.0).collect();
        matched.sort_unstable();
        assert_eq!(matched, [1, 2, 3, 5]);
        assert_eq!(found.last().unwrap().0, 2);
        assert!(found.is_sorted_by(|a, b| a.1 >= b.1));
        assert_eq!(run(1, "fb", &candidates, 2.0), found[..2]);
        assert_eq!(run(1, "fb", &candidates, 0.0), []);
    }

    #[test]
    fn ties_go_to_the_lower_index() {
        assert_eq!(indices("a", &["ba", "ab", "ba", "ab"], 10.0), [1, 3, 0, 2]);
        assert_eq!(indices("a", &["ba", "ab", "ba", "ab"], 3.0), [1, 3, 0]);
    }

    #[test]
    fn case_counts_only_with_upper_case_in_the_query() {
        assert_eq!(indices("ab", &["AB", "xx", "ab"], 5.0), [2, 0]);
        assert_eq!(indices("AB", &["ab", "AB", "aB"], 5.0), [1]);
    }

    #[test]
    fn spaces_and_signs_are_characters_like_others() {
        assert_eq!(indices("a b", &["ab", "a b", "b a"], 5.0), [1]);
        assert_eq!(indices("!a$", &["!a$", "a", "a!$"], 5.0), [0]);
        assert_eq!(indices("é😀", &["😀é", "xéx😀", "e😀"], 5.0), [1]);
    }

    #[test]
    fn empty_inputs() {
        assert_eq!(indices("a", &[] as &[&str], 5.0), []);
        assert_eq!(indices("a", &["", "a"], 5.0), [1]);
        assert_eq!(run(1, "", &["x", "", "y"], 2.0), [(0, 0.0), (1, 0.0)]);
    }

    /// Words of a few letters, some of them long.
    fn words(length: usize) -> Vec<String> {
        let mut state = 1u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        (0..length)
            .map(|_| {
                let letters = if next(50) == 0 { 700 } else { next(20) };
                (0..letters).map(|_| char::from(b"abcdB_/"[next(7) as usize])).collect()
            })
            .collect()
    }

    #[test]
    fn only_subsequences_match() {
        let words = words(3000);
        for query in ["abc", "a_d", "aB", "dddd", "/"] {
            let ignore_case = !query.contains('B');
            let matches = |word: &str| {
                let mut rest = word.chars();
                query.chars().all(|wanted| {
                    rest.any(|letter| letter == wanted || ignore_case && letter.eq_ignore_ascii_case(&wanted))
                })
            };
            let mut expected: Vec<_> = (0..words.len()).filter(|&at| matches(&words[at])).collect();
            let mut found = indices(query, &words, 1e6);
            found.sort_unstable();
            expected.sort_unstable();
            assert!(expected.len() > 10);
            assert_eq!(found, expected, "{query}");
        }
    }

    #[test]
    fn f1_threads_and_k_do_not_show() {
        let words = words(3 * PART + 100);
        let all = run(1, "ab", &words, f64::from(u32::MAX));
        assert!(all.len() > 1000);
        assert!(all.is_sorted_by(|a, b| a.1 > b.1 || a.1 == b.1 && a.0 < b.0));
        for k in [1, 10, 1000, all.len(), all.len() + 1] {
            for threads in [1, 4] {
                assert_eq!(run(threads, "ab", &words, k as f64), all[..k.min(all.len())]);
            }
        }
    }

    #[test]
    fn long_queries_and_candidates() {
        let query = "ab".repeat(MAX_QUERY / 2);
        let candidates = ["ab".repeat(400), "xab".repeat(5000), query.clone()];
        assert_eq!(indices(&query, &candidates, 5.0), [2, 1]);
        let error = TestHost::new()
            .run(&FuzzyTopK, input(&(query + "a"), &candidates, 5.0), Value::Undefined)
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidArgValue);
    }

    #[test]
    fn wrong_members_are_errors() {
        for k in [-1.0, 0.5, f64::NAN, 4_294_967_296.0] {
            let error = TestHost::new().run(&FuzzyTopK, input("a", &["a"], k), Value::Undefined).unwrap_err();
            assert_eq!(error.code, ErrorCode::OutOfRange);
        }
        let mixed = Value::object([
            ("query", Value::String("a".to_owned())),
            ("candidates", Value::List(vec![Value::String("a".to_owned()), Value::Number(1.0)])),
            ("k", Value::Number(1.0)),
        ]);
        let error = TestHost::new().run(&FuzzyTopK, mixed, Value::Undefined).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidArgType);
        assert!(error.message.contains("candidates[1]"));
    }

    #[test]
    fn progress_reaches_the_total() {
        let words = words(2 * PART + 1);
        let host = TestHost::with_threads(3);
        host.run(&FuzzyTopK, input("ab", &words, 5.0), Value::Undefined).unwrap();
        let total = (2 * PART + 1) as f64;
        assert_eq!(host.progress_reports().len(), 3);
        assert_eq!(host.progress_reports().last(), Some(&(total, total)));
    }

    #[test]
    fn a_cancel_is_seen() {
        let words = words(2 * PART);
        assert_cancels(&FuzzyTopK, 10, || (input("ab", &words, 5.0), Value::Undefined));
    }
}
