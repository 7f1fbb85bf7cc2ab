//! The models that come along: learnt from the simulated station, for the demo to forecast with at once.

use std::path::Path;

macro_rules! models {
    ($($id:literal),* $(,)?) => {
        &[
            $(
                (concat!($id, ".json"), include_bytes!(concat!("../../onnx-models/", $id, ".json"))),
                (concat!($id, ".onnx"), include_bytes!(concat!("../../onnx-models/", $id, ".onnx"))),
            )*
            ("decisions.json", include_bytes!("../../onnx-models/decisions.json")),
        ]
    };
}

/// Files of a model store.
const FILES: &[(&str, &[u8])] = models![
    "hlt_pct-60min-xgboost-20250330T2359Z",
    "hlt_pct-24h-xgboost-20250330T2359Z",
    "flow_demand-60min-xgboost-20250330T2359Z",
    "flow_demand-24h-xgboost-20250330T2359Z",
    "pump_efficiency-P1-20250330T2359Z",
    "pump_efficiency-P2-20250330T2359Z",
    "pump_efficiency-P3-20250330T2359Z",
    "pump_efficiency-P4-20250330T2359Z",
    "pump_efficiency-P5-20250330T2359Z",
    "pump_efficiency-P6-20250330T2359Z",
];

/// Writes them into a folder.
pub fn write(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    FILES
        .iter()
        .try_for_each(|(name, bytes)| std::fs::write(folder.join(name), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::models::{Change, Models};

    #[test]
    fn all_that_come_along_can_be_used() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path()).expect("written");
        let mut models = Models::new(folder.path().to_path_buf());
        let changes = models.look();
        let loaded = changes
            .iter()
            .filter(|it| matches!(it, Change::Loaded { .. }));
        assert_eq!((loaded.count(), changes.len()), (10, 10), "{changes:?}");
        assert_eq!(models.look(), [], "nothing has changed");
    }
}
