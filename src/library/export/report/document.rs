//! The document around the content tree: patient, study, evidence and UIDs.

use std::collections::BTreeMap;
use std::io;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{DefaultDicomObject, FileMetaTableBuilder, InMemDicomObject};

use super::ReportedImage;
use super::codes;
use super::content::{ContentItem, Relation, date_and_time, instance_reference, sequence, text};
use crate::library::NOTICE;

/// The class of reports.
const SOP_CLASS: &str = uids::COMPREHENSIVE_SR_STORAGE;
/// Series Number of reports, above those of most images.
const SERIES_NUMBER: &str = "9900";
/// What was done where the patient's identity is left out (LO).
const DEIDENTIFICATION: &str = "no patient and study attributes, UIDs replaced by hashes";
/// What is said of images that are marked as synthetic.
const SYNTHETIC: &str = "Synthetic images, of no patient.";
/// Attributes of patient and study that have to be there, if only empty (type 2).
const REQUIRED: [(Tag, VR); 9] = [
    (tags::STUDY_DATE, VR::DA),
    (tags::STUDY_TIME, VR::TM),
    (tags::ACCESSION_NUMBER, VR::SH),
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN),
    (tags::PATIENT_NAME, VR::PN),
    (tags::PATIENT_ID, VR::LO),
    (tags::PATIENT_BIRTH_DATE, VR::DA),
    (tags::PATIENT_SEX, VR::CS),
    (tags::STUDY_ID, VR::SH),
];

/// How the UIDs of images are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum UidNames {
    /// As they are.
    Original,
    /// Replaced by a hash, the same for the same UID: by itself it leads to no patient, but whoever has the images can find the one
    /// that has it.
    Hashed,
}

impl UidNames {
    /// A UID of an image as it is written.
    pub(super) fn written(self, uid: &str) -> String {
        match self {
            Self::Original => uid.to_owned(),
            Self::Hashed => hashed("image", &[uid.as_bytes()]),
        }
    }

    /// A new UID that follows from others.
    pub(super) fn derived(self, purpose: &str, parts: &[&str]) -> String {
        let mut all = vec![[u8::from(self == Self::Hashed)].to_vec()];
        all.extend(parts.iter().map(|part| part.as_bytes().to_vec()));
        let all: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
        hashed(purpose, &all)
    }
}

/// A UID from a hash: `2.25.` and a UUID of version 8 as a number (PS3.5 B.2, RFC 9562).
fn hashed(purpose: &str, parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("medivision-tui structured report UIDs");
    for part in [purpose.as_bytes()].iter().chain(parts) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    format!("2.25.{}", u128::from_be_bytes(bytes))
}

fn with_meta(object: InMemDicomObject, instance: &str) -> io::Result<DefaultDicomObject> {
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .media_storage_sop_class_uid(SOP_CLASS)
        .media_storage_sop_instance_uid(instance);
    object.with_meta(meta).map_err(io::Error::other)
}

/// A structured report on images of one study.
#[derive(Clone, Copy, Debug)]
pub struct StructuredReport<'a> {
    /// The images; at least one, all of the same study.
    pub images: &'a [ReportedImage],
    /// Whether it is on the study as a whole.
    pub is_of_study: bool,
    /// Whether it says who the patient is, and which study it is.
    pub with_identity: bool,
}

impl StructuredReport<'_> {
    /// The report as a DICOM file. It follows from images, observations and the program's version alone.
    ///
    /// # Errors
    ///
    /// Fails if there is no image, or if a value cannot be encoded.
    pub fn to_file(&self) -> io::Result<DefaultDicomObject> {
        let draft = with_meta(self.object()?, "2.25.0")?;
        let mut bytes = Vec::new();
        draft.write_dataset(&mut bytes).map_err(io::Error::other)?;
        let instance = hashed("report", &[&bytes]);
        let mut object = draft.into_inner();
        object.put(text(tags::SOP_INSTANCE_UID, VR::UI, &instance));
        with_meta(object, &instance)
    }

    fn names(&self) -> UidNames {
        if self.with_identity {
            UidNames::Original
        } else {
            UidNames::Hashed
        }
    }

    fn object(&self) -> io::Result<InMemDicomObject> {
        let first = self.images.first();
        let first = &first
            .ok_or_else(|| io::Error::other("a report needs an image"))?
            .identity;
        let names = self.names();
        let mut object = self.content().into_object();
        let study = names.written(&first.study);
        let kind = if self.is_of_study {
            "study"
        } else {
            "instance"
        };
        let series = names.derived("series", &[&first.study, kind]);
        let number = first.instance_number.filter(|_| !self.is_of_study);
        let number = number.unwrap_or(1).to_string();
        // The time of the last observation, so that the same results make the same report.
        let observations = self.images.iter().flat_map(|image| &image.observations);
        let last = observations
            .map(|observation| observation.at.as_str())
            .max();
        let (date, time) = last.and_then(date_and_time).unwrap_or_default();
        for (tag, vr, value) in [
            (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
            (tags::SOP_CLASS_UID, VR::UI, SOP_CLASS),
            (tags::CONTENT_DATE, VR::DA, &date),
            (tags::CONTENT_TIME, VR::TM, &time),
            (tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, "+0000"),
            (tags::MODALITY, VR::CS, "SR"),
            (tags::MANUFACTURER, VR::LO, env!("CARGO_PKG_NAME")),
            (
                tags::MANUFACTURER_MODEL_NAME,
                VR::LO,
                env!("CARGO_PKG_NAME"),
            ),
            (tags::SOFTWARE_VERSIONS, VR::LO, env!("CARGO_PKG_VERSION")),
            (tags::SERIES_DESCRIPTION, VR::LO, NOTICE),
            (tags::STUDY_INSTANCE_UID, VR::UI, &study),
            (tags::SERIES_INSTANCE_UID, VR::UI, &series),
            (tags::SERIES_NUMBER, VR::IS, SERIES_NUMBER),
            (tags::INSTANCE_NUMBER, VR::IS, &number),
            (tags::COMPLETION_FLAG, VR::CS, "COMPLETE"),
            (tags::COMPLETION_FLAG_DESCRIPTION, VR::LO, NOTICE),
            (tags::VERIFICATION_FLAG, VR::CS, "UNVERIFIED"),
            (tags::PRELIMINARY_FLAG, VR::CS, "PRELIMINARY"),
        ] {
            object.put(text(tag, vr, value));
        }
        for tag in [
            tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE,
            tags::PERFORMED_PROCEDURE_CODE_SEQUENCE,
        ] {
            object.put(sequence(tag, Vec::new()));
        }
        object.put(sequence(
            tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
            self.evidence(),
        ));
        for (tag, vr) in REQUIRED {
            object.put(text(tag, vr, ""));
        }
        if self.with_identity {
            for (tag, vr, value) in &first.attributes {
                object.put(text(*tag, *vr, value));
            }
        } else {
            object.put(text(tags::PATIENT_IDENTITY_REMOVED, VR::CS, "YES"));
            object.put(text(
                tags::DEIDENTIFICATION_METHOD,
                VR::LO,
                DEIDENTIFICATION,
            ));
        }
        Ok(object)
    }

    /// The images that the report refers to, by study and series.
    fn evidence(&self) -> Vec<InMemDicomObject> {
        let names = self.names();
        let mut studies = BTreeMap::<_, BTreeMap<_, BTreeMap<_, _>>>::new();
        for image in self.images {
            let identity = &image.identity;
            let series = studies.entry(identity.study.as_str()).or_default();
            let instances = series.entry(identity.series.as_str()).or_default();
            instances.insert(identity.instance.as_str(), identity.sop_class.as_str());
        }
        let studies = studies.into_iter().map(|(study, series)| {
            let series = series.into_iter().map(|(series, instances)| {
                let instances = instances.into_iter();
                let instances = instances
                    .map(|(instance, class)| instance_reference(class, &names.written(instance)));
                InMemDicomObject::from_element_iter([
                    sequence(tags::REFERENCED_SOP_SEQUENCE, instances.collect()),
                    text(tags::SERIES_INSTANCE_UID, VR::UI, &names.written(series)),
                ])
            });
            InMemDicomObject::from_element_iter([
                sequence(tags::REFERENCED_SERIES_SEQUENCE, series.collect()),
                text(tags::STUDY_INSTANCE_UID, VR::UI, &names.written(study)),
            ])
        });
        studies.collect()
    }

    /// The content tree: a Measurement Report (TID 1500).
    fn content(&self) -> ContentItem {
        let names = self.names();
        let program = hashed("device", &[env!("CARGO_PKG_VERSION").as_bytes()]);
        let device = codes::DEVICE.into();
        let mut items = vec![
            ContentItem::code(Relation::Modifier, codes::LANGUAGE, codes::ENGLISH.into()),
            ContentItem::code(Relation::Context, codes::OBSERVER_TYPE, device),
            ContentItem::uid(Relation::Context, codes::DEVICE_UID, &program),
            ContentItem::text(
                Relation::Context,
                codes::DEVICE_NAME,
                env!("CARGO_PKG_NAME"),
            ),
            ContentItem::code(Relation::Modifier, codes::PROCEDURE, codes::IMAGING.into()),
        ];
        let groups = self.images.iter().flat_map(|image| {
            let observations = image.observations.iter();
            observations.map(|observation| observation.group(&image.identity, names))
        });
        let groups = groups.collect();
        let contains = Some(Relation::Contains);
        items.push(ContentItem::container(
            contains,
            codes::MEASUREMENTS,
            groups,
        ));
        let is_synthetic = self.images.iter().any(|image| image.identity.is_synthetic);
        let comments = [NOTICE]
            .into_iter()
            .chain(is_synthetic.then_some(SYNTHETIC));
        let comments =
            comments.map(|comment| ContentItem::text(Relation::Contains, codes::COMMENT, comment));
        items.push(ContentItem::container(
            contains,
            codes::EVALUATIONS,
            comments.collect(),
        ));
        ContentItem::container(None, codes::REPORT, items).by_template("1500")
    }
}
