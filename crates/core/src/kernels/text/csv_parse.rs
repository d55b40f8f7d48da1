//! Stage: run. Thread: native workers.
//! `csvParse`: a table of comma-separated values, by columns.
//!
//! T1. A column is decided by all of its cells: where numbers turn out to be none, the text is read again, and no cell
//! is ever written back from a number.

use super::csv_rows::{Rows, check_quotes, check_utf8, no_memory};
use super::{Text, number};
use crate::error::KernelError;
use crate::kernel::{Field, Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::Value;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet, TryReserveError};

/// Parses a table into columns: numbers where every cell is one, else strings.
///
/// # Complexity
///
/// O(n) for n bytes, and once more for the columns whose first cells were numbers and later ones were not. Memory: 8
/// bytes per number; for a string its bytes and about 60 more.
///
/// # Source
///
/// RFC 4180; the state machine is that of the csv crate, which also accepts what the RFC does not: a check of all
/// quotes goes before it.
#[derive(Debug)]
pub(super) struct CsvParse;

impl Kernel for CsvParse {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "csvParse",
            group: "text",
            summary: "Parses comma-separated values into columns.",
            input: Schema::Text,
            options: &[
                Field::optional("delimiter", Schema::String { min_length: 1 }),
                Field::optional("header", Schema::Boolean),
                Field::optional("types", Schema::OneOf { values: TYPES }),
            ],
            output: "CsvTable",
            in_place: false,
            parallel: false,
        };
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let options = Options::of(&input)?;
        ctx.check()?;
        let text = Text::of(input.value, "the input", ctx)?;
        if matches!(text, Text::Bytes(_)) {
            check_utf8(text.as_bytes(), ctx)?;
        }
        check_quotes(text.as_bytes(), options.delimiter, ctx)?;
        let table = Table::read(text.as_bytes(), &options, ctx)?;
        ctx.check()?;
        table.into_value()
    }
}

const TYPES: &[&str] = &["auto", "string"];

struct Options {
    delimiter: u8,
    header: bool,
    numbers: bool,
}

impl Options {
    fn of(input: &Input) -> Result<Self, KernelError> {
        let delimiter = match input.options.get("delimiter") {
            None => b',',
            Some(Value::String(text)) => match text.as_bytes() {
                [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => *byte,
                _ => {
                    return Err(KernelError::arg_value(format!(
                        "options.delimiter must be one ASCII character, but no quote and no line end, not {text:?}"
                    )));
                }
            },
            Some(_) => return Err(KernelError::arg_type("options.delimiter must be a string")),
        };
        let header = match input.options.get("header") {
            None => true,
            Some(Value::Bool(header)) => *header,
            Some(_) => return Err(KernelError::arg_type("options.header must be a boolean")),
        };
        let numbers = input.choice_option("types", TYPES, "auto")? == "auto";
        Ok(Self { delimiter, header, numbers })
    }
}

/// A column so far.
enum Column {
    /// This many empty cells.
    Empty(usize),
    /// Numbers and empty cells.
    Numbers(Vec<f64>),
    Strings(Vec<Value>),
    /// Began with numbers and is none: its strings are read in a second round.
    Again,
}

impl Column {
    fn push(&mut self, cell: &[u8]) -> Result<(), TryReserveError> {
        match self {
            Self::Empty(count) if cell.is_empty() => *count += 1,
            Self::Empty(count) => {
                *self = match number::parse(cell) {
                    Some(_) => Self::Numbers(blanks(*count)?),
                    None => Self::Strings(empty_strings(*count)?),
                };
                self.push(cell)?;
            }
            Self::Numbers(numbers) if cell.is_empty() => append(numbers, f64::NAN)?,
            Self::Numbers(numbers) => match number::parse(cell) {
                Some(number) => append(numbers, number)?,
                None => *self = Self::Again,
            },
            Self::Strings(strings) => append(strings, string(cell)?)?,
            Self::Again => {}
        }
        Ok(())
    }

    fn into_value(self) -> Result<Value, TryReserveError> {
        Ok(match self {
            Self::Empty(count) => Value::from_vec(blanks(count)?),
            Self::Numbers(numbers) => Value::from_vec(numbers),
            Self::Strings(strings) => Value::List(strings),
            Self::Again => Value::List(Vec::new()),
        })
    }
}

/// The cells decide how much memory it takes: better an error than an abort.
fn append<T>(cells: &mut Vec<T>, cell: T) -> Result<(), TryReserveError> {
    cells.try_reserve(1)?;
    cells.push(cell);
    Ok(())
}

/// Empty cells among numbers.
fn blanks(count: usize) -> Result<Vec<f64>, TryReserveError> {
    let mut cells = Vec::new();
    cells.try_reserve(count)?;
    cells.resize(count, f64::NAN);
    Ok(cells)
}

/// Empty cells among strings.
fn empty_strings(count: usize) -> Result<Vec<Value>, TryReserveError> {
    let mut cells = Vec::new();
    cells.try_reserve(count)?;
    cells.resize_with(count, || Value::String(String::new()));
    Ok(cells)
}

/// A cell as a string. The text was checked, so nothing is replaced.
fn string(cell: &[u8]) -> Result<Value, TryReserveError> {
    owned(cell).map(Value::String)
}

fn owned(cell: &[u8]) -> Result<String, TryReserveError> {
    let mut text = String::new();
    text.try_reserve_exact(cell.len())?;
    text.push_str(&String::from_utf8_lossy(cell));
    Ok(text)
}

/// A table by columns.
struct Table {
    names: Vec<String>,
    columns: Vec<Column>,
    rows: usize,
}

impl Table {
    fn read(text: &[u8], options: &Options, ctx: &KernelContext<'_>) -> Result<Self, KernelError> {
        let mut rows = Rows::new(text, options.delimiter, ctx);
        let mut table = Self { names: Vec::new(), columns: Vec::new(), rows: 0 };
        if !rows.advance()? {
            return Ok(table);
        }
        table.names = names(rows.cells(), options.header).map_err(no_memory)?;
        let new_column = || if options.numbers { Column::Empty(0) } else { Column::Strings(Vec::new()) };
        table.columns.resize_with(table.names.len(), new_column);
        if options.header && !rows.advance()? {
            return Ok(table);
        }
        loop {
            for (column, cell) in table.columns.iter_mut().zip(rows.cells()) {
                column.push(cell).map_err(no_memory)?;
            }
            table.rows += 1;
            if !rows.advance()? {
                break;
            }
        }
        table.read_again(text, options, ctx)?;
        Ok(table)
    }

    /// The second round, for the columns that need it.
    fn read_again(
        &mut self,
        text: &[u8],
        options: &Options,
        ctx: &KernelContext<'_>,
    ) -> Result<(), KernelError> {
        let mut again = Vec::new();
        for (index, column) in self.columns.iter_mut().enumerate() {
            if matches!(column, Column::Again) {
                let mut strings = Vec::new();
                strings.try_reserve_exact(self.rows).map_err(no_memory)?;
                *column = Column::Strings(strings);
                again.push(index);
            }
        }
        if again.is_empty() {
            return Ok(());
        }
        let mut rows = Rows::new(text, options.delimiter, ctx);
        if options.header {
            rows.advance()?;
        }
        while rows.advance()? {
            let mut wanted = again.iter().copied().peekable();
            for (index, cell) in rows.cells().enumerate() {
                if wanted.next_if_eq(&index).is_some() {
                    self.columns[index].push(cell).map_err(no_memory)?;
                }
            }
        }
        Ok(())
    }

    fn into_value(self) -> Result<Value, KernelError> {
        let columns = self.columns.into_iter().map(Column::into_value);
        let columns = columns.collect::<Result<Vec<Value>, _>>().map_err(no_memory)?;
        let columns = self.names.into_iter().map(Cow::Owned).zip(columns).collect();
        Ok(Value::object([("columns", Value::Object(columns)), ("rows", Value::Number(self.rows as f64))]))
    }
}

/// The names of the columns: those of the first row, or their numbers. Empty names get numbers too, and a repeated name
/// the first of `_2`, `_3`, ... that no other column has.
fn names<'a>(
    first_row: impl Iterator<Item = &'a [u8]>,
    header: bool,
) -> Result<Vec<String>, TryReserveError> {
    let mut names = first_row
        .enumerate()
        .map(
            |(index, cell)| {
                if header && !cell.is_empty() { owned(cell) } else { Ok(format!("column{}", index + 1)) }
            },
        )
        .collect::<Result<Vec<_>, _>>()?;
    // No copies before they are needed: a name may be as long as the text.
    if names.iter().collect::<HashSet<_>>().len() == names.len() {
        return Ok(names);
    }
    let mut taken: HashSet<String> = names.iter().cloned().collect();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for name in &mut names {
        let Some(suffix) = seen.get_mut(name) else {
            seen.insert(name.clone(), 1);
            continue;
        };
        loop {
            *suffix += 1;
            let candidate = format!("{name}_{suffix}");
            if taken.insert(candidate.clone()) {
                *name = candidate;
                break;
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::super::csv_rows::MAX_COLUMNS;
    use super::*;
    use crate::error::ErrorCode;
    use crate::kernels::testing::{SharedMemory, TestHost, assert_cancels};
    use crate::value::Array;

    /// The output as text: numbers bare, strings in quotes.
    fn show(text: &str, options: Value) -> String {
        let result = TestHost::new().run(&CsvParse, Value::String(text.to_owned()), options);
        show_result(result)
    }

    fn show_result(result: Result<Value, KernelError>) -> String {
        let mut table = match result {
            Ok(table) => table,
            Err(error) if error.code == ErrorCode::InvalidCsv => return error.message,
            Err(error) => panic!("{error}"),
        };
        let rows = table.get("rows").and_then(Value::as_number).unwrap();
        let Value::Object(columns) = table.take("columns") else { unreachable!() };
        let mut shown = Vec::new();
        for (name, column) in columns {
            let cells = match column {
                Value::Array(array) => {
                    array.as_slice::<f64>().unwrap().iter().map(f64::to_string).collect::<Vec<_>>()
                }
                Value::List(items) => {
                    items.iter().map(|item| format!("{:?}", item.as_str().unwrap())).collect()
                }
                _ => unreachable!(),
            };
            assert_eq!(cells.len() as f64, rows);
            shown.push(format!("{name}: {}", cells.join(" ")));
        }
        shown.join("; ")
    }

    fn auto(text: &str) -> String {
        show(text, Value::Undefined)
    }

    fn with(name: &'static str, value: Value) -> Value {
        Value::object([(name, value)])
    }

    #[test]
    fn columns_are_typed() {
        assert_eq!(auto("a,b\n1,x\n2.5,y\n"), r#"a: 1 2.5; b: "x" "y""#);
        assert_eq!(auto("a,b\n,\n3,\n"), "a: NaN 3; b: NaN NaN");
        assert_eq!(auto("zip,n\n007,1\n123,-2e3"), r#"zip: "007" "123"; n: 1 -2000"#);
        assert_eq!(auto("a,b\n1,\n2,\n,x\nz,"), r#"a: "1" "2" "" "z"; b: "" "" "x" """#);
        assert_eq!(auto("a\n1\n 2\n"), r#"a: "1" " 2""#);
        assert_eq!(auto("a\n\"1\"\n2\n"), "a: 1 2");
        let strings = with("types", Value::String("string".to_owned()));
        assert_eq!(show("a,b\n1,\n", strings), r#"a: "1"; b: """#);
    }

    #[test]
    fn empty_tables() {
        assert_eq!(auto(""), "");
        assert_eq!(auto("\n\r\n"), "");
        assert_eq!(auto("\u{FEFF}"), "");
        assert_eq!(auto("a,b"), "a: ; b: ");
        assert_eq!(auto("a,b\n\n"), "a: ; b: ");
        assert_eq!(show("", with("header", Value::Bool(false))), "");
        assert_eq!(auto("a\n\"\"\n"), "a: NaN");
    }

    #[test]
    fn names_are_unique() {
        let none = || with("header", Value::Bool(false));
        assert_eq!(show("1,2\n3,4\n", none()), "column1: 1 3; column2: 2 4");
        assert_eq!(auto("a,a,b,a\n1,2,3,4"), "a: 1; a_2: 2; b: 3; a_3: 4");
        assert_eq!(auto("a,a,a_2,a_2\n1,2,3,4"), "a: 1; a_3: 2; a_2: 3; a_2_2: 4");
        assert_eq!(auto(",x,\n1,2,3"), "column1: 1; x: 2; column3: 3");
        assert_eq!(auto("column2,,column2\n1,2,3"), "column2: 1; column2_2: 2; column2_3: 3");
    }

    #[test]
    fn quotes_and_line_ends() {
        assert_eq!(auto("a,b\r\n\"x,\"\"y\"\"\",\"1\r\n2\"\r\n"), r#"a: "x,\"y\""; b: "1\r\n2""#);
        assert_eq!(auto("a\r1\r2\r"), "a: 1 2");
        assert_eq!(auto("a\n\n\n1\n\r\n2"), "a: 1 2");
        assert_eq!(auto("\u{FEFF}\"a\"\n1"), "a: 1");
        assert_eq!(auto("\u{FEFF}\u{FEFF}\n1"), "\u{FEFF}: 1");
        assert_eq!(auto("é,😀\nü,\"ö\""), r#"é: "ü"; 😀: "ö""#);
        let semicolons = with("delimiter", Value::String(";".to_owned()));
        assert_eq!(show("a;b\n1,5;\"2;\"", semicolons), r#"a: "1,5"; b: "2;""#);
        let tabs = with("delimiter", Value::String("\t".to_owned()));
        assert_eq!(show("a\tb\n1\t2", tabs), "a: 1; b: 2");
    }

    #[test]
    fn malformed_tables_name_the_line() {
        for (text, message) in [
            ("a,b\n1,2\n3\n", "line 3: a row of 1 cells, where the first has 2"),
            ("a,b\n1,2,3\n", "line 2: a row of 3 cells, where the first has 2"),
            ("a,b\n1,2,3,4,5,6\n", "line 2: a row of more than 3 cells, where the first has 2"),
            ("a,b\r\n\r\n1\r\n", "line 3: a row of 1 cells, where the first has 2"),
            ("a,b\r\r1\r", "line 3: a row of 1 cells, where the first has 2"),
            ("a,b\n\"1\n2\",3\n4\n", "line 4: a row of 1 cells, where the first has 2"),
            ("a\n\"b\nc\n", "line 2: a quoted cell that begins here does not end"),
            ("a\n\"b\"\"\n", "line 2: a quoted cell that begins here does not end"),
            ("a\n\"", "line 2: a quoted cell that begins here does not end"),
            ("a\n\"b\"c\n", "line 2: text after the end of a quoted cell"),
            ("a\n\"b\" \n", "line 2: text after the end of a quoted cell"),
            ("a\n\nb\"c\"\n", "line 3: a quote inside a cell that does not begin with one"),
            ("a\n \"b\"\n", "line 2: a quote inside a cell that does not begin with one"),
        ] {
            assert_eq!(auto(text), message, "{text:?}");
        }
        for (text, line) in
            [(&b"a\nb\n\xFF\n"[..], 3), (b"\xFF\xFEa\0", 1), (b"a\n\xC3", 2), (b"a\n\xE2\x82", 2)]
        {
            let error =
                TestHost::new().run(&CsvParse, Value::from_vec(text.to_vec()), Value::Undefined).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidCsv);
            assert_eq!(error.message, format!("line {line}: not valid UTF-8"));
        }
    }

    #[test]
    fn wide_tables() {
        let header: Vec<_> = (0..10_000).map(|index| format!("c{index}")).collect();
        let row: Vec<_> = (0..10_000).map(|index| index.to_string()).collect();
        let text = format!("{}\n{}\n", header.join(","), row.join(","));
        assert!(auto(&text).ends_with("c9999: 9999"));
        assert_eq!(
            auto(&",".repeat(MAX_COLUMNS)),
            format!("line 1: more than {MAX_COLUMNS} columns are not supported")
        );
    }

    #[test]
    fn long_cells_grow_the_buffer() {
        let cell = "x\"\"\n,".repeat(50_000);
        let text = format!("a,b\n\"{cell}\",1\n");
        let mut table =
            TestHost::new().run(&CsvParse, Value::String(text), Value::Undefined).unwrap().take("columns");
        let Value::List(items) = table.take("a") else { unreachable!() };
        assert_eq!(items[0].as_str(), Some("x\"\n,".repeat(50_000).as_str()));
    }

    #[test]
    fn wrong_options_are_errors() {
        for (name, value, code) in [
            ("delimiter", Value::String("::".to_owned()), ErrorCode::InvalidArgValue),
            ("delimiter", Value::String(String::new()), ErrorCode::InvalidArgValue),
            ("delimiter", Value::String("é".to_owned()), ErrorCode::InvalidArgValue),
            ("delimiter", Value::String("\"".to_owned()), ErrorCode::InvalidArgValue),
            ("delimiter", Value::String("\n".to_owned()), ErrorCode::InvalidArgValue),
            ("delimiter", Value::Number(1.0), ErrorCode::InvalidArgType),
            ("header", Value::Null, ErrorCode::InvalidArgType),
            ("types", Value::String("number".to_owned()), ErrorCode::InvalidArgValue),
        ] {
            let error =
                TestHost::new().run(&CsvParse, Value::String("a".to_owned()), with(name, value)).unwrap_err();
            assert_eq!(error.code, code, "{name}");
        }
    }

    #[test]
    fn bytes_and_shared_memory_are_read() {
        let text = Array::from_vec("a,b\n1,é\n".as_bytes().to_vec());
        let memory = SharedMemory::copy_of(&text);
        for value in [Value::Array(text), memory.view()] {
            let result = TestHost::new().run(&CsvParse, value, Value::Undefined);
            assert_eq!(show_result(result), r#"a: 1; b: "é""#);
        }
    }

    fn many_rows() -> Value {
        use std::fmt::Write;
        let mut text = "number,\"text\",late\n".to_owned();
        for row in 0..30_000 {
            writeln!(text, "{row},\"row \"\"{row}\"\"\",{}", if row < 29_999 { "1" } else { "x" }).unwrap();
        }
        Value::String(text)
    }

    #[test]
    fn t1_many_rows_in_two_rounds() {
        let host = TestHost::new();
        let mut table = host.run(&CsvParse, many_rows(), Value::Undefined).unwrap();
        assert_eq!(table.get("rows").and_then(Value::as_number), Some(30_000.0));
        let mut columns = table.take("columns");
        let Value::Array(numbers) = columns.take("number") else { unreachable!() };
        assert!(numbers.as_slice::<f64>().unwrap().iter().enumerate().all(|(at, &value)| value == at as f64));
        let Value::List(texts) = columns.take("text") else { unreachable!() };
        assert_eq!(texts[777].as_str(), Some("row \"777\""));
        let Value::List(late) = columns.take("late") else { unreachable!() };
        assert_eq!((late.len(), late[0].as_str(), late[29_999].as_str()), (30_000, Some("1"), Some("x")));
        let reports = host.progress_reports();
        assert!(reports.len() > 4);
        assert!(reports.iter().any(|report| report.0 == report.1));
    }

    #[test]
    fn a_cancel_is_seen() {
        assert_cancels(&CsvParse, 20, || (many_rows(), Value::Undefined));
    }
}
