//! Body parts: the defined terms of Body Part Examined (0018,0015), the codes and words for them, and what their images show.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Coding schemes of SNOMED CT, and of SNOMED RT by its current and earlier names (PS3.16, clause 8).
const SNOMED: [&str; 4] = ["SCT", "SRT", "SNM3", "99SDM"];
/// Words between the words of a name.
const CONNECTIVES: [&str; 3] = ["AND", "OF", "THE"];
/// Words of side.
const SIDES: [&str; 7] = ["LEFT", "RIGHT", "BILATERAL", "BOTH", "LT", "RT", "BILAT"];
/// Words of side that may also be part of a name: `L SPINE`.
const SIDE_LETTERS: [&str; 2] = ["L", "R"];
/// Maximum number of words that are looked at; a value has 16 characters (CS), a code's meaning 64 (LO).
const MAX_WORDS: usize = 16;
/// Maximum length of a value that is looked at.
const MAX_CHARS: usize = 128;

/// What an image of a body part shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyRegion {
    /// The chest.
    Chest,
    /// A part within the chest, which images of the chest show, too.
    Thorax,
    /// The chest and more.
    Trunk,
    /// The brain, perhaps with the head around it.
    Brain,
    /// A limb, with its girdle.
    Limb,
    /// Bones other than of limbs, and no lungs.
    Bones,
    /// An organ or a vessel.
    Other,
    /// Nothing in particular.
    Unspecific,
}

/// A body part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyPart {
    /// The value of Body Part Examined.
    pub term: &'static str,
    /// What its images show.
    pub region: BodyRegion,
    /// The term for the same; its own if there is no other.
    same_as: &'static str,
    /// Its codes in SNOMED CT and SNOMED RT.
    codes: Vec<&'static str>,
    /// Other words for it, joined, in the singular.
    names: Vec<&'static str>,
}

impl BodyPart {
    /// Whether two terms mean the same.
    pub fn is_same(&self, other: &Self) -> bool {
        self.same_as == other.same_as
    }
}

struct BodyParts {
    all: Vec<BodyPart>,
    by_name: HashMap<&'static str, usize>,
    by_code: HashMap<&'static str, usize>,
}

static BODY_PARTS: LazyLock<BodyParts> = LazyLock::new(|| {
    let all = parse(include_str!("anatomy/body_parts.txt"));
    let mut parts = BodyParts {
        by_name: HashMap::new(),
        by_code: HashMap::new(),
        all,
    };
    for (index, part) in parts.all.iter().enumerate() {
        let names = std::iter::once(part.term).chain(part.names.iter().copied());
        parts.by_name.extend(names.map(|name| (name, index)));
        parts
            .by_code
            .extend(part.codes.iter().map(|code| (*code, index)));
    }
    parts
});

/// The body parts in a table: lines of a term, its equal, its codes and other names, below the region in brackets.
fn parse(table: &'static str) -> Vec<BodyPart> {
    let mut region = BodyRegion::Unspecific;
    let mut parts = Vec::new();
    let lines = table.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            region = named_region(name.trim_end_matches(']'));
            continue;
        }
        let mut columns = line.split('|').map(str::trim);
        let term = columns.next().unwrap_or_default();
        let mut column = || columns.next().filter(|text| *text != "-");
        let same_as = column().unwrap_or(term);
        let mut list = || column().map_or_else(Vec::new, |text| text.split(' ').collect());
        parts.push(BodyPart {
            term,
            region,
            same_as,
            codes: list(),
            names: list(),
        });
    }
    parts
}

/// Tests make sure that the table has no other names.
fn named_region(name: &str) -> BodyRegion {
    match name {
        "chest" => BodyRegion::Chest,
        "thorax" => BodyRegion::Thorax,
        "trunk" => BodyRegion::Trunk,
        "brain" => BodyRegion::Brain,
        "limb" => BodyRegion::Limb,
        "bones" => BodyRegion::Bones,
        "other" => BodyRegion::Other,
        _ => BodyRegion::Unspecific,
    }
}

/// All that are known.
pub fn body_parts() -> &'static [BodyPart] {
    &BODY_PARTS.all
}

/// The one with a code of SNOMED, or one that contains what the code means.
pub fn coded_body_part(scheme: &str, code: &str) -> Option<&'static BodyPart> {
    let index = BODY_PARTS.by_code.get(code.trim())?;
    SNOMED
        .contains(&scheme.trim())
        .then(|| &BODY_PARTS.all[*index])
}

/// The one that a text names and nothing else, whatever its case and punctuation: `Lumbar spine`, `C-SPINE`.
pub fn body_part(text: &str) -> Option<&'static BodyPart> {
    by_name(&words(text).concat())
}

/// Those that a text names, in its order: `LEFT KNEE` is the knee, `HEAD AND NECK` is [`HEADNECK`](BodyPart::term) and not the head.
pub fn named_body_parts(text: &str) -> Vec<&'static BodyPart> {
    let mut words = words(text);
    words.retain(|word| !SIDES.contains(&word.as_str()));
    let found = longest(&words);
    let is_letter = |word: &String| SIDE_LETTERS.contains(&word.as_str());
    if !words.iter().any(is_letter) {
        return found.parts;
    }
    words.retain(|word| !is_letter(word));
    let without = longest(&words);
    if without.chars > found.chars {
        without.parts
    } else {
        found.parts
    }
}

/// The words of a text in capitals, without those that only connect.
pub fn words(text: &str) -> Vec<String> {
    let text: String = text.chars().take(MAX_CHARS).collect();
    let words = text.split(|c: char| !c.is_alphanumeric());
    let words = words
        .filter(|word| !word.is_empty())
        .map(str::to_uppercase)
        .filter(|word| !CONNECTIVES.contains(&word.as_str()));
    words.take(MAX_WORDS).collect()
}

/// The body part with this name, also in the plural.
fn by_name(name: &str) -> Option<&'static BodyPart> {
    let names = &BODY_PARTS.by_name;
    let singular = || names.get(name.strip_suffix('S')?);
    let index = names.get(name).or_else(singular)?;
    Some(&BODY_PARTS.all[*index])
}

/// The body parts that were found in words.
struct Found {
    parts: Vec<&'static BodyPart>,
    /// Characters of their names.
    chars: usize,
}

/// Runs of words that are names, the longest first; none shares a word with another.
fn longest(words: &[String]) -> Found {
    let ends = |start: usize| (start + 1..=words.len()).map(move |end| start..end);
    let runs = (0..words.len()).flat_map(ends);
    let mut runs: Vec<_> = runs
        .filter_map(|run| {
            let name = words[run.clone()].concat();
            Some((run, name.len(), by_name(&name)?))
        })
        .collect();
    runs.sort_by_key(|(run, chars, _)| (std::cmp::Reverse(*chars), run.start));
    let mut kept: Vec<(std::ops::Range<usize>, usize, &'static BodyPart)> = Vec::new();
    for (run, chars, part) in runs {
        let is_free = |(other, ..): &(std::ops::Range<usize>, _, _)| {
            run.end <= other.start || other.end <= run.start
        };
        if kept.iter().all(is_free) {
            kept.push((run, chars, part));
        }
    }
    kept.sort_by_key(|(run, ..)| run.start);
    Found {
        chars: kept.iter().map(|(_, chars, _)| chars).sum(),
        parts: kept.into_iter().map(|(_, _, part)| part).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_term_belongs_to_one_region_and_each_name_and_code_to_one_term() {
        let mut seen = HashMap::new();
        for part in body_parts() {
            let own = std::iter::once(&part.term).chain(&part.names);
            for name in own.chain(&part.codes) {
                assert_eq!(seen.insert(name, part.term), None, "{name}");
            }
            for name in std::iter::once(&part.term).chain(&part.names) {
                assert_eq!(body_part(name), Some(part), "{name}");
            }
            assert_eq!(named_body_parts(part.term), [part]);
            // CS: at most 16 characters (PS3.5 6.2).
            assert!(part.term.len() <= 16, "{}", part.term);
            let same = body_part(part.same_as);
            assert_eq!(same.map(|same| same.region), Some(part.region));
            let is_snomed = |code: &&str| {
                let is_number = code.bytes().all(|b| b.is_ascii_digit());
                is_number || (code.as_bytes()[1] == b'-' && code.len() <= 8)
            };
            assert!(part.codes.iter().all(is_snomed), "{:?}", part.codes);
        }
        let table = include_str!("anatomy/body_parts.txt");
        let regions: Vec<&str> = table.lines().filter(|line| line.starts_with('[')).collect();
        let expected = [
            "[chest]",
            "[thorax]",
            "[trunk]",
            "[brain]",
            "[limb]",
            "[bones]",
            "[other]",
            "[unspecific]",
        ];
        assert_eq!(regions, expected);
    }

    #[test]
    fn words_of_side_and_view_are_ignored_and_the_longest_name_counts() {
        for (text, terms) in [
            ("LEFT KNEE", "KNEE"),
            ("KNEE_R", "KNEE"),
            ("r knee", "KNEE"),
            ("Both Feet", "FOOT"),
            ("UPPER LEFT ARM", "UPPERARM"),
            ("UPPER L EXTREMITY", "UPPERLIMB"),
            ("L SPINE", "LSPINE"),
            ("L-Spine", "LSPINE"),
            ("L S SPINE", "LSSPINE"),
            ("C-SPINE", "CSPINE"),
            ("LUMBAR SPINE", "LSPINE"),
            ("CERVICAL SPINE AP", "CSPINE"),
            ("WHOLE SPINE", "SPINE"),
            ("HEAD AND NECK", "HEADNECK"),
            ("HEAD_NECK", "HEADNECK"),
            ("CHEST/ABD", "CHESTABDOMEN"),
            ("CHEST ABDOMEN PELVIS", "CHESTABDPELVIS"),
            ("Chest, Abdomen and Pelvis", "CHESTABDPELVIS"),
            ("CHEST_PA", "CHEST"),
            ("CHEST WALL", "CHEST"),
            ("TORAX", "CHEST"),
            ("LOW_EXM", "LOWERLIMB"),
            ("UP_EXM", "UPPERLIMB"),
            ("HIP PELVIS", "HIP PELVIS"),
            ("KNEES", "KNEE"),
            ("RIBS", "RIB"),
            ("Structure of hand", "HAND"),
            ("UNKNOWN", ""),
            ("Грудь", ""),
            ("", ""),
        ] {
            let found = named_body_parts(text);
            let found: Vec<&str> = found.iter().map(|part| part.term).collect();
            assert_eq!(found.join(" "), terms, "{text}");
        }
    }

    #[test]
    fn codes_of_earlier_editions_are_known_and_those_of_other_schemes_are_not() {
        let term = |scheme, code| coded_body_part(scheme, code).map(|part| part.term);
        for (scheme, code, expected) in [
            ("SCT", "85562004", "HAND"),
            ("SRT", "T-D8700", "HAND"),
            ("SNM3", "T-D8700", "HAND"),
            ("SCT", "51185008", "CHEST"),
            ("SCT", "43799004", "CHEST"),
            ("SCT", "816094009", "CHEST"),
            ("SRT", "T-D3000", "CHEST"),
            ("SCT", "12738006", "BRAIN"),
            ("SCT", "69536005", "HEAD"),
            ("SRT", "T-11501", "CSPINE"),
        ] {
            assert_eq!(term(scheme, code), Some(expected), "{code}");
        }
        assert_eq!(term("FMA", "111002"), None);
        assert_eq!(term("SCT", "1"), None);
    }
}
