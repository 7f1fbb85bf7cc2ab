//! At build time: the page's files and the plotting library, compressed, as one table for `assets.rs`.
//!
//! The library comes out of a package of the Rust registry, so no other tool is needed to build.

use std::{env, fs, io::Write, path::Path};

use flate2::{Compression, Crc, write::GzEncoder};

const PAGE: &str = "src/web/page";
const PLOTS: &str = "plotly.js";

fn main() {
    println!("cargo::rerun-if-changed={PAGE}");
    println!("cargo::rerun-if-changed=src/web/build.rs");
    let out = env::var("OUT_DIR").expect("cargo names it");
    let out = Path::new(&out);
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(PAGE)
        .expect("the page's folder")
        .map(|entry| {
            let path = entry.expect("an entry of the page's folder").path();
            let name = path
                .file_name()
                .expect("a file")
                .to_string_lossy()
                .into_owned();
            script_of(name, fs::read(&path).expect("a readable file"))
        })
        .collect();
    files.push((PLOTS.into(), plots().into_bytes()));
    files.sort();
    let mut table = String::from("&[\n");
    for (name, content) in files {
        let mut crc = Crc::new();
        crc.update(&content);
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&content).expect("memory");
        fs::write(
            out.join(format!("{name}.gz")),
            packed.finish().expect("memory"),
        )
        .expect("a writable folder");
        let tag = format!("{:08x}-{:x}", crc.sum(), content.len());
        table += &format!(
            "    Asset {{ name: {name:?}, tag: {tag:?}, packed: include_bytes!(concat!(env!(\"OUT_DIR\"), {:?})) }},\n",
            format!("/{name}.gz")
        );
    }
    table += "]\n";
    fs::write(out.join("assets.rs"), table).expect("a writable folder");
}

/// Texts become a script, which is how a page of any age takes them in.
fn script_of(name: String, content: Vec<u8>) -> (String, Vec<u8>) {
    match name.strip_suffix(".json") {
        Some(stem) => (
            format!("{stem}.js"),
            [b"export default ".as_slice(), &content].concat(),
        ),
        None => (name, content),
    }
}

/// The library as one script: the first of those that its package puts into a page; the other one sets formulas, which no plot
/// here has.
fn plots() -> String {
    let pages = plotly::Plot::offline_js_sources();
    let begin = pages.find('>').expect("a script's begin") + 1;
    let end = pages.find("</script>\n").expect("a script's end");
    let script = &pages[begin..end];
    assert!(
        script.contains("plotly.js v"),
        "the package has changed: its first script is another one"
    );
    script.to_owned()
}
