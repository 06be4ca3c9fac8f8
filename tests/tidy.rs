//! The rules of this repository that neither rustfmt nor clippy knows. Each failure says where, and what to do.

use std::fs;
use std::path::{Path, PathBuf};

const MAX_FILE_LINES: usize = 800;
const MAX_LINE_CHARS: usize = 140;
/// Folders that hold no source: build output, version control, what fuzzers and property tests collect.
const SKIPPED_FOLDERS: &[&str] =
    &["target", ".git", "corpus", "corpus-work", "artifacts", "proptest-regressions"];
/// Ends of the names of text files; those of Rust source stand alone as `.rs`.
const TEXT_FILES: &[&str] =
    &[".rs", ".toml", ".md", ".sh", ".py", ".service", ".conf", ".html", ".js", "Makefile"];

/// A text file, with its path from the root of the repository.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_under(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }

    /// Whether the file is all test: under a `tests` or `benches` folder, or the `tests` module of another file.
    fn is_test(&self) -> bool {
        let test_folder = |part: &str| part == "tests" || part == "benches";
        self.path.split('/').any(test_folder) || self.path.ends_with("/tests.rs")
    }

    /// The lines before the file's own `mod tests`, numbered from 1.
    fn shipped_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<_> = self.text.lines().collect();
        let tests = lines.windows(2).position(|pair| {
            pair[0].starts_with("#[cfg(test)]") && pair[1].starts_with("mod ") && pair[1].ends_with('{')
        });
        let end = tests.unwrap_or(lines.len());
        lines.into_iter().take(end).enumerate().map(|(k, line)| (k + 1, line))
    }

    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(k, line)| (k + 1, line))
    }
}

/// A line without the comment at its end.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// Whether `word` stands in `text` with no letter, digit or `_` at either side.
fn has_word(text: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(part_of_word) && !text[at + word.len()..].starts_with(part_of_word)
    })
}

fn collect(folder: &Path, root: &Path, sources: &mut Vec<Source>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a directory entry").path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !SKIPPED_FOLDERS.contains(&name) {
                collect(&path, root, sources);
            }
        } else if TEXT_FILES.iter().any(|end| name.ends_with(end))
            || path.parent().and_then(Path::file_name).is_some_and(|name| name == ".ci")
        {
            let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let path = path.strip_prefix(root).expect("a path below the root").to_string_lossy().into_owned();
            sources.push(Source { path, text });
        }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    collect(root, root, &mut sources);
    assert!(sources.iter().any(|s| s.path == "tests/tidy.rs"), "the walk must find this file");
    sources
}

/// Fails with every offence that `find` reports, and with what to do about them.
#[track_caller]
fn forbid(what_to_do: &str, find: impl Fn(&Source) -> Vec<String>) {
    let offences: Vec<String> = sources().iter().flat_map(find).collect();
    assert!(offences.is_empty(), "\n{}\n{what_to_do}\n", offences.join("\n"));
}

fn offences<'a>(
    source: &Source,
    lines: impl Iterator<Item = (usize, &'a str)>,
    is_offence: impl Fn(&str) -> bool,
) -> Vec<String> {
    let found = lines.filter(|(_, line)| is_offence(line));
    found.map(|(number, line)| format!("{}:{number}: {}", source.path, line.trim())).collect()
}

#[test]
fn files_have_one_subject() {
    forbid(
        &format!("A file over {MAX_FILE_LINES} lines has a second subject: give it a file of its own."),
        |source| {
            let lines = source.text.lines().count();
            let long = source.is_rust() && lines > MAX_FILE_LINES;
            long.then(|| format!("{}: {lines} lines", source.path)).into_iter().collect()
        },
    );
}

#[test]
fn lines_fit_a_screen() {
    forbid(
        &format!(
            "Break lines over {MAX_LINE_CHARS} columns; rustfmt leaves strings, macros and comments alone."
        ),
        |source| {
            if !source.is_rust() {
                return Vec::new();
            }
            offences(source, source.lines(), |line| line.chars().count() > MAX_LINE_CHARS)
        },
    );
}

#[test]
fn nothing_is_left_for_later() {
    let markers =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!(")];
    forbid("Do it now, or describe the limit where its user reads of it.", |source| {
        offences(source, source.lines(), |line| markers.iter().any(|marker| line.contains(marker)))
    });
}

#[test]
fn shipped_code_says_why_it_cannot_fail() {
    forbid("Return an error, or say why it cannot fail: expect(\"the reason\").", |source| {
        if !source.is_rust()
            || source.is_test()
            || !source.is_under(&["src/", "kafka/", "shards/", "wire/", "sdk/src/"])
        {
            return Vec::new();
        }
        offences(source, source.shipped_lines(), |line| code(line).contains(".unwrap()"))
    });
}

#[test]
fn the_runtime_stays_in_its_folder() {
    let name = concat!("glom", "mio");
    forbid("The runtime is used in src/runtime and bench alone: go through crate::runtime.", |source| {
        if !source.is_rust() || source.is_under(&["src/runtime/", "src/runtime.rs", "bench/"]) {
            return Vec::new();
        }
        offences(source, source.lines(), |line| line.contains(name))
    });
}

#[test]
fn the_engine_and_the_codec_are_sans_io() {
    let what = "kafka/, shards/ and wire/ take inputs and give outputs: waiting is their caller's business.";
    forbid(what, |source| {
        if !source.is_rust() || !source.is_under(&["kafka/", "shards/", "wire/"]) {
            return Vec::new();
        }
        offences(source, source.lines(), |line| {
            has_word(code(line), "async") || code(line).contains(".await")
        })
    });
}

/// Whether the line names a file of somebody's machine; the bare folder of a user is only an example.
fn names_a_machine(line: &str) -> bool {
    let folders =
        [(concat!("/ro", "ot/"), false), (concat!("/wo", "rk/"), false), (concat!("/ho", "me/"), true)];
    let in_path = |c: char| c.is_alphanumeric() || "._-~}/*".contains(c);
    folders.iter().any(|(folder, needs_file)| {
        line.match_indices(folder).any(|(at, _)| {
            let rest = line[at + folder.len()..].split(|c| !in_path(c)).next().unwrap_or_default();
            !line[..at].ends_with(in_path) && (!needs_file || rest.contains('/'))
        })
    })
}

#[test]
fn no_path_of_a_machine() {
    forbid("Use a path from the repository's root, an option or a temporary directory.", |source| {
        offences(source, source.lines(), names_a_machine)
    });
}

/// The crates that a manifest depends on.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut in_dependencies = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]");
        } else if in_dependencies && line.starts_with(|c: char| c.is_ascii_lowercase()) {
            names.extend(line.split([' ', '.', '=']).next());
        }
    }
    names
}

#[test]
fn every_dependency_has_its_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let reasons = fs::read_to_string(root.join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    forbid("Say in ARCHITECTURE.md, in the table of dependencies, why the crate is there.", |source| {
        if !source.path.ends_with("Cargo.toml") {
            return Vec::new();
        }
        let names = dependencies(&source.text).into_iter().filter(|name| !name.starts_with("ringmail"));
        let unexplained = names.filter(|name| !reasons.contains(&format!("`{name}`")));
        unexplained.map(|name| format!("{}: {name}", source.path)).collect()
    });
}

/// Where the links of a page lead, those to other sites left out.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    targets.filter(|target| !target.is_empty() && !target.contains("://"))
}

#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    forbid("Correct the link, or add the file that it promises.", |source| {
        if !source.path.ends_with(".md") {
            return Vec::new();
        }
        let page = root.join(&source.path);
        let folder = page.parent().expect("a file has a folder");
        offences(source, source.lines(), |line| links(line).any(|target| !folder.join(target).exists()))
    });
}

#[test]
fn the_rules_see_what_they_should() {
    let source = Source {
        path: "src/a.rs".into(),
        text: "fn a() {\n}\n#[cfg(test)]\nmod tests {\n    x.unwrap();\n}\n".into(),
    };
    assert_eq!(source.shipped_lines().count(), 2);
    assert!(!source.is_test());
    assert!(Source { path: "wire/tests/golden.rs".into(), text: String::new() }.is_test());
    assert_eq!(code("let a = 1; // async"), "let a = 1; ");
    assert!(has_word("pub async fn", "async") && !has_word("asynchronous", "async"));
    let path = [concat!("cd /ho", "me/"), "user/x"].concat();
    assert!(
        names_a_machine(&path)
            && !names_a_machine(&path.replace("/x", ""))
            && !names_a_machine("target/work/x")
    );
    assert_eq!(dependencies("[package]\na = 1\n[dependencies]\nb.workspace = true\nc = \"1\"\n"), ["b", "c"]);
    assert_eq!(links("[a](b.md), [c](https://d), [e](f.md#g)").collect::<Vec<_>>(), ["b.md", "f.md"]);
}
