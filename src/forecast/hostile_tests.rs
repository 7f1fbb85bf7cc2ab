//! Models that mean harm, or were damaged: each is refused with its reason, and quickly.

use std::{fs, fs::File, path::Path};

use prost::Message;
use sha2::{Digest, Sha256};
use tract_onnx::pb::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, SparseTensorProto,
    TensorProto, ValueInfoProto,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

use super::{
    guard::{MODEL_BYTES_MAX, check, load},
    manifest::Manifest,
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/forecast");

fn good() -> (Manifest, Vec<u8>) {
    let read = |name| fs::read(Path::new(FOLDER).join(name)).expect("the fixture is there");
    let manifest = serde_json::from_slice(&read("trees.json")).expect("a manifest");
    (manifest, read("trees.onnx"))
}

/// A manifest that speaks of these bytes.
fn sign(manifest: &mut Manifest, bytes: &[u8]) {
    manifest.bytes = bytes.len() as u64;
    let digest = Sha256::digest(bytes);
    manifest.sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
}

#[track_caller]
fn refuses(manifest: Manifest, bytes: &[u8], reason: &str) {
    let refused = check(manifest, bytes).expect_err(reason);
    let said = format!("{refused:#}");
    assert!(said.contains(reason), "{said:?} instead of {reason:?}");
}

/// The good model's file with other bytes, under a manifest that speaks of them.
#[track_caller]
fn refuses_bytes(bytes: &[u8], reason: &str) {
    let (mut manifest, _) = good();
    sign(&mut manifest, bytes);
    refuses(manifest, bytes, reason);
}

/// The good model, changed.
#[track_caller]
fn refuses_model(change: impl FnOnce(&mut ModelProto), reason: &str) {
    let (_, bytes) = good();
    let mut model = ModelProto::decode(&*bytes).expect("a model");
    change(&mut model);
    refuses_bytes(&model.encode_to_vec(), reason);
}

#[track_caller]
fn refuses_graph(change: impl FnOnce(&mut GraphProto), reason: &str) {
    refuses_model(
        |model| change(model.graph.as_mut().expect("a graph")),
        reason,
    );
}

/// The good model with another list of its trees.
#[track_caller]
fn refuses_trees(list: &str, change: impl FnOnce(&mut AttributeProto), reason: &str) {
    let change = |graph: &mut GraphProto| {
        let mut attributes = graph.node[0].attribute.iter_mut();
        change(
            attributes
                .find(|attribute| attribute.name == list)
                .expect("the list"),
        );
    };
    refuses_graph(change, reason);
}

fn node(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op_type.into(),
        name: output.into(),
        input: inputs.iter().map(|&input| input.into()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

fn constant(name: &str, dims: &[i64]) -> TensorProto {
    let product = |product: i64, size: &i64| product.checked_mul(*size);
    let elements = dims.iter().try_fold(1, product).unwrap_or(0);
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: 1,
        float_data: vec![1.0; elements.clamp(0, 1 << 17) as usize],
        ..TensorProto::default()
    }
}

/// Gives the graph's input another shape and element type.
fn set_input(input: &mut ValueInfoProto, dims: &[i64], element: i32) {
    let Some(type_proto::Value::TensorType(tensor)) =
        input.r#type.as_mut().and_then(|of| of.value.as_mut())
    else {
        panic!("a tensor");
    };
    tensor.elem_type = element;
    tensor.shape.as_mut().expect("a shape").dim = dims
        .iter()
        .map(|&size| Dimension {
            value: Some(dimension::Value::DimValue(size)),
            ..Dimension::default()
        })
        .collect();
}

#[test]
fn takes_the_model_as_it_was_made() {
    let (manifest, bytes) = good();
    check(manifest, &bytes).expect("a good model");
}

#[test]
fn refuses_files_that_are_no_model() {
    refuses_bytes(b"", "no graph");
    let mut noise = 1u32;
    let noise: Vec<u8> = (0..4096)
        .map(|_| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        })
        .collect();
    refuses_bytes(&noise, "no ONNX model");
    refuses_bytes(b"<!DOCTYPE html><title>404</title>", "no ONNX model");
    let (_, bytes) = good();
    refuses_bytes(&bytes[..bytes.len() / 2], "no ONNX model");
    refuses_bytes(&bytes[..bytes.len() - 1], "no ONNX model");
}

#[test]
fn refuses_what_its_manifest_does_not_speak_of() {
    let (manifest, bytes) = good();
    for place in [100, bytes.len() / 2, bytes.len() - 100] {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1;
        refuses(
            manifest.clone(),
            &flipped,
            "not the one that its manifest speaks of",
        );
    }
    let mut longer = bytes.clone();
    longer.push(0);
    refuses(manifest.clone(), &longer, "its manifest says");
    let with = |change: fn(&mut Manifest)| {
        let mut changed = manifest.clone();
        change(&mut changed);
        changed
    };
    refuses(with(|manifest| manifest.contract = 2), &bytes, "contract 2");
    refuses(
        with(|manifest| manifest.golden.clear()),
        &bytes,
        "no case to try",
    );
    refuses(with(|manifest| manifest.inputs.clear()), &bytes, "1 inputs");
    refuses(
        with(|manifest| manifest.inputs[0].shape = vec![-1, 7]),
        &bytes,
        "has the shape [-1, 8]",
    );
    refuses(
        with(|manifest| manifest.golden[1].output[0] += 0.01),
        &bytes,
        "where the trainer had",
    );
    refuses(
        with(|manifest| manifest.golden[1].output[0] = f32::NAN),
        &bytes,
        "where the trainer had NaN",
    );
    refuses(
        with(|manifest| manifest.golden[0].output.clear()),
        &bytes,
        "1 values instead of 0",
    );
    refuses(
        with(|manifest| manifest.golden[0].shapes[0] = vec![2, 4]),
        &bytes,
        "case 0 cannot be run",
    );
    refuses(
        with(|manifest| manifest.golden[0].shapes[0] = vec![8]),
        &bytes,
        "case 0 cannot be run",
    );
    refuses(
        with(|manifest| manifest.golden[0].shapes[0] = vec![1 << 40, 8]),
        &bytes,
        "case 0 cannot be run",
    );
    refuses(
        with(|manifest| manifest.golden[0].inputs.clear()),
        &bytes,
        "do not belong together",
    );
}

#[test]
fn refuses_files_that_are_too_long_or_elsewhere() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let (mut manifest, _) = good();
    let place = folder.path().join("trees.json");
    let write = |manifest: &Manifest| {
        let text = serde_json::to_vec(manifest).expect("JSON");
        fs::write(&place, text).expect("written");
    };
    let refused = |reason: &str| {
        let said = format!("{:#}", load(&place).expect_err(reason));
        assert!(said.contains(reason), "{said:?} instead of {reason:?}");
    };
    refused("cannot open");
    fs::write(&place, "{").expect("written");
    refused("no manifest");
    write(&manifest);
    refused("cannot open");
    // 800 MB that take no room on the disk.
    let file = File::create(folder.path().join("trees.onnx")).expect("a file");
    file.set_len(800 << 20).expect("long");
    refused(&format!("longer than {MODEL_BYTES_MAX} bytes"));
    for elsewhere in ["../trees.onnx", "/etc/passwd", "..", ""] {
        manifest.file = elsewhere.into();
        write(&manifest);
        refused("not a name in its own folder");
    }
}

#[test]
fn refuses_graphs_that_are_none() {
    refuses_model(|model| model.graph = None, "no graph");
    refuses_model(
        |model| model.functions.push(FunctionProto::default()),
        "functions of its own",
    );
    refuses_graph(|graph| graph.node.clear(), "0 nodes");
    refuses_graph(
        |graph| {
            let more = (0..64).map(|place| node("Identity", &["features"], &format!("i{place}")));
            graph.node.extend(more);
        },
        "67 nodes",
    );
    refuses_graph(|graph| graph.output.clear(), "no output");
    refuses_graph(
        |graph| graph.output[0].name = "nobody".into(),
        "nothing makes the output",
    );
    refuses_graph(
        |graph| graph.sparse_initializer.push(SparseTensorProto::default()),
        "sparse constants",
    );
}

#[test]
fn refuses_graphs_that_go_round_in_circles() {
    refuses_graph(
        |graph| graph.node.reverse(),
        "which nothing before it makes",
    );
    refuses_graph(
        |graph| graph.node[0].input[0] = graph.node[0].output[0].clone(),
        "which nothing before it makes",
    );
    refuses_graph(
        |graph| {
            let again = graph.node[0].clone();
            graph.node.insert(1, again);
        },
        "made twice",
    );
}

#[test]
fn refuses_operators_that_a_forecast_does_not_need() {
    for operator in [
        "Loop",
        "Scan",
        "If",
        "ConstantOfShape",
        "Conv",
        "TreeEnsembleClassifier",
    ] {
        refuses_graph(
            |graph| graph.node.push(node(operator, &["features"], "more")),
            "not one of those that a forecast needs",
        );
    }
    refuses_graph(
        |graph| graph.node[2].domain = "com.example".into(),
        "not one of those",
    );
    refuses_graph(
        |graph| {
            let mut hidden = node("Identity", &["features"], "more");
            hidden.attribute.push(AttributeProto {
                name: "body".into(),
                g: Some(GraphProto::default()),
                ..AttributeProto::default()
            });
            graph.node.push(hidden);
        },
        "holds a graph",
    );
}

#[test]
fn refuses_what_would_not_fit_into_memory() {
    let with_constant = |dims: &'static [i64]| {
        move |graph: &mut GraphProto| graph.initializer.push(constant("giant", dims))
    };
    refuses_graph(with_constant(&[1 << 20, 1 << 20]), "has the shape");
    refuses_graph(with_constant(&[i64::MAX, i64::MAX]), "has the shape");
    refuses_graph(with_constant(&[-1, 8]), "has the shape");
    refuses_graph(
        |graph| {
            let mut outside = constant("outside", &[1]);
            outside.data_location = Some(1);
            graph.initializer.push(outside);
        },
        "outside the file",
    );
    // tract would multiply them while it works out shapes.
    refuses_graph(
        |graph| {
            graph.initializer.push(constant("column", &[1 << 17, 1]));
            graph.initializer.push(constant("row", &[1, 1 << 17]));
            graph
                .node
                .push(node("MatMul", &["column", "row"], "square"));
        },
        "depends on no input",
    );
    refuses_graph(
        |graph| {
            set_input(&mut graph.input[0], &[1 << 17, 1], 1);
            graph.initializer.push(constant("row", &[1, 1 << 17]));
            graph.node = vec![node("MatMul", &["features", "row"], "forecast")];
        },
        "makes a tensor of the shape",
    );
    refuses_graph(
        |graph| set_input(&mut graph.input[0], &[1 << 40, 8], 1),
        "makes a tensor of the shape",
    );
}

#[test]
fn refuses_inputs_of_another_kind() {
    refuses_graph(
        |graph| set_input(&mut graph.input[0], &[1, 8], 7),
        "the shapes do not fit",
    );
    refuses_graph(
        |graph| set_input(&mut graph.input[0], &[8], 1),
        "the shapes do not fit",
    );
}

#[test]
fn refuses_trees_that_lead_astray() {
    refuses_trees(
        "nodes_truenodeids",
        |list| list.ints[0] = 1_000_000,
        "names a node 1000000",
    );
    refuses_trees(
        "nodes_truenodeids",
        |list| list.ints[0] = -1,
        "names a node -1",
    );
    // Its own child; the grandchild of its child.
    refuses_trees("nodes_truenodeids", |list| list.ints[1] = 1, "two parents");
    refuses_trees(
        "nodes_falsenodeids",
        |list| list.ints[0] = list.ints[1],
        "two parents",
    );
    refuses_trees("nodes_nodeids", |list| list.ints[1] = 0, "there twice");
    refuses_trees("nodes_treeids", |list| list.ints[0] = 99, "names a node");
    refuses_trees("nodes_featureids", |list| list.ints[0] = -1, "column -1");
    refuses_trees(
        "nodes_featureids",
        |list| list.ints[0] = 1 << 40,
        "column 1099511627776",
    );
    refuses_trees(
        "nodes_featureids",
        |list| list.ints[0] = 99,
        "case 0 cannot be run",
    );
    refuses_trees(
        "nodes_featureids",
        |list| list.ints.truncate(5),
        "different lengths",
    );
    refuses_trees(
        "nodes_values",
        |list| list.floats[0] = f32::NAN,
        "no finite number",
    );
    refuses_trees(
        "nodes_hitrates",
        |list| list.floats[0] = f32::INFINITY,
        "no finite number",
    );
    refuses_trees(
        "nodes_hitrates",
        |list| list.floats.truncate(5),
        "different lengths",
    );
    refuses_trees(
        "target_weights",
        |list| list.floats[0] = f32::NAN,
        "no finite number",
    );
    refuses_trees(
        "target_weights",
        |list| list.floats.truncate(5),
        "different lengths",
    );
    refuses_trees(
        "target_nodeids",
        |list| list.ints[0] = 0,
        "a branch has none",
    );
    refuses_trees(
        "target_ids",
        |list| list.ints[0] = 1_000_000,
        "beyond the first",
    );
    refuses_trees(
        "nodes_modes",
        |list| list.strings[0] = b"BRANCH_GTE".to_vec(),
        "BRANCH_GTE",
    );
    refuses_trees(
        "nodes_modes",
        |list| list.strings[0] = b"LEAF".to_vec(),
        "roots",
    );
    refuses_trees("n_targets", |list| list.i = 2, "2 targets");
    refuses_trees(
        "post_transform",
        |list| list.s = b"LOGISTIC".to_vec(),
        "LOGISTIC",
    );
    refuses_trees("aggregate_function", |list| list.s = b"MAX".to_vec(), "MAX");
    refuses_trees(
        "base_values",
        |list| list.floats = vec![f32::NAN],
        "no finite number",
    );
    refuses_trees(
        "base_values",
        |list| list.floats = vec![0.0; 9],
        "9 base values",
    );
    refuses_trees(
        "base_values",
        |list| list.name = "base_values_as_tensor".into(),
        "base_values_as_tensor",
    );
}

#[test]
fn refuses_trees_that_are_too_deep() {
    // A chain: every branch's second child is the next branch.
    let depth = 200;
    let count = 2 * depth + 1;
    let ints = |of: fn(i64) -> i64| (0..count).map(of).collect::<Vec<_>>();
    let is_branch = |place: i64| place % 2 == 0 && place < 400;
    let change = |graph: &mut GraphProto| {
        let leaves: Vec<i64> = (0..count).filter(|&place| !is_branch(place)).collect();
        for attribute in &mut graph.node[0].attribute {
            match attribute.name.as_str() {
                "nodes_nodeids" => attribute.ints = ints(|place| place),
                "nodes_treeids" | "nodes_featureids" | "nodes_missing_value_tracks_true" => {
                    attribute.ints = ints(|_| 0);
                }
                "nodes_truenodeids" => attribute.ints = ints(|place| place + 1),
                "nodes_falsenodeids" => attribute.ints = ints(|place| place + 2),
                "nodes_values" | "nodes_hitrates" => attribute.floats = vec![1.0; count as usize],
                "nodes_modes" => {
                    let mode = |place| {
                        if is_branch(place) {
                            "BRANCH_LT"
                        } else {
                            "LEAF"
                        }
                    };
                    attribute.strings = (0..count).map(|place| mode(place).into()).collect();
                }
                "target_nodeids" => attribute.ints.clone_from(&leaves),
                "target_treeids" | "target_ids" => attribute.ints = vec![0; leaves.len()],
                "target_weights" => attribute.floats = vec![1.0; leaves.len()],
                _ => {}
            }
        }
    };
    refuses_graph(change, "deeper than 24");
}
