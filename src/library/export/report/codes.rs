//! Concepts of the standard (PS3.16 Annex D) that reports use.

/// Code Value, Coding Scheme Designator and Code Meaning.
pub(super) type StandardCode = (&'static str, &'static str, &'static str);

pub(super) const REPORT: StandardCode = ("126000", "DCM", "Imaging Measurement Report");
pub(super) const LANGUAGE: StandardCode =
    ("121049", "DCM", "Language of Content Item and Descendants");
pub(super) const ENGLISH: StandardCode = ("en", "RFC5646", "English");
pub(super) const OBSERVER_TYPE: StandardCode = ("121005", "DCM", "Observer Type");
pub(super) const PERSON: StandardCode = ("121006", "DCM", "Person");
pub(super) const DEVICE: StandardCode = ("121007", "DCM", "Device");
pub(super) const PERSON_NAME: StandardCode = ("121008", "DCM", "Person Observer Name");
pub(super) const DEVICE_UID: StandardCode = ("121012", "DCM", "Device Observer UID");
pub(super) const DEVICE_NAME: StandardCode = ("121013", "DCM", "Device Observer Name");
pub(super) const PROCEDURE: StandardCode = ("121058", "DCM", "Procedure reported");
pub(super) const IMAGING: StandardCode = ("363679005", "SCT", "Imaging");
pub(super) const MEASUREMENTS: StandardCode = ("126010", "DCM", "Imaging Measurements");
pub(super) const MEASUREMENT_GROUP: StandardCode = ("125007", "DCM", "Measurement Group");
pub(super) const TRACKING_IDENTIFIER: StandardCode = ("112039", "DCM", "Tracking Identifier");
pub(super) const TRACKING_UID: StandardCode = ("112040", "DCM", "Tracking Unique Identifier");
pub(super) const ALGORITHM_NAME: StandardCode = ("111001", "DCM", "Algorithm Name");
pub(super) const ALGORITHM_PARAMETERS: StandardCode = ("111002", "DCM", "Algorithm Parameters");
pub(super) const ALGORITHM_VERSION: StandardCode = ("111003", "DCM", "Algorithm Version");
pub(super) const FINDING: StandardCode = ("121071", "DCM", "Finding");
pub(super) const SOURCE: StandardCode = ("121112", "DCM", "Source of Measurement");
pub(super) const SOURCE_IMAGE: StandardCode = ("121324", "DCM", "Source Image");
pub(super) const REGION: StandardCode = ("111030", "DCM", "Image Region");
pub(super) const DERIVATION: StandardCode = ("121401", "DCM", "Derivation");
pub(super) const METHOD: StandardCode = ("370129005", "SCT", "Measurement Method");
pub(super) const LENGTH: StandardCode = ("410668003", "SCT", "Length");
pub(super) const ANGLE: StandardCode = ("1483009", "SCT", "Angle");
pub(super) const AREA: StandardCode = ("42798000", "SCT", "Area");
pub(super) const ATTENUATION: StandardCode = ("112031", "DCM", "Attenuation Coefficient");
pub(super) const MEAN: StandardCode = ("373098007", "SCT", "Mean");
pub(super) const DEVIATION: StandardCode = ("386136009", "SCT", "Standard Deviation");
pub(super) const MINIMUM: StandardCode = ("255605001", "SCT", "Minimum");
pub(super) const MAXIMUM: StandardCode = ("56851009", "SCT", "Maximum");
pub(super) const EVALUATIONS: StandardCode = ("C0034375", "UMLS", "Qualitative Evaluations");
pub(super) const COMMENT: StandardCode = ("121106", "DCM", "Comment");
pub(super) const NO_UNIT: StandardCode = ("1", "UCUM", "no units");
pub(super) const MILLIMETRE: StandardCode = ("mm", "UCUM", "millimeter");
pub(super) const SQUARE_MILLIMETRE: StandardCode = ("mm2", "UCUM", "square millimeter");
pub(super) const PIXEL: StandardCode = ("{pixels}", "UCUM", "pixels");
pub(super) const SQUARE_PIXEL: StandardCode = ("{pixels}2", "UCUM", "square pixels");
pub(super) const DEGREE: StandardCode = ("deg", "UCUM", "degree");
pub(super) const HOUNSFIELD: StandardCode = ("[hnsf'U]", "UCUM", "Hounsfield unit");

/// The designator of the concepts that are this program's own.
pub(super) const OWN_SCHEME: &str = "99MVTUI";
