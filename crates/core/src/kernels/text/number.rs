//! Stage: run. Thread: native workers.
//! Which cells of a table are numbers.

/// The number that `text` spells: as in JSON, finite, and nothing lost.
///
/// Codes that only look like numbers are none: `007`, `+1`, ` 1`, `1.`, `.5`, `0x10`, `1,5`. Nor are whole numbers
/// that a double cannot hold, as long identifiers are, nor numbers that are infinite as a double.
pub(super) fn parse(text: &[u8]) -> Option<f64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, rest) = split_digits(digits);
    if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
        return None;
    }
    if rest.is_empty() && whole.len() <= 15 {
        // Most cells: a sum of few digits is exact.
        let value = whole.iter().fold(0u64, |value, digit| value * 10 + u64::from(digit - b'0')) as f64;
        return Some(if digits.len() < text.len() { -value } else { value });
    }
    let mut tail = rest;
    if let Some(after) = tail.strip_prefix(b".") {
        let (fraction, rest) = split_digits(after);
        if fraction.is_empty() {
            return None;
        }
        tail = rest;
    }
    if let Some(after) = tail.strip_prefix(b"e").or_else(|| tail.strip_prefix(b"E")) {
        let after = after.strip_prefix(b"-").or_else(|| after.strip_prefix(b"+")).unwrap_or(after);
        let (exponent, rest) = split_digits(after);
        if exponent.is_empty() {
            return None;
        }
        tail = rest;
    }
    if !tail.is_empty() {
        return None;
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let exact = !rest.is_empty() || same_digits(value, whole);
    (value.is_finite() && exact).then_some(value)
}

/// Whether a whole number is what its digits say.
fn same_digits(value: f64, digits: &[u8]) -> bool {
    // Above 2^53 doubles are not next to each other, so that even a number that is one may be meant as another.
    value.abs() <= 9_007_199_254_740_992.0 && format!("{:.0}", value.abs()).as_bytes() == digits
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_in_json() {
        for (text, value) in [
            ("0", 0.0),
            ("7", 7.0),
            ("-12", -12.0),
            ("0.5", 0.5),
            ("-0.25", -0.25),
            ("1e3", 1000.0),
            ("1.5E-3", 0.0015),
            ("2e+2", 200.0),
            ("123456789012345", 123_456_789_012_345.0),
            ("9007199254740992", 9_007_199_254_740_992.0),
            ("-9007199254740991", -9_007_199_254_740_991.0),
            ("1e308", 1e308),
            ("5e-324", 5e-324),
            ("1e-999", 0.0),
            ("0.1234567890123456789", 0.123_456_789_012_345_68),
            ("100000000000000000000.5", 1e20),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(value), "{text}");
        }
        assert!(parse(b"-0").unwrap().is_sign_negative());
        assert!(parse(b"-0.0").unwrap().is_sign_negative());
    }

    #[test]
    fn what_only_looks_like_a_number() {
        for text in [
            "",
            "-",
            "+1",
            "007",
            "00",
            "-01",
            " 1",
            "1 ",
            "1.",
            ".5",
            "-.5",
            "1e",
            "1e+",
            "e5",
            "0x10",
            "1_000",
            "1,5",
            "1.2.3",
            "NaN",
            "nan",
            "inf",
            "Infinity",
            "-Infinity",
            "1e999",
            "9007199254740993",
            "12345678901234567890",
            "18446744073709551616",
            "1d",
            "٣",
            "1\0",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse(b"1\xFF"), None);
        assert_eq!(parse("9".repeat(100_000).as_bytes()), None);
    }
}
