//! `export`: what comes out is what is in the table.

mod common;

use std::{
    fs::{self, File},
    process::Command,
};

use common::{
    expected::open,
    station::{Folder, cell},
};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};

fn export(folder: &Folder, arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_pumphouse"))
        .arg("export")
        .args(arguments)
        .arg("--config")
        .arg(folder.config())
        .output()
        .expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("a text");
    (
        output.status.success(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A cell as the query in [`Folder::query`] shows it.
fn shown(field: &Field) -> String {
    match field {
        Field::Null => String::new(),
        Field::Long(value) => value.to_string(),
        Field::Double(value) => value.to_string(),
        Field::Str(value) => value.clone(),
        other => panic!("{other:?} is of no type that is written"),
    }
}

#[test]
fn parquet_has_the_types_and_the_values_of_the_table() {
    let folder = Folder::new("parquet");
    folder.configure("");
    folder.simulate(16);
    let exports = folder.exports();
    let (loaded, told) = folder.verb(&["ingest", exports.to_str().expect("a name")]);
    assert!(loaded, "{told}");
    for table in ["readings_wide", "alerts_log", "kpi_daily", "ingest_rejects"] {
        let file = folder.store().with_file_name(format!("{table}.parquet"));
        let out = file.to_str().expect("a plain name");
        let arguments = ["--table", table, "--format", "parquet", "--out", out];
        let (done, _, told) = export(&folder, &arguments);
        assert!(done, "{told}");
        let reader = SerializedFileReader::new(File::open(&file).expect("a file"));
        let reader = reader.expect("it is Parquet");
        let rows = reader.get_row_iter(None).expect("rows");
        let mut lines: Vec<String> = Vec::new();
        for row in rows {
            let row = row.expect("a row");
            let cells: Vec<_> = row
                .get_column_iter()
                .map(|(_, field)| shown(field))
                .collect();
            lines.push(cells.join("|"));
        }
        let store = open(&folder.store());
        let mut statement = store
            .prepare(&format!("SELECT * FROM {table}"))
            .expect("a query");
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            let cells = (0..columns).map(|column| Ok(cell(row.get_ref(column)?)));
            Ok(cells.collect::<rusqlite::Result<Vec<_>>>()?.join("|"))
        });
        let mut expected: Vec<String> =
            rows.expect("rows").map(|row| row.expect("a row")).collect();
        lines.sort();
        expected.sort();
        assert!(!lines.is_empty(), "{table}");
        assert!(
            lines == expected,
            "{table}: {:?} {:?}",
            lines.first(),
            expected.first()
        );
    }
    let (done, _, told) = export(
        &folder,
        &["--table", "sqlite_schema", "--format", "parquet"],
    );
    assert!(!done && told.contains("there is no table"), "{told}");
}

#[test]
fn a_table_comes_out_whole_or_in_part() {
    let folder = Folder::new("export");
    folder.configure("");
    folder.simulate(3);
    let exports = folder.exports();
    let (loaded, told) = folder.verb(&["ingest", exports.to_str().expect("a name")]);
    assert!(loaded, "{told}");

    let (done, all, _) = export(&folder, &["--table", "readings_wide"]);
    let lines: Vec<&str> = all.lines().collect();
    assert!(done && lines[0].starts_with("ts,timestamp,"));
    let count = |sql: &str| folder.query(sql).parse::<usize>().expect("a count");
    assert_eq!(lines.len() - 1, count("SELECT count(*) FROM readings_wide"));
    // To the last bit.
    let row = folder.query("SELECT ts, timestamp, fit101_per_hr, flow_z_score FROM readings_wide WHERE flow_z_score <> 0 LIMIT 1");
    let expected: Vec<&str> = row.split('|').collect();
    let place = |name: &str| {
        lines[0]
            .split(',')
            .position(|it| it == name)
            .expect("a column")
    };
    let line = lines
        .iter()
        .find(|line| line.starts_with(expected[0]))
        .expect("the row");
    let cells: Vec<&str> = line.split(',').collect();
    for (name, value) in ["ts", "timestamp", "fit101_per_hr", "flow_z_score"]
        .into_iter()
        .zip(expected)
    {
        assert_eq!(cells[place(name)], value, "{name}");
    }

    let day = |arguments: &[&str]| {
        let (done, text, told) = export(&folder, arguments);
        assert!(done, "{told}");
        text.lines().count() - 1
    };
    let of_day = count("SELECT count(*) FROM readings_wide WHERE timestamp LIKE '2025-03-02%'");
    let stretch = ["--from", "2025-03-02", "--to", "2025-03-02"];
    assert_eq!(
        day(&[&["--table", "readings_wide"], &stretch[..]].concat()),
        of_day
    );
    assert_eq!(
        day(&[&["--table", "daily_summary"], &stretch[..]].concat()),
        1
    );
    let hour = [
        "--table",
        "readings_wide",
        "--from",
        "2025-03-02 08:00",
        "--to",
        "2025-03-02 09:00",
    ];
    let of_hour =
        count("SELECT count(*) FROM readings_wide WHERE timestamp LIKE '2025-03-02 08:%'");
    assert_eq!(day(&hour), of_hour);

    // Commas in messages are quoted, and a file is not written over.
    let file = folder.config().with_file_name("alerts.csv");
    let name = file.to_str().expect("a name");
    let (done, _, told) = export(&folder, &["--table", "alerts_log", "--out", name]);
    assert!(done && told.contains("rows of alerts_log"), "{told}");
    assert!(
        fs::read_to_string(&file)
            .expect("written")
            .contains(",\"The tank is at")
    );
    let (done, _, told) = export(&folder, &["--table", "alerts_log", "--out", name]);
    assert!(!done && told.contains("cannot create"), "{told}");
    let (done, _, told) = export(&folder, &["--table", "web_sessions"]);
    assert!(!done && told.contains("there are readings_wide"), "{told}");
    let (done, _, told) = export(
        &folder,
        &["--table", "daily_summary", "--from", "yesterday"],
    );
    assert!(!done && told.contains("YYYY-MM-DD"), "{told}");
}
