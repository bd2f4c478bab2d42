//! Shows medical images in the terminal and classifies them zero-shot. For research, not for diagnosis.
//!
//! The architecture is **Msg, Model, update, Effect, view**: everything slow or impure is requested by an [`app::Effect`] and
//! answered by an [`app::Msg`]. The layers, from top to bottom, are listed below. A layer never depends on a higher one, which
//! `tests/layering.rs` checks by the `use` lines:
//!
//! * shell: [`runtime`], [`commands`], [`graphics`] (and `main`, [`cli`])
//! * presentation: [`ui`]: `&Model` in, cells out
//! * application: [`app`]: pure state and its transitions
//! * services: [`jobs`], which drives the engine; [`exec`]; [`transfer`]; [`watch`], [`library`], [`engine`], [`llm`]
//! * model: [`encoder`]: the only layer that uses libtorch, fine-tuning included
//! * domain: [`config`], [`media`], [`paths`], [`view`], [`rules`], [`prompts`], [`scoring`], [`learn`], [`phantom`]: plain data
//!   and arithmetic; [`files`]: writing in one step; [`http`]: what the clients of the hub and of language models share
//!
//! [`media`] is a separate crate (`src/media`): it builds, and is tested and fuzzed, without libtorch.

// Everything is printed by `commands::print`.
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

pub mod app;
pub mod cli;
pub mod commands;
pub mod config;
pub mod encoder;
pub mod engine;
pub mod exec;
pub mod files;
pub mod graphics;
pub mod http;
pub mod jobs;
pub mod learn;
pub mod library;
pub mod llm;
pub mod paths;
pub mod phantom;
pub mod prompts;
pub mod rules;
pub mod runtime;
pub mod scoring;
pub mod transfer;
pub mod ui;
pub mod view;
pub mod watch;

pub use medivision_media as media;
