//! The application and its screen, driven by messages alone: no files, no threads, no clock.

mod activity;
mod arrivals;
mod compare;
mod contact_sheet;
mod exports;
mod folder_states;
mod grid;
mod lists;
mod measurements;
mod mouse;
mod objects;
mod orders;
mod pickers;
mod recall;
mod reformats;
mod rejected;
mod related;
mod review;
mod scene;
mod screens;
mod similar;
mod tags;
mod updates;
mod viewer;
mod worklist;
