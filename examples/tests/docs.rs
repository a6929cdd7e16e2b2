//! What the documentation names exists: files, headings, packages, examples, features, commands and options.
//!
//! The code in the pages is compiled and run as doc tests of this package; here it is about all the rest.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for page in Page::all() {
        for link in page.links().filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { page.path.clone() } else { page.folder().join(path) };
            let leads_somewhere = match fs::read_to_string(&target) {
                Ok(text) => anchor.is_empty() || headings(&text).any(|heading| slug(heading) == anchor),
                Err(_) => target.is_dir() && anchor.is_empty(),
            };
            if !leads_somewhere {
                wrong.push(page.complaint(&format!("the link {link}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn paths_exist() {
    let known = tracked_paths();
    let is_known = |path: &str| {
        let path = path.trim_end_matches('/');
        known.iter().any(|other| other == path || other.ends_with(&format!("/{path}")))
    };
    let mut wrong = Vec::new();
    for page in Page::all() {
        let scripts = page.commands().filter_map(|words| words.into_iter().find(|word| word != "bash"));
        let paths = page.code_spans().chain(scripts).filter(|span| looks_like_a_path(span));
        wrong.extend(paths.filter(|path| !is_known(path)).map(|path| page.complaint(&path)));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn commands_would_run() {
    let workspace = Workspace::read();
    let mut wrong = Vec::new();
    for page in Page::all() {
        for command in page.commands() {
            wrong.extend(
                workspace.unknown_in(&command).iter().map(|what| page.complaint(&format!("{what} in {command:?}"))),
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn features_exist() {
    let workspace = Workspace::read();
    let mut wrong = Vec::new();
    for page in Page::all() {
        let features = page.features();
        wrong
            .extend(features.filter(|feature| !workspace.features.contains(feature)).map(|what| page.complaint(&what)));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_option_is_described_and_no_other() {
    let builder = read("crates/nought/src/socket/options.rs");
    let context = read("crates/nought/src/context.rs");
    let page = read("docs/options.md");
    let described: BTreeSet<String> = first_cells(&page).collect();
    assert_eq!(first_cells(&page).count(), described.len(), "an option is described twice");
    let of_sockets: BTreeSet<String> = setters(&builder).collect();
    let of_contexts: BTreeSet<String> = setters(&context).collect();
    assert!(of_sockets.len() > 40 && of_contexts.contains("io_threads"), "the setters are not found any more");
    let all: BTreeSet<String> = of_sockets.union(&of_contexts).cloned().collect();
    assert_eq!(described, all);
}

/// Rows without a head above them are shown as text.
#[test]
fn tables_have_heads() {
    let is_row = |line: &str| line.starts_with('|');
    let mut wrong = Vec::new();
    for page in Page::all() {
        let lines: Vec<&str> = page.text.lines().collect();
        let tables = (0..lines.len()).filter(|&at| is_row(lines[at]) && (at == 0 || !is_row(lines[at - 1])));
        let headless = tables.filter(|at| !lines.get(at + 1).is_some_and(|line| line.starts_with("| ---")));
        wrong.extend(headless.map(|at| page.complaint(lines[at])));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_counter_is_described() {
    let page = read("docs/patterns.md");
    let counters = read("crates/proto/src/connection/counters.rs");
    let names = counters.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.strip_suffix(": u64,"));
    let missing: Vec<&str> = names.filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_example_is_built_and_described() {
    let folder = root().join("examples");
    let files = fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("readable").path());
    let sources = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let names: BTreeSet<String> = sources.map(|path| file_stem(&path)).filter(|name| name != "pages").collect();
    assert_eq!(names, Workspace::read().examples);
    let text: String = Page::all().iter().map(|page| page.text.as_str()).collect();
    let missing: Vec<&String> = names.iter().filter(|name| !text.contains(&format!("{name}.rs"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

// ---- pages

/// A page of the documentation.
struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    fn all() -> Vec<Self> {
        let pages = ["", "docs"].iter().flat_map(|folder| {
            let entries = fs::read_dir(root().join(folder)).expect("the folder is there");
            entries.map(|entry| entry.expect("readable").path()).collect::<Vec<_>>()
        });
        let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
        pages
            .map(|path| Self { text: without_comments(&fs::read_to_string(&path).expect("it is text")), path })
            .collect()
    }

    fn folder(&self) -> &Path {
        self.path.parent().expect("a file has a folder")
    }

    fn complaint(&self, what: &str) -> String {
        format!("{}: {what}", file_stem(&self.path))
    }

    /// The lines inside (with the fence's language) and outside (`None`) of code blocks.
    fn lines(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        let mut fence = None;
        self.text.lines().filter_map(move |line| match (line.strip_prefix("```"), fence) {
            (Some(language), None) => {
                fence = Some(language);
                None
            }
            (Some(_), Some(_)) => {
                fence = None;
                None
            }
            (None, language) => Some((language, line)),
        })
    }

    fn prose(&self) -> impl Iterator<Item = &str> {
        self.lines().filter(|(language, _)| language.is_none()).map(|(_, line)| line)
    }

    fn links(&self) -> impl Iterator<Item = String> {
        self.prose()
            .flat_map(|line| line.split("](").skip(1))
            .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
    }

    /// What stands between backticks, which may go over the end of a line.
    fn code_spans(&self) -> impl Iterator<Item = String> {
        let prose: Vec<&str> = self.prose().collect();
        let spans: Vec<String> = prose.join(" ").split('`').skip(1).step_by(2).map(str::to_owned).collect();
        spans.into_iter()
    }

    /// Shell commands, in spans and in blocks, taken apart at pipes.
    fn commands(&self) -> impl Iterator<Item = Vec<String>> {
        let blocks = self.lines().filter(|(language, _)| *language == Some("sh")).map(|(_, line)| line.to_owned());
        let lines: Vec<String> = blocks.chain(self.code_spans()).collect();
        let commands = lines.iter().flat_map(|line| line.split('|')).map(words);
        let commands: Vec<_> = commands.filter(|words| words.len() > 1).collect();
        commands.into_iter()
    }

    /// Features that are spoken of, or switched on in a manifest.
    fn features(&self) -> impl Iterator<Item = String> {
        let spoken_of = self.text.split("eature `").skip(1).filter_map(|rest| rest.split_once('`'));
        let switched_on = self.text.split("features = [\"").skip(1).filter_map(|rest| rest.split_once('"'));
        spoken_of.chain(switched_on).map(|(name, _)| name.to_owned())
    }
}

/// A page as a reader sees it.
fn without_comments(text: &str) -> String {
    let mut parts = text.split("<!--");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once("-->").map_or("", |(_, rest)| rest))
}

fn words(command: &str) -> Vec<String> {
    command.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect()
}

fn headings(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim())
}

/// The anchor of a heading, as GitHub makes it.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn looks_like_a_path(span: &str) -> bool {
    let is_plain = span.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-'));
    let is_file = [".rs", ".md", ".toml", ".svg"].iter().any(|extension| span.ends_with(extension));
    is_plain && (span.contains('/') || is_file)
}

/// The code spans in the first cell of each row of a page's tables.
fn first_cells(page: &str) -> impl Iterator<Item = String> {
    let cells = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    cells.map(|(name, _)| name.to_owned())
}

// ---- the repository

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn file_stem(path: &Path) -> String {
    path.file_stem().expect("it has a name").to_string_lossy().into_owned()
}

/// All files and folders of the repository, from its root, without what is built or generated.
fn tracked_paths() -> Vec<String> {
    let mut paths = Vec::new();
    let mut folders = vec![(root(), String::new())];
    while let Some((folder, name)) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("readable")) {
            let own_name = entry.file_name().to_string_lossy().into_owned();
            if matches!(own_name.as_str(), "target" | ".git") {
                continue;
            }
            let path = if name.is_empty() { own_name } else { format!("{name}/{own_name}") };
            if entry.path().is_dir() {
                folders.push((entry.path(), path.clone()));
            }
            paths.push(path);
        }
    }
    paths
}

/// The names of the methods by which a builder is set.
fn setters(source: &str) -> impl Iterator<Item = String> {
    let methods = source.lines().filter_map(|line| line.trim().strip_prefix("pub fn ")?.split_once('('));
    let setters = methods.filter(|(_, rest)| rest.starts_with("self,") || rest.starts_with("mut self,"));
    // Without the parameters of a generic one.
    setters.map(|(name, _)| name.split('<').next().unwrap_or(name).to_owned())
}

/// What cargo knows of the workspace.
struct Workspace {
    packages: Vec<Package>,
    examples: BTreeSet<String>,
    features: BTreeSet<String>,
}

struct Package {
    name: String,
    sources: String,
}

impl Workspace {
    fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
        let packages = metadata["packages"].as_array().expect("a list of packages");
        let features =
            packages.iter().flat_map(|package| package["features"].as_object().expect("a table of features"));
        let examples = packages.iter().filter(|package| package["name"] == env!("CARGO_PKG_NAME"));
        let targets = examples.flat_map(|package| package["targets"].as_array().expect("a list of targets"));
        Self {
            packages: packages.iter().map(Package::new).collect(),
            examples: targets
                .filter(|target| target["kind"][0] == "example")
                .map(|target| text(&target["name"]))
                .collect(),
            features: features.map(|(name, _)| name.clone()).collect(),
        }
    }

    /// What a command names that is not there: packages, examples, features, subcommands, flags.
    fn unknown_in(&self, command: &[String]) -> Vec<String> {
        let (cargo, own) = match command.iter().position(|word| word == "--") {
            Some(end) => (&command[..end], &command[end + 1..]),
            None if command[0] == "cargo" => (command, &command[..0]),
            None if command[0] == "nought" => (&command[..0], &command[1..]),
            None => return Vec::new(),
        };
        let value_of = |flag| cargo.iter().skip_while(move |word| *word != flag).nth(1);
        let example = value_of("--example").filter(|name| !self.examples.contains(*name));
        let feature = value_of("--features").filter(|name| !self.features.contains(*name));
        let mut unknown: Vec<String> = example.into_iter().chain(feature).cloned().collect();
        let package = value_of("-p").map_or("nought-cli", String::as_str);
        match self.packages.iter().find(|other| other.name == package) {
            Some(package) => unknown.extend(package.unknown_in(own)),
            None => unknown.push(package.to_owned()),
        }
        unknown
    }
}

impl Package {
    fn new(package: &Value) -> Self {
        let folder = PathBuf::from(text(&package["manifest_path"])).with_file_name("src");
        let mut sources = String::new();
        append_sources(&folder, &mut sources);
        Self { name: text(&package["name"]), sources }
    }

    /// Subcommands and flags of this package's command line that it does not have. What else stands there is the user's.
    fn unknown_in(&self, words: &[String]) -> Vec<String> {
        let flags = words.iter().filter(|word| word.starts_with("--") && !self.has_flag(&word[2..]));
        // Only `bench` has subcommands of its own.
        let depth = if words.first().is_some_and(|first| first == "bench") { 2 } else { 1 };
        let names = words.iter().take(depth).filter(|word| !word.starts_with('-'));
        let is_variant = |name: &str| ["(", " {"].iter().any(|start| self.sources.contains(&format!(" {name}{start}")));
        let subcommands = names.filter(|name| !is_variant(&camel_case(name)));
        flags.chain(subcommands).cloned().collect()
    }

    fn has_flag(&self, flag: &str) -> bool {
        let field = format!(" {}: ", flag.replace('-', "_"));
        flag == "help" || self.sources.contains(&field) || self.sources.contains(&format!("long = \"{flag}\""))
    }
}

/// `local-thr` as `LocalThr`.
fn camel_case(word: &str) -> String {
    let capitalised = word.split('-').map(|part| part[..1].to_uppercase() + &part[1..]);
    capitalised.collect()
}

fn append_sources(folder: &Path, sources: &mut String) {
    for path in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("readable").path()) {
        if path.is_dir() {
            append_sources(&path, sources);
        } else if let Ok(text) = fs::read_to_string(&path) {
            sources.push_str(&text);
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}
