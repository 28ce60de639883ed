//! The index of a folder of RPM packages, as `createrepo_c` writes it: dnf, yum and tdnf read no folder without one.
//!
//! Source: the XML that createrepo_c 0.21 writes; libsolv's `repo_rpmmd.c` for what is read of it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use block::{DiskFile, Error, ReadAt, Result};
use contract::hex;
use sha2::{Digest as _, Sha256};

use super::rpm::{Header, Relation, files, relations};

/// How deep folders in folders are looked through.
const MAX_DEPTH: usize = 16;
/// The step that errors name.
const WHAT: &str = "reading a folder of packages";

/// The files of an index: name and text.
pub(super) type Index = Vec<(&'static str, String)>;

/// Makes the index of all packages in `folder`; their places in it begin with `prefix`.
///
/// # Errors
///
/// Where a package cannot be read, with its path.
pub(super) fn index(folder: &Path, prefix: &str) -> Result<Index> {
    let mut found = Vec::new();
    collect(folder, 0, &mut found)?;
    found.sort();
    let mut packages = Vec::new();
    for path in found {
        let place = path.strip_prefix(folder).unwrap_or(&path);
        let place = format!("{prefix}{}", place.display());
        packages.push(Package::open(&path, place).map_err(|error| error.in_file(&path))?);
    }
    let primary = document("metadata", "common", &packages, Package::primary);
    let filelists = document("filelists", "filelists", &packages, Package::file_list);
    let other = document("otherdata", "other", &packages, |package| {
        package.element("")
    });
    let files = [
        ("primary", primary),
        ("filelists", filelists),
        ("other", other),
    ];
    let mut index = vec![("repomd.xml", repomd(&files))];
    index.extend(files.into_iter().map(|(name, text)| match name {
        "primary" => ("primary.xml", text),
        "filelists" => ("filelists.xml", text),
        _ => ("other.xml", text),
    }));
    Ok(index)
}

/// The package files in `folder`; symbolic links to folders are not followed, those to files are.
fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    if depth > MAX_DEPTH {
        let message = format!("more than {MAX_DEPTH} folders in folders");
        return Err(Error::limit(WHAT, message).in_file(folder));
    }
    let doing = |error| Error::io(WHAT, error).in_file(folder);
    for entry in std::fs::read_dir(folder).map_err(doing)? {
        let entry = entry.map_err(doing)?;
        let path = entry.path();
        if entry.file_type().map_err(doing)?.is_dir() {
            collect(&path, depth.saturating_add(1), found)?;
        } else {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(".rpm") && !name.ends_with(".src.rpm") && path.is_file() {
                found.push(path);
            }
        }
    }
    Ok(())
}

/// A package and what the index says of its file.
struct Package {
    header: Header,
    place: String,
    digest: String,
    len: u64,
}

/// Relations of each kind: the element's name, and the tags of names, flags and versions.
const RELATIONS: [(&str, (u32, u32, u32)); 8] = [
    ("provides", (1047, 1112, 1113)),
    ("requires", (1049, 1048, 1050)),
    ("conflicts", (1054, 1053, 1055)),
    ("obsoletes", (1090, 1114, 1115)),
    ("recommends", (5046, 5048, 5047)),
    ("suggests", (5049, 5051, 5050)),
    ("supplements", (5052, 5054, 5053)),
    ("enhances", (5055, 5057, 5056)),
];

impl Package {
    fn open(path: &Path, place: String) -> Result<Self> {
        let file = DiskFile::open(path)?;
        let header = Header::read(&file)?;
        Ok(Self {
            header,
            place,
            digest: digest(&file)?,
            len: file.len(),
        })
    }

    /// The element that both lists of files and changes have, with `inside` in it.
    fn element(&self, inside: &str) -> String {
        format!(
            "<package pkgid=\"{}\" name=\"{}\" arch=\"{}\">\n  {}\n{inside}</package>\n",
            self.digest,
            escape(&self.header.text(1000)),
            escape(&self.header.text(1022)),
            self.version()
        )
    }

    fn version(&self) -> String {
        let epoch = self.header.number(1003).unwrap_or(0);
        let (version, release) = (self.header.text(1001), self.header.text(1002));
        format!(
            "<version epoch=\"{epoch}\" ver=\"{}\" rel=\"{}\"/>",
            escape(&version),
            escape(&release)
        )
    }

    fn files(&self) -> String {
        let mut text = String::new();
        for (path, mode) in files(&self.header) {
            let kind = if mode & 0o170_000 == 0o040_000 {
                " type=\"dir\""
            } else {
                ""
            };
            // OK: writing to a string cannot fail.
            let _ = writeln!(text, "    <file{kind}>{}</file>", escape(&path));
        }
        text
    }

    fn file_list(&self) -> String {
        self.element(&self.files())
    }

    fn primary(&self) -> String {
        let header = &self.header;
        let texts = |tag| escape(&header.text(tag));
        let range = &header.range;
        let installed = header
            .number(5009)
            .or_else(|| header.number(1009))
            .unwrap_or(0);
        let time = header.number(1006).unwrap_or(0);
        let mut text = format!(
            "<package type=\"rpm\">\n  <name>{}</name>\n  <arch>{}</arch>\n  {}\n  \
             <checksum type=\"sha256\" pkgid=\"YES\">{}</checksum>\n  <summary>{}</summary>\n  <description>{}</description>\n  \
             <packager/>\n  <url/>\n  <time file=\"{time}\" build=\"{time}\"/>\n  \
             <size package=\"{}\" installed=\"{installed}\" archive=\"{installed}\"/>\n  <location href=\"{}\"/>\n  <format>\n    \
             <rpm:license>{}</rpm:license>\n    <rpm:vendor/>\n    <rpm:group>{}</rpm:group>\n    <rpm:buildhost/>\n    \
             <rpm:sourcerpm>{}</rpm:sourcerpm>\n    <rpm:header-range start=\"{}\" end=\"{}\"/>\n",
            texts(1000),
            texts(1022),
            self.version(),
            self.digest,
            texts(1004),
            texts(1005),
            self.len,
            escape(&self.place),
            texts(1014),
            texts(1016),
            texts(1044),
            range.start,
            range.end,
        );
        for (name, tags) in RELATIONS {
            text.push_str(&relation_list(name, &relations(header, tags)));
        }
        text.push_str(&self.files());
        text.push_str("  </format>\n</package>\n");
        text
    }
}

/// One kind of relations; what RPM itself has to be able to do (`rpmlib(…)`) is no package's matter.
fn relation_list(kind: &str, all: &[Relation]) -> String {
    let all: Vec<&Relation> = all
        .iter()
        .filter(|one| !one.name.starts_with("rpmlib("))
        .collect();
    if all.is_empty() {
        return String::new();
    }
    let mut text = format!("    <rpm:{kind}>\n");
    for one in all {
        // OK: writing to a string cannot fail.
        let _ = writeln!(
            text,
            "      <rpm:entry name=\"{}\"{}/>",
            escape(&one.name),
            comparison(one, kind)
        );
    }
    let _ = writeln!(text, "    </rpm:{kind}>");
    text
}

/// The attributes of a relation's version. `RPMSENSE_LESS` is 2, `GREATER` 4, `EQUAL` 8; what scripts need before installation has
/// `PREREQ`, `SCRIPT_PRE` or `SCRIPT_POST`.
fn comparison(one: &Relation, kind: &str) -> String {
    let mut text = String::new();
    let flags = match one.flags & 14 {
        2 => "LT",
        4 => "GT",
        8 => "EQ",
        10 => "LE",
        12 => "GE",
        _ => "",
    };
    if !flags.is_empty() && !one.version.is_empty() {
        let (epoch, rest) = one.version.split_once(':').unwrap_or(("0", &one.version));
        let (version, release) = rest
            .rsplit_once('-')
            .map_or((rest, None), |(version, release)| (version, Some(release)));
        let _ = write!(
            text,
            " flags=\"{flags}\" epoch=\"{}\" ver=\"{}\"",
            escape(epoch),
            escape(version)
        );
        if let Some(release) = release {
            let _ = write!(text, " rel=\"{}\"", escape(release));
        }
    }
    if kind == "requires" && one.flags & (0x40 | 0x200 | 0x400) != 0 {
        text.push_str(" pre=\"1\"");
    }
    text
}

fn document(
    root: &str,
    space: &str,
    packages: &[Package],
    each: impl Fn(&Package) -> String,
) -> String {
    let packages_count = packages.len();
    let rpm = if space == "common" {
        " xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\""
    } else {
        ""
    };
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"http://linux.duke.edu/metadata/{space}\"{rpm} packages=\"{packages_count}\">\n"
    );
    packages
        .iter()
        .for_each(|package| text.push_str(&each(package)));
    let _ = writeln!(text, "</{root}>");
    text
}

fn repomd(files: &[(&str, String)]) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <repomd xmlns=\"http://linux.duke.edu/metadata/repo\" xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\">\n  <revision>1</revision>\n"
        .to_owned();
    for (name, content) in files {
        let digest = hex::print(&Sha256::digest(content.as_bytes()));
        let _ = write!(
            text,
            "  <data type=\"{name}\">\n    <checksum type=\"sha256\">{digest}</checksum>\n    \
             <open-checksum type=\"sha256\">{digest}</open-checksum>\n    <location href=\"repodata/{name}.xml\"/>\n    \
             <timestamp>1</timestamp>\n    <size>{len}</size>\n    <open-size>{len}</open-size>\n  </data>\n",
            len = content.len()
        );
    }
    text.push_str("</repomd>\n");
    text
}

fn digest(file: &DiskFile) -> Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    let mut at = 0;
    while at < file.len() {
        let left = usize::try_from(file.len().saturating_sub(at)).unwrap_or(usize::MAX);
        let len = left.min(buffer.len());
        let part = buffer.get_mut(..len).unwrap_or_default();
        file.read_exact_at(part, at)?;
        hash.update(&*part);
        at = at.saturating_add(part.len() as u64);
    }
    Ok(hex::print(&hash.finalize()))
}

/// Text for an element or an attribute; what XML 1.0 cannot hold is left out.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(c),
            c if c.is_control() || c == '\u{fffe}' || c == '\u{ffff}' => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::rpm::tests::package;
    use super::*;
    use testkit::tools;

    #[test]
    fn the_index_says_what_each_package_is_provides_and_requires() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("b")).unwrap();
        let bytes = package(&[
            (1000, 6, 1, b"na<me\0"),
            (1001, 6, 1, b"1.2\0"),
            (1002, 6, 1, b"3.azl3\0"),
            (1022, 6, 1, b"x86_64\0"),
            (1116, 4, 1, &[0, 0, 0, 0]),
            (1117, 8, 1, b"prog\0"),
            (1118, 8, 1, b"/usr/bin/\0"),
            (1049, 8, 3, b"/bin/sh\0rpmlib(X)\0lib\0"),
            (1048, 4, 3, &[0, 0, 4, 0, 0, 0, 0, 10, 0, 0, 0, 12]),
            (1050, 8, 3, b"\x004\x002:1.0-5\0"),
        ]);
        std::fs::write(folder.path().join("b/x.rpm"), &bytes).unwrap();
        std::fs::write(folder.path().join("x.src.rpm"), b"not read").unwrap();
        let index = index(folder.path(), "packages/").unwrap();
        let text = |name: &str| &index.iter().find(|(found, _)| *found == name).unwrap().1;
        let primary = text("primary.xml");
        for part in [
            "packages=\"1\"",
            "<name>na&lt;me</name>",
            "<version epoch=\"0\" ver=\"1.2\" rel=\"3.azl3\"/>",
            "<location href=\"packages/b/x.rpm\"/>",
            "<rpm:entry name=\"/bin/sh\" pre=\"1\"/>",
            "<rpm:entry name=\"lib\" flags=\"GE\" epoch=\"2\" ver=\"1.0\" rel=\"5\"/>",
            "<file>/usr/bin/prog</file>",
        ] {
            assert!(primary.contains(part), "{part} is not in {primary}");
        }
        assert!(!primary.contains("rpmlib"));
        let digest = hex::print(&Sha256::digest(primary.as_bytes()));
        assert!(text("repomd.xml").contains(&digest));
        assert!(text("filelists.xml").contains("name=\"na&lt;me\" arch=\"x86_64\""));
    }

    #[test]
    fn a_file_that_is_no_package_stops_it_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("bad.rpm"), b"nothing").unwrap();
        let error = index(folder.path(), "").unwrap_err().to_string();
        assert!(error.contains("bad.rpm"), "{error}");
    }

    /// Runs a program of another package; `None` (and a word about it) where it is not on this machine.
    fn ask(program: &str, arguments: &[&str]) -> Option<String> {
        if !tools::available(&[program]) {
            return None;
        }
        Some(tools::output(tools::command(program).args(arguments)).unwrap())
    }

    /// Two packages, one of which needs the other.
    const SPEC: &str = "Name: liveos-one\nVersion: 1.2\nRelease: 3%{?x}\nEpoch: 4\nSummary: one & <two>\nLicense: MIT\n\
        BuildArch: noarch\nRequires: liveos-two >= 2:1.0-5, /bin/sh\nProvides: virtual = 7\nConflicts: old < 3\nObsoletes: older\n\
        Recommends: nice\nRequires(pre): shadow\n%description\nMore\nlines.\n\
        %package -n liveos-two\nVersion: 1.1\nEpoch: 2\nSummary: two\n%description -n liveos-two\nx\n\
        %install\nmkdir -p %{buildroot}/usr/bin %{buildroot}/etc/d\necho > %{buildroot}/usr/bin/one\necho > %{buildroot}/etc/d/two\n\
        %pre\ntrue\n%files\n/usr/bin/one\n%files -n liveos-two\n/etc/d\n";

    /// Holds that the lines of one file that begin like `kept` are the same in our index and in the one in the folder `theirs`.
    fn is_alike(name: &str, kept: &[&str], ours: &Index, theirs: &Path) {
        let lines = |all: &str| {
            let lines = all.lines().map(str::trim);
            let lines = lines.filter(|line| kept.iter().any(|start| line.starts_with(start)));
            let mut lines: Vec<String> = lines.map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let mut files = std::fs::read_dir(theirs.join("repodata"))
            .unwrap()
            .flatten();
        let file = files.find(|entry| {
            let found = entry.file_name().into_string().unwrap();
            found.contains(&format!("-{name}.xml"))
        });
        let file = file.unwrap().path();
        let their_text = ask("zcat", &["-f", file.to_str().unwrap()]).unwrap();
        let our_text = &ours
            .iter()
            .find(|(found, _)| found.starts_with(name))
            .unwrap()
            .1;
        assert!(lines(our_text).len() > 5, "{our_text}");
        assert_eq!(lines(our_text), lines(&their_text), "{name}");
    }

    #[test]
    fn ref_createrepo_writes_the_same_and_dnf_reads_ours() {
        let work = tempfile::tempdir().unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let (spec, folder) = (work.path().join("x.spec"), work.path().join("packages"));
        std::fs::write(&spec, SPEC).unwrap();
        let places = format!("_topdir {}", text(work.path()));
        let target = format!("_rpmdir {}", text(&folder));
        let built = ask(
            "rpmbuild",
            &["--quiet", "-bb", "-D", &places, "-D", &target, &text(&spec)],
        );
        let theirs = work.path().join("theirs");
        std::fs::create_dir(&theirs).unwrap();
        let arguments = [
            "--quiet",
            "--general-compress-type=gz",
            "-o",
            &text(&theirs),
            &text(&folder),
        ];
        if built.is_none() || ask("createrepo_c", &arguments).is_none() {
            return;
        }
        let ours = index(&folder, "").unwrap();
        let repodata = folder.join("repodata");
        std::fs::create_dir(&repodata).unwrap();
        for (name, text) in &ours {
            std::fs::write(repodata.join(name), text).unwrap();
        }
        let primary = [
            "<name>",
            "<arch>",
            "<version",
            "<checksum",
            "<location",
            "<summary>",
            "<rpm:entry",
            "<rpm:header",
            "<rpm:lic",
            "<rpm:sourcerpm>",
        ];
        is_alike("primary", &primary, &ours, &theirs);
        is_alike(
            "filelists",
            &["<package", "<version", "<file"],
            &ours,
            &theirs,
        );
        let from = format!("--repofrompath=x,file://{}", text(&folder));
        let root = format!("--installroot={}", text(&work.path().join("root")));
        let found = ask(
            "dnf",
            &[
                "-q",
                &from,
                &root,
                "--repo=x",
                "--releasever=1",
                "repoquery",
                "--whatrequires",
                "liveos-two",
            ],
        );
        if let Some(found) = found {
            assert_eq!(found.trim(), "liveos-one-4:1.2-3.noarch");
        }
    }
}
