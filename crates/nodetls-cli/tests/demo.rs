//! `nodetls demo` does what it says.

#![expect(clippy::unwrap_used, reason = "a test ends with what it cannot do")]

mod harness;

use harness::run;
use serde_json::Value;

#[test]
fn the_demo_shows_a_conversation_a_resumption_and_two_refusals() {
    let demo = run(&["demo"], b"").succeeded();
    let text = String::from_utf8(demo.stdout).unwrap();
    for shown in [
        "Server bound to 127.0.0.1:",
        "TLSv1.3",
        "CN=agent1",
        "DNS:localhost",
        "\"welcome!\"",
        "Reused",
        "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE",
        "SELF_SIGNED_CERT_IN_CHAIN",
    ] {
        assert!(text.contains(shown), "{shown} is not in: {text}");
    }
    assert_eq!(demo.stderr, "");
}

#[test]
fn the_demo_prints_one_json_object_a_step() {
    let demo = run(&["demo", "--json"], b"").succeeded();
    let text = String::from_utf8(demo.stdout).unwrap();
    let steps: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    let expected = [
        "authority",
        "listening",
        "connected",
        "accepted",
        "echo",
        "resumed",
        "echo",
        "no-certificate",
        "untrusted-authority",
        "done",
    ];
    assert_eq!(names, expected);
    assert_eq!(steps[2]["sessionReused"], false);
    assert_eq!(steps[3]["peerCertificates"][0]["subject"], "CN=agent1");
    assert_eq!(steps[4]["received"], "welcome!\nHow now, brown cow?");
    assert_eq!(steps[5]["sessionReused"], true);
    assert_eq!(steps[7]["client"]["code"], "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED");
}
