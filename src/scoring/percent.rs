//! Probabilities as percentages.

/// A probability as a percentage with one decimal; never rounded up to certainty.
pub fn percent(probability: f64) -> String {
    let shown = (probability * 1000.0).round() / 10.0;
    if shown >= 100.0 && probability < 1.0 {
        "99.9%".to_owned()
    } else {
        format!("{shown:.1}%")
    }
}

/// A probability in whole percent; never rounded up to certainty.
pub fn whole_percent(probability: f64) -> String {
    let shown = (probability * 100.0).round();
    if shown >= 100.0 && probability < 1.0 {
        "99%".to_owned()
    } else {
        format!("{shown:.0}%")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_never_claims_certainty_that_is_not_there() {
        assert_eq!(
            (percent(0.9999), percent(1.0), percent(0.914)),
            ("99.9%".to_owned(), "100.0%".to_owned(), "91.4%".to_owned())
        );
        assert_eq!(
            (
                whole_percent(0.996),
                whole_percent(1.0),
                whole_percent(0.004)
            ),
            ("99%".to_owned(), "100%".to_owned(), "0%".to_owned())
        );
    }
}
