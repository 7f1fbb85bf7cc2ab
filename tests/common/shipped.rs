//! The models that come with the project.

use std::{fs, path::Path};

/// Copies them to where a daemon may write beside them.
pub fn copy_models(to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx-models");
    for entry in fs::read_dir(shipped).expect("the models") {
        let file = entry.expect("a file").path();
        if file.is_file() {
            fs::copy(&file, to.join(file.file_name().expect("a name"))).expect("copied");
        }
    }
}
