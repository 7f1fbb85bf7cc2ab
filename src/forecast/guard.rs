//! From a file that may hold anything to a model that may be run: nothing in it can crash, hang or starve the daemon.
//!
//! The order is the point. The file's hash comes first; then what is declared (operators, sizes, what depends on what) is
//! looked at before tract is let near it, because tract folds constants while it works out shapes; then tract runs inside
//! `catch_unwind`; and at last the model must answer what its trainer got.

use std::{
    collections::HashMap,
    fs::File,
    io::Read,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};
use tract_onnx::{
    pb::{GraphProto, ModelProto, NodeProto},
    prelude::*,
    tract_hir::infer::Factoid,
};

use super::{
    ensemble,
    manifest::{CONTRACT, Manifest},
    trees::Forest,
};

/// Longest model file, bytes.
pub const MODEL_BYTES_MAX: u64 = 16 << 20;
/// Longest manifest, bytes.
const MANIFEST_BYTES_MAX: u64 = 4 << 20;
/// Most nodes of a graph.
const NODES_MAX: usize = 64;
/// Most elements of any tensor.
const ELEMENTS_MAX: u64 = 4 << 20;
/// What a graph may do, by the operators' domain.
const OPERATORS: [&str; 6] = ["MatMul", "Add", "Sub", "Reshape", "Identity", "Slice"];
const TREE_DOMAIN: &str = "ai.onnx.ml";

/// Values for one input: shape and values, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// The shape.
    pub shape: Vec<usize>,
    /// As many values as the shape says; NaN is an unknown one.
    pub values: Vec<f32>,
}

/// A model that has passed all checks.
#[derive(Clone, Debug)]
pub struct Model {
    /// What it says of itself.
    pub manifest: Manifest,
    runnable: Arc<TypedRunnableModel>,
    forest: Option<Arc<Forest>>,
}

/// Reads a model by its manifest.
///
/// # Errors
/// Why it is refused.
pub fn load(manifest: &Path) -> anyhow::Result<Model> {
    let text = read(manifest, MANIFEST_BYTES_MAX)?;
    let parsed: Manifest = serde_json::from_slice(&text)
        .with_context(|| format!("{} is no manifest", manifest.display()))?;
    let name = Path::new(&parsed.file);
    ensure!(
        name.file_name() == Some(name.as_os_str()),
        "the manifest's file {:?} is not a name in its own folder",
        parsed.file
    );
    let bytes = read(&manifest.with_file_name(name), MODEL_BYTES_MAX)?;
    check(parsed, &bytes)
}

/// Reads a file that may not be longer than this.
pub(super) fn read(path: &Path, bytes_max: u64) -> anyhow::Result<Vec<u8>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        bytes.len() as u64 <= bytes_max,
        "{} is longer than {bytes_max} bytes",
        path.display()
    );
    Ok(bytes)
}

/// Checks a model's bytes against its manifest and makes them runnable.
///
/// # Errors
/// Why it is refused.
pub fn check(manifest: Manifest, bytes: &[u8]) -> anyhow::Result<Model> {
    ensure!(
        manifest.contract == CONTRACT,
        "the model is made for contract {}; this version knows {CONTRACT}",
        manifest.contract
    );
    ensure!(
        manifest.bytes == bytes.len() as u64,
        "the file has {} bytes; its manifest says {}",
        bytes.len(),
        manifest.bytes
    );
    let digest = Sha256::digest(bytes);
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    ensure!(
        hash == manifest.sha256,
        "the file is not the one that its manifest speaks of: SHA-256 {hash} instead of {}",
        manifest.sha256
    );
    ensure!(
        !manifest.golden.is_empty(),
        "the manifest has no case to try"
    );
    // A panic in tract is a refusal; nothing of what it touched is used again.
    let built = catch_unwind(AssertUnwindSafe(|| build(bytes)));
    let (runnable, forest, facts) = match built {
        Ok(built) => built?,
        Err(_) => bail!("the model cannot be understood: tract gave up in the middle of it"),
    };
    ensure!(
        facts.len() == manifest.inputs.len(),
        "the model has {} inputs; its manifest says {}",
        facts.len(),
        manifest.inputs.len()
    );
    for (fact, input) in facts.iter().zip(&manifest.inputs) {
        ensure!(
            fact == &input.shape,
            "the input {} has the shape {fact:?}; the manifest says {:?}",
            input.name,
            input.shape
        );
    }
    let model = Model {
        manifest,
        runnable,
        forest,
    };
    model.try_golden()?;
    Ok(model)
}

type Built = (Arc<TypedRunnableModel>, Option<Arc<Forest>>, Vec<Vec<i64>>);

fn build(bytes: &[u8]) -> anyhow::Result<Built> {
    let mut onnx = tract_onnx::onnx();
    onnx.op_register.insert(ensemble::NAME, ensemble::parse);
    // From memory: a mapped file may change underneath.
    let proto = onnx
        .proto_model_for_read(&mut &*bytes)
        .context("the file is no ONNX model")?;
    inspect(&proto)?;
    let mut model = onnx
        .model_for_proto_model(&proto)
        .context("the graph cannot be built")?;
    model.analyse(false).context("the shapes do not fit")?;
    for node in model.nodes() {
        for output in &node.outputs {
            let Some(shape) = output.fact.shape.concretize() else {
                continue;
            };
            let sizes = shape.iter().filter_map(|dimension| dimension.to_i64().ok());
            ensure!(
                is_held(sizes),
                "{} makes a tensor of the shape {shape:?}",
                node.name
            );
        }
    }
    let typed = model
        .into_optimized()
        .context("the model cannot be prepared")?;
    let facts = typed
        .input_outlets()?
        .iter()
        .map(|&outlet| {
            let fact = typed.outlet_fact(outlet)?;
            ensure!(
                fact.datum_type == f32::datum_type(),
                "an input that is not float32"
            );
            let sizes = fact
                .shape
                .iter()
                .map(|dimension| dimension.to_i64().unwrap_or(-1));
            Ok(sizes.collect())
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let forest = ensemble::forest_of(&typed);
    let runnable = typed.into_runnable().context("the model cannot be run")?;
    Ok((runnable, forest, facts))
}

/// Looks at what a file declares.
fn inspect(proto: &ModelProto) -> anyhow::Result<()> {
    ensure!(
        proto.functions.is_empty(),
        "the model brings functions of its own"
    );
    let graph = proto.graph.as_ref().context("the model has no graph")?;
    ensure!(
        (1..=NODES_MAX).contains(&graph.node.len()),
        "the graph has {} nodes; 1 to {NODES_MAX} are taken",
        graph.node.len()
    );
    ensure!(
        graph.sparse_initializer.is_empty(),
        "the graph has sparse constants"
    );
    let mut depends = declared(graph)?;
    let mut has_trees = false;
    for node in &graph.node {
        check_operator(node)?;
        let mut on_input = false;
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            let known = depends.get(name.as_str());
            // Files list nodes in the order of their doing, so a circle names something that is not there yet.
            let known = known.with_context(|| {
                format!(
                    "the node {:?} needs {name:?}, which nothing before it makes",
                    node.name
                )
            })?;
            on_input |= known;
        }
        // tract works constants out before anybody can see how large they get.
        ensure!(
            on_input || node.op_type == "Identity",
            "the node {:?} depends on no input",
            node.name
        );
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            ensure!(
                depends.insert(name, on_input).is_none(),
                "{name:?} is made twice"
            );
        }
        if node.op_type == ensemble::NAME {
            let again = std::mem::replace(&mut has_trees, true);
            ensure!(!again, "the graph has two sets of trees");
        }
    }
    ensure!(!graph.output.is_empty(), "the graph has no output");
    for output in &graph.output {
        ensure!(
            depends.contains_key(output.name.as_str()),
            "nothing makes the output {:?}",
            output.name
        );
    }
    Ok(())
}

/// Whether a tensor of these sizes has few enough elements.
fn is_held(mut sizes: impl Iterator<Item = i64>) -> bool {
    let elements = sizes.try_fold(1u64, |product, size| {
        product.checked_mul(u64::try_from(size).ok()?)
    });
    elements.is_some_and(|elements| elements <= ELEMENTS_MAX)
}

/// The names that a graph begins with: constants, and inputs, which other than they depend on what is given.
fn declared(graph: &GraphProto) -> anyhow::Result<HashMap<&str, bool>> {
    let mut depends = HashMap::new();
    for constant in &graph.initializer {
        ensure!(
            constant.external_data.is_empty() && constant.data_location.unwrap_or(0) == 0,
            "the constant {:?} lies outside the file",
            constant.name
        );
        ensure!(
            is_held(constant.dims.iter().copied()),
            "the constant {:?} has the shape {:?}",
            constant.name,
            constant.dims
        );
        ensure!(
            depends.insert(constant.name.as_str(), false).is_none(),
            "{:?} is there twice",
            constant.name
        );
    }
    for input in &graph.input {
        // Old files list their constants among the inputs, too.
        depends.entry(input.name.as_str()).or_insert(true);
    }
    Ok(depends)
}

fn check_operator(node: &NodeProto) -> anyhow::Result<()> {
    let known = match node.domain.as_str() {
        "" | "ai.onnx" => OPERATORS.contains(&node.op_type.as_str()),
        TREE_DOMAIN => node.op_type == ensemble::NAME,
        _ => false,
    };
    ensure!(
        known,
        "the operator {} {} is not one of those that a forecast needs",
        node.domain,
        node.op_type
    );
    for attribute in &node.attribute {
        ensure!(
            attribute.g.is_none()
                && attribute.graphs.is_empty()
                && attribute.t.is_none()
                && attribute.tensors.is_empty()
                && attribute.sparse_tensor.is_none()
                && attribute.sparse_tensors.is_empty(),
            "the node {:?} holds a graph or a tensor in {}",
            node.name,
            attribute.name
        );
    }
    Ok(())
}

impl Model {
    /// Runs the model; the values of its outputs, in order.
    ///
    /// # Errors
    /// When the inputs do not fit.
    pub fn run(&self, inputs: &[Values]) -> anyhow::Result<Vec<Vec<f32>>> {
        let inputs = inputs
            .iter()
            .map(|Values { shape, values }| {
                let tensor = Tensor::from_shape(shape, values)?;
                Ok(tensor.into_tvalue())
            })
            .collect::<TractResult<TVec<TValue>>>()?;
        let ran = catch_unwind(AssertUnwindSafe(|| self.runnable.run(inputs)));
        let Ok(outputs) = ran else {
            bail!("the model {} fell over", self.manifest.id)
        };
        outputs?
            .iter()
            .map(|output| {
                let view = output.to_plain_array_view::<f32>()?;
                Ok(view.iter().copied().collect())
            })
            .collect()
    }

    /// What each column of a row contributes to its forecast, and last what is expected of any row; `None` for a model
    /// without trees.
    pub fn contributions(&self, row: &[f32]) -> Option<Vec<f64>> {
        self.forest.as_ref()?.contributions(row).ok()
    }

    /// A model must answer what its trainer got.
    fn try_golden(&self) -> anyhow::Result<()> {
        let tolerance = self.manifest.golden_tolerance;
        for (place, case) in self.manifest.golden.iter().enumerate() {
            ensure!(
                case.inputs.len() == case.shapes.len(),
                "case {place} has values and shapes that do not belong together"
            );
            let inputs: Vec<_> = case
                .inputs
                .iter()
                .zip(&case.shapes)
                .map(|(values, shape)| Values {
                    shape: shape.clone(),
                    values: values
                        .iter()
                        .map(|value| value.unwrap_or(f32::NAN))
                        .collect(),
                })
                .collect();
            let outputs = self
                .run(&inputs)
                .with_context(|| format!("case {place} cannot be run"))?;
            let output = outputs.first().map_or(&[][..], Vec::as_slice);
            ensure!(
                output.len() == case.output.len(),
                "case {place} gives {} values instead of {}",
                output.len(),
                case.output.len()
            );
            for (got, wanted) in output.iter().zip(&case.output) {
                // Written so that a NaN is refused, too.
                let is_near = (got - wanted).abs() <= tolerance;
                ensure!(
                    is_near,
                    "case {place} gives {got} where the trainer had {wanted}"
                );
            }
        }
        Ok(())
    }
}
