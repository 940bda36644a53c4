//! What a study finds: rows of values, as they stand in its CSV.

use std::collections::BTreeMap;

/// One value, as text that reads back exactly: floats in the fewest digits that do (`1e-44`, `0.1`, `NaN`, `inf`),
/// equal on every platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value(String);

/// The values of one row, a value for each column.
pub type Row = Vec<Value>;

/// A [`Row`] of values of any kind: `row![states, alpha, "greedy", share]`.
#[macro_export]
macro_rules! row {
    ($($value:expr),* $(,)?) => { vec![$($crate::study::Value::from($value)),*] };
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value(format!("{value:?}"))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value(text)
    }
}

macro_rules! displayed {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Value {
            fn from(value: $kind) -> Self {
                Value(value.to_string())
            }
        }
    )*};
}

displayed!(bool, i32, i64, u32, u64, usize);

impl Value {
    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// A finished table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    columns: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

/// One row of a [`Table`].
#[derive(Clone, Copy, Debug)]
pub struct TableRow<'t> {
    columns: &'static [&'static str],
    values: &'t [String],
}

impl Table {
    /// A table whose every row has a value for each column.
    pub(super) fn new(columns: &'static [&'static str], rows: Vec<Vec<String>>) -> Self {
        debug_assert!(rows.iter().all(|row| row.len() == columns.len()));
        Table { columns, rows }
    }

    /// The rows in order.
    pub fn rows(&self) -> impl Iterator<Item = TableRow<'_>> {
        self.rows.iter().map(|values| TableRow { columns: self.columns, values })
    }

    /// The rows in groups that agree in a column, the groups in the order in which they are met: what a picture makes
    /// a series of.
    pub fn groups<'t>(&'t self, column: &str) -> Vec<(&'t str, Vec<TableRow<'t>>)> {
        let mut groups: Vec<(&str, Vec<TableRow<'_>>)> = Vec::new();
        let mut places = BTreeMap::new();
        for row in self.rows() {
            let key = row.text(column);
            let place = *places.entry(key).or_insert(groups.len());
            if place == groups.len() {
                groups.push((key, Vec::new()));
            }
            groups[place].1.push(row);
        }
        groups
    }

    /// The table as CSV (RFC 4180, but with plain newlines): a line of names, then the rows.
    pub fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let lines =
            [self.columns.iter().map(|name| (*name).to_owned()).collect()].into_iter().chain(self.rows.iter().cloned());
        for line in lines {
            let line: Vec<String> = line;
            writer.write_record(&line).expect("memory takes every record of equal length");
        }
        String::from_utf8(writer.into_inner().expect("memory takes everything")).expect("texts are written as they are")
    }

    /// The table that [`csv`](Self::csv) has written; why not, if it has not.
    pub(super) fn read(columns: &'static [&'static str], csv: &str) -> Result<Self, String> {
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        if reader.headers().map_err(|error| error.to_string())? != columns {
            return Err(format!("its columns are not {}", columns.join(",")));
        }
        let texts = |record: csv::StringRecord| record.iter().map(str::to_owned).collect();
        let rows = reader.records().map(|record| record.map(texts));
        let rows = rows.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        Ok(Table { columns, rows })
    }
}

impl<'t> TableRow<'t> {
    /// The text in a column.
    ///
    /// # Panics
    /// If there is no such column: a mistake of the study.
    pub fn text(&self, column: &str) -> &'t str {
        let place = self.columns.iter().position(|name| *name == column);
        &self.values[place.unwrap_or_else(|| panic!("the table has no column {column}"))]
    }

    /// The number in a column; NaN if what stands there is none.
    ///
    /// # Panics
    /// If there is no such column: a mistake of the study.
    pub fn number(&self, column: &str) -> f64 {
        self.text(column).parse().unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_read_back_bit_for_bit(bits: u64) {
            let number = f64::from_bits(bits);
            let back: f64 = Value::from(number).text().parse().unwrap();
            prop_assert!(back.to_bits() == bits || (back.is_nan() && number.is_nan()));
        }
    }

    proptest! {
        #[test]
        fn a_csv_reads_back(rows in prop::collection::vec(prop::collection::vec("[a,\"\n\r é]{0,5}", 3..4), 0..5)) {
            let table = Table::new(&["a", "b", "c"], rows);
            prop_assert_eq!(Table::read(table.columns, &table.csv()), Ok(table));
        }

        #[test]
        fn no_text_breaks_the_reader(csv in "[a,\"\n]{0,20}") {
            let _ = Table::read(&["a"], &csv);
        }
    }

    #[test]
    fn values_as_they_are_written() {
        let row = row![1e-44, 0.1, 1.0, f64::NAN, f64::NEG_INFINITY, 3usize, true, "a,\"b\""];
        let table = Table::new(&["a", "b", "c", "d", "e", "f", "g", "h"], vec![row.into_iter().map(|v| v.0).collect()]);
        assert_eq!(table.csv(), "a,b,c,d,e,f,g,h\n1e-44,0.1,1.0,NaN,-inf,3,true,\"a,\"\"b\"\"\"\n");
        assert_eq!(Table::read(table.columns, &table.csv()), Ok(table.clone()));
        assert!(Table::read(&["a"], &table.csv()).is_err() && Table::read(table.columns, "a,b\n1,2\n").is_err());
        assert_eq!(table.rows().next().unwrap().text("h"), "a,\"b\"");
        assert!(table.rows().next().unwrap().number("h").is_nan());
    }

    #[test]
    fn groups_stand_in_the_order_in_which_they_are_met() {
        let row = |key: &str, value: &str| vec![key.to_owned(), value.to_owned()];
        let table = Table::new(&["key", "value"], vec![row("z", "1"), row("a", "2"), row("z", "3")]);
        let groups: Vec<(&str, Vec<f64>)> = table
            .groups("key")
            .into_iter()
            .map(|(key, rows)| (key, rows.iter().map(|row| row.number("value")).collect()))
            .collect();
        assert_eq!(groups, [("z", vec![1.0, 3.0]), ("a", vec![2.0])]);
    }
}
