//! The interface: `medivision-tui DIR`, also opened by `worklist` and `demo`.

mod ending;

use std::fs::{OpenOptions, Permissions};
use std::io::{self, IsTerminal};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::{CommandSetup, Fault, exit, shown};
use crate::app::{self, Msg, ReviewSetup, Severity};
use crate::config::{Folders, Theme};
use crate::engine::{self, FrameSelection, Settings};
use crate::graphics::{self, Colours, Limits, Probed, Terminal};
use crate::paths;
use crate::runtime::{ChoiceSources, FolderStateStore, Loop, Services};
use crate::scoring::Mode;
use ending::Ending;

/// How browsing begins, and what it leaves behind.
#[derive(Clone, Copy, Debug)]
pub struct BrowseOptions {
    /// Whether folder states and what is known of images are saved for the next time.
    pub keep: bool,
    /// Whether to begin with the worklist.
    pub worklist: bool,
}

/// Browses a folder until the user quits; returns the exit code. A file is shown in its folder.
pub fn run(path: &Path, setup: &CommandSetup, options: BrowseOptions) -> Result<u8, Fault> {
    let BrowseOptions { keep, worklist } = options;
    let metadata = std::fs::metadata(path).map_err(|error| {
        let reason = match error.kind() {
            io::ErrorKind::NotFound => {
                "neither a command nor a file or folder; `medivision-tui --help` lists the commands"
                    .to_owned()
            }
            _ => error.to_string(),
        };
        Fault::usage(format!("{}: {reason}", shown(path)))
    })?;
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Fault::usage(
            "browsing needs a terminal on stdin and stdout (over ssh: ssh -t); \
             without one use `medivision-tui classify` or `medivision-tui watch`",
        ));
    }
    let path = paths::absolute(path).map_err(|error| failed(&error))?;
    let (root, file) = match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if !metadata.is_dir() => (folder.to_owned(), Some(name)),
        _ => (path.clone(), None),
    };
    let prompts = setup.load_prompts_by_rules()?;
    let settings = Settings {
        prompts,
        mode: Mode::Single,
        calibrations: setup.calibrations(None),
        learned: setup.learned(),
        frames: FrameSelection::First,
        batch_size: None,
        decode_threads: None,
        exact: false,
        pass_time: engine::INTERACTIVE_PASS_TIME,
        library: setup.library().filter(|_| keep),
        stores_results: true,
    };
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let limits = Limits::new(setup.colours, setup.ascii);
    let start = app::Setup {
        root,
        file: file.map(ToOwned::to_owned),
        theme: if no_color || limits.colours.value == Colours::None {
            Theme::None
        } else {
            setup.theme
        },
        keymap: setup.keymap.clone(),
        folder_state: setup.folder_state.clone(),
        show_phi: setup.show_phi,
        library: settings.library.is_some(),
        rules: setup.rules.clone(),
        worklist,
        review: ReviewSetup {
            reviewer: setup.reviewer.name.clone(),
            blind: setup.reviewer.blind,
        },
        prompts: settings.prompts.clone(),
        mode: settings.mode,
        offers_model: setup
            .folders
            .as_ref()
            .is_some_and(|folders| keep && !folders.model_offered().exists()),
        language_model: setup.llm.is_configured().then(|| {
            let endpoint = setup.llm.endpoint().map_err(|error| error.to_string())?;
            Ok(app::LanguageModel {
                url: endpoint.url().to_owned(),
                name: endpoint.model().to_owned(),
                is_local: endpoint.is_local(),
            })
        }),
        mix: setup.mix.clone(),
        zone: TimeZone::system(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(&error))?;
    let folder = setup.folders.as_ref().map(Folders::folder_states);
    let store = folder.filter(|_| keep).map(FolderStateStore::at);
    let log = setup.folders.as_ref().map(Folders::log).map(open_log);
    let (log, warning) = match log.transpose() {
        Ok(log) => (log, None),
        Err(warning) => (None, Some(warning)),
    };
    let screen = Terminal::enter(&limits, log.as_deref()).map_err(|error| failed(&error))?;
    let interface = interface(start, settings, setup, store, screen, limits, warning);
    runtime.block_on(interface).map_err(|error| failed(&error))
}

/// Creates the log, readable by the user only because its messages name files. The error is a sentence for the user; the
/// interface then runs without a log.
fn open_log(log: PathBuf) -> Result<PathBuf, String> {
    let folder = log.parent().unwrap_or(&log).to_owned();
    let open = || -> io::Result<()> {
        std::fs::create_dir_all(&folder)?;
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).mode(0o600).open(&log)?;
        file.set_permissions(Permissions::from_mode(0o600))
    };
    match open() {
        Ok(()) => Ok(log),
        Err(error) => {
            let folder = shown(&folder);
            Err(format!(
                "{folder}: {error}; no log is written, and the state of folders is not saved"
            ))
        }
    }
}

fn failed(error: &io::Error) -> Fault {
    Fault {
        code: exit::SOME_FAILED,
        message: format!("the interface cannot run: {error}"),
    }
}

async fn interface(
    mut start: app::Setup,
    settings: Settings,
    setup: &CommandSetup,
    store: Option<FolderStateStore>,
    mut screen: Terminal,
    mut limits: Limits,
    warning: Option<String>,
) -> io::Result<u8> {
    let library = settings.library.clone();
    let (mut services, received) = Services::start(setup.factory(None), settings)?;
    let messages = services.messages();
    let report = move |text: &str| {
        let (severity, text) = (Severity::Error, text.to_owned());
        // Fails only when the interface is ending.
        let _ = messages.send(Msg::Report { severity, text });
    };
    if let Some(warning) = &warning {
        report(warning);
    }
    if let Some(library) = library {
        library.report_conflicts_to(Box::new(report.clone()));
        library.report_faults_to(Box::new(report));
    }
    services.set_choices(ChoiceSources {
        prompts: setup.folders.as_ref().map(Folders::prompts),
        given: setup.prompts.name.clone(),
        model: Some(setup.source.clone()),
        options: setup.options(None),
        offline: setup.offline,
        llm: setup.llm.clone(),
    });
    let ending = Ending::new(services.storing());
    ending.on_signals(services.messages())?;
    let places = setup.folders.as_ref().map(Folders::places);
    let places = places.filter(|_| store.is_some());
    // The first frame already shows the folder as it was left. From here on errors go to the log.
    if let Some(state) = store.as_ref().and_then(|store| store.load(&start.root)) {
        start.folder_state = state;
    }
    services.persist_folders(store)?;
    services.persist_places(places);
    services.persist_offer(setup.folders.as_ref().map(Folders::model_offered));
    let mut interface = Loop::start(start, &mut screen)?;
    // The first frame is on screen before the terminal is probed.
    screen.flush();
    let Probed { capabilities, keys } = graphics::probe(setup.graphics, &mut limits)?;
    let graphics_setup = capabilities.graphics_setup();
    screen.configure(&graphics_setup, &limits);
    if setup.mouse {
        screen.enable_mouse()?;
    }
    services.start_previews(graphics_setup)?;
    // For the test that a panic restores the terminal.
    assert!(
        !(cfg!(debug_assertions) && std::env::var_os("MEDIVISION_TEST_PANIC").is_some()),
        "requested by a test"
    );
    let forced = ending.clone();
    let input = graphics::input(keys, screen.gate(), move || forced.force())?;
    let result = interface
        .run(&mut services, received, &mut screen, input)
        .await;
    ending.begin();
    // The terminal is restored first, so that the rest of the shutdown is not noticed.
    drop(screen);
    let has_ended = services.shutdown();
    let code = ending.finish();
    if !has_ended {
        // A forward pass that is still running cannot be stopped. Everything else is done.
        // SAFETY: ends the process.
        unsafe { libc::_exit(i32::from(code)) }
    }
    result.map(|()| code)
}
