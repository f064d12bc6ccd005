//! The benchmark runs, moves the right bytes, resumes what it should, and reports every measure.

#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

/// A run takes a few seconds; only one that hangs comes here.
const LIMIT: Duration = Duration::from_secs(240);

fn quick(arguments: &[&str]) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nodetls-bench"))
        .arg("--quick")
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the benchmark starts");
    let mut stdout = child.stdout.take().expect("piped");
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut output = String::new();
        stdout.read_to_string(&mut output).expect("the output is text");
        sender.send(output)
    });
    let Ok(output) = receiver.recv_timeout(LIMIT) else {
        child.kill().expect("it runs");
        panic!("the benchmark hangs");
    };
    assert!(child.wait().expect("it has ended").success());
    output
}

#[test]
fn a_quick_run_reports_every_measure_of_every_implementation() {
    let report: Value = serde_json::from_str(&quick(&["--json"])).unwrap();
    let rows = report["rows"].as_array().unwrap();
    let names: Vec<_> = rows.iter().map(|row| (row["measure"].as_str(), row["unit"].as_str())).collect();
    let expected = [
        ("send, 16 KiB writes", "MiB per CPU second"),
        ("send, 16 KiB writes", "MiB per second"),
        ("send, 256 KiB writes", "MiB per CPU second"),
        ("send, 256 KiB writes", "MiB per second"),
        ("receive", "MiB per CPU second"),
        ("receive", "MiB per second"),
        ("full handshake, default groups", "CPU µs"),
        ("full handshake, X25519", "CPU µs"),
        ("resumed handshake, X25519", "CPU µs"),
        ("idle connection", "bytes"),
    ];
    assert_eq!(names, expected.map(|(measure, unit)| (Some(measure), Some(unit))));
    for row in rows {
        for implementation in ["nodetls", "tokio-openssl", "tokio-rustls"] {
            let median = row["figures"][implementation]["median"].as_f64().unwrap();
            assert!(median > 0.0, "{implementation}: {row}");
        }
        assert!(row["met"].is_null(), "a quick run is not judged: {row}");
    }
}

#[test]
fn the_table_has_a_line_for_each_measure() {
    let table = quick(&[]);
    for measure in ["send, 16 KiB writes", "receive", "resumed handshake", "idle connection"] {
        assert!(table.lines().any(|line| line.starts_with(measure)), "{measure}:\n{table}");
    }
    assert!(table.contains("nodetls ÷ tokio-openssl"));
}
