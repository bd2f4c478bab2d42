//! The words, numbers and signs of an expression.

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    Unequal,
}

impl Operator {
    const ALL: [(Self, &str); 6] = [
        // Those of two characters come first, as others begin with the same one.
        (Self::LessOrEqual, "<="),
        (Self::GreaterOrEqual, ">="),
        (Self::Equal, "=="),
        (Self::Unequal, "!="),
        (Self::Less, "<"),
        (Self::Greater, ">"),
    ];

    /// The sign.
    pub(super) fn name(self) -> &'static str {
        let sign = Self::ALL.iter().find(|(operator, _)| *operator == self);
        sign.map_or("", |(_, sign)| sign)
    }

    /// The operator for exchanged operands.
    pub(super) fn mirrored(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Equal | Self::Unequal => self,
        }
    }

    /// Whether the comparison of two numbers holds.
    #[allow(clippy::float_cmp, reason = "the user asks for equality")]
    pub(super) fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Equal => left == right,
            Self::Unequal => left != right,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum RuleToken {
    Open,
    Close,
    And,
    Or,
    Not,
    Operator(Operator),
    Word(String),
    Number(f64),
    Text(String),
}

impl RuleToken {
    /// The token in a message.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Open => "`(`".to_owned(),
            Self::Close => "`)`".to_owned(),
            Self::And => "`and`".to_owned(),
            Self::Or => "`or`".to_owned(),
            Self::Not => "`not`".to_owned(),
            Self::Operator(operator) => format!("`{}`", operator.name()),
            Self::Word(word) => format!("`{word}`"),
            Self::Number(number) => format!("`{number}`"),
            Self::Text(text) => format!("'{text}'"),
        }
    }
}

/// Splits an expression into tokens.
pub(super) fn tokens(text: &str) -> Result<Vec<RuleToken>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = token(first, rest)?;
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

/// The token at the beginning of `rest`, whose first character is `first`, and what follows it.
fn token(first: char, rest: &str) -> Result<(RuleToken, &str), String> {
    let after_first = &rest[first.len_utf8()..];
    for (operator, sign) in Operator::ALL {
        if let Some(after) = rest.strip_prefix(sign) {
            return Ok((RuleToken::Operator(operator), after));
        }
    }
    match first {
        '(' => Ok((RuleToken::Open, after_first)),
        ')' => Ok((RuleToken::Close, after_first)),
        '\'' | '"' => match after_first.split_once(first) {
            Some((text, after)) => Ok((RuleToken::Text(text.to_owned()), after)),
            None => Err(format!("the text that begins with {first} does not end")),
        },
        '0'..='9' | '.' | '-' => number(rest),
        c if c.is_alphabetic() || c == '_' => Ok(word(rest)),
        '=' => Err("`=` does not compare; use `==`".to_owned()),
        '!' => Err("unexpected `!`; use `not`".to_owned()),
        '&' => Err("unexpected `&`; use `and`".to_owned()),
        '|' => Err("unexpected `|`; use `or`".to_owned()),
        other => Err(format!("unexpected `{other}`")),
    }
}

fn number(rest: &str) -> Result<(RuleToken, &str), String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '%');
    let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    match digits.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((RuleToken::Number(number), after)),
        _ => Err(format!("`{digits}` is not a number; for 90 % write 0.9")),
    }
}

fn word(rest: &str) -> (RuleToken, &str) {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    let token = match word.to_ascii_lowercase().as_str() {
        "and" => RuleToken::And,
        "or" => RuleToken::Or,
        "not" => RuleToken::Not,
        _ => RuleToken::Word(word.to_owned()),
    };
    (token, after)
}
