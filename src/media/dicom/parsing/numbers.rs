//! Decimal and integer strings (PS3.5 6.2, DS and IS) as they are met.

/// The values of an element that holds numbers.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Numbers {
    /// In order; `None` in place of one that is empty or no finite number. An element that is absent or empty has none.
    pub values: Vec<Option<f64>>,
    /// One was written with a decimal comma.
    pub has_comma: bool,
}

impl Numbers {
    /// Reads text. A comma can be nothing in a number but a decimal point, as writers under a German or French locale
    /// have it; where there is more than one, or a point too, nothing tells what was meant.
    pub(crate) fn of_text(text: &str) -> Self {
        let is_padding = |c: char| c == '\0' || c.is_whitespace();
        let mut numbers = Self::default();
        if text.trim_matches(is_padding).is_empty() {
            return numbers;
        }
        for part in text.split('\\') {
            let part = part.trim_matches(is_padding);
            let finite = |text: &str| text.parse().ok().filter(|v: &f64| v.is_finite());
            let with_point = || {
                let value = finite(&part.replacen(',', ".", 1))?;
                numbers.has_comma = true;
                Some(value)
            };
            let value = finite(part).or_else(with_point);
            numbers.values.push(value);
        }
        numbers
    }
}

impl FromIterator<f64> for Numbers {
    fn from_iter<T: IntoIterator<Item = f64>>(values: T) -> Self {
        let finite = |value: f64| value.is_finite().then_some(value);
        Self {
            values: values.into_iter().map(finite).collect(),
            has_comma: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_keeps_its_place() {
        let read = |text| Numbers::of_text(text).values;
        assert_eq!(read(" 40\\-1.5E2 \0"), [Some(40.0), Some(-150.0)]);
        assert_eq!(
            read("40\\\\x\\1e999\\nan\\60"),
            [Some(40.0), None, None, None, None, Some(60.0)]
        );
        assert_eq!(read("  \0"), []);
    }

    #[test]
    fn a_comma_is_a_point_where_it_can_be_nothing_else() {
        let numbers = Numbers::of_text("2048,5\\-0,25");
        assert_eq!(numbers.values, [Some(2048.5), Some(-0.25)]);
        assert!(numbers.has_comma);
        for unclear in ["1,234.5", "1.234,5", "1,2,3", ",", "40, 5"] {
            let numbers = Numbers::of_text(unclear);
            assert_eq!(numbers.values, [None], "{unclear}");
            assert!(!numbers.has_comma);
        }
    }
}
