//! Parses decimal and integer strings (PS3.5 6.2, DS and IS), faults included.

/// The numbers of an element.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Numbers {
    /// The values in order; `None` in place of one that is empty or not a finite number. An absent or empty element
    /// has none.
    pub values: Vec<Option<f64>>,
    /// Whether a value was written with a decimal comma.
    pub has_comma: bool,
}

impl Numbers {
    /// Parses text. A single comma can only be a decimal point, as written under a German or French locale. With more
    /// than one, or a point as well, the meaning is unclear and the value is unreadable.
    pub(crate) fn parse(text: &str) -> Self {
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
    fn an_unreadable_value_keeps_its_place() {
        let read = |text| Numbers::parse(text).values;
        assert_eq!(read(" 40\\-1.5E2 \0"), [Some(40.0), Some(-150.0)]);
        assert_eq!(
            read("40\\\\x\\1e999\\nan\\60"),
            [Some(40.0), None, None, None, None, Some(60.0)]
        );
        assert_eq!(read("  \0"), []);
    }

    #[test]
    fn a_comma_is_read_as_a_point_only_if_unambiguous() {
        let numbers = Numbers::parse("2048,5\\-0,25");
        assert_eq!(numbers.values, [Some(2048.5), Some(-0.25)]);
        assert!(numbers.has_comma);
        for unclear in ["1,234.5", "1.234,5", "1,2,3", ",", "40, 5"] {
            let numbers = Numbers::parse(unclear);
            assert_eq!(numbers.values, [None], "{unclear}");
            assert!(!numbers.has_comma);
        }
    }
}
