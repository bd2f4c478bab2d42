//! Medical images in the terminal, and what they show, zero-shot. For research, not for diagnosis.
//!
//! Five words carry the program: **Msg, Model, update, Effect, view**. Everything slow or impure happens behind an
//! [`app::Effect`] and comes back as an [`app::Msg`]. The rooms, from the top; an arrow never points upwards, and
//! `tests/layering.rs` reads the `use` lines to see that:
//!
//! * shell: [`runtime`], [`commands`], [`graphics`] (and `main`, [`cli`])
//! * presentation: [`ui`]: `&Model` in, cells out
//! * application: [`app`]: pure state and its transitions
//! * services: [`jobs`], which drives the engine; [`watch`], [`library`], [`engine`]
//! * model: [`encoder`]: the only room that knows libtorch
//! * domain: [`config`], [`media`], [`paths`], [`view`], [`prompts`], [`scoring`], [`phantom`]: plain data and arithmetic
//!
//! [`media`] is a crate of its own (`src/media`): it builds, and is tested and fuzzed, without libtorch.

// Everything is printed by `commands::print`.
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

pub mod app;
pub mod cli;
pub mod commands;
pub mod config;
pub mod encoder;
pub mod engine;
pub mod graphics;
pub mod jobs;
pub mod library;
pub mod paths;
pub mod phantom;
pub mod prompts;
pub mod runtime;
pub mod scoring;
pub mod ui;
pub mod view;
pub mod watch;

pub use medivision_media as media;
