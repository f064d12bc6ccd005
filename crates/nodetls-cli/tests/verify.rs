//! `verify`: chains in files, and requests as JSON that nothing can bring to an end but the end of the input.

#![expect(clippy::unwrap_used, reason = "a test ends with what it cannot do")]

mod harness;

use harness::{Directory, Input, Running, Stream, nodetls, run};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

/// A root, and what it has issued for `localhost`, in PEM.
fn chain() -> [String; 2] {
    let named = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let (root_key, leaf_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut root = named("a root");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let mut leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    leaf.distinguished_name = named("a leaf").distinguished_name;
    let leaf_pem = leaf.signed_by(&leaf_key, &Issuer::new(root, root_key)).unwrap().pem();
    [root_pem, leaf_pem]
}

fn request(id: &str, root: &str, leaf: &str) -> Value {
    json!({
        "id": id, "purpose": "server", "leaf": leaf, "intermediates": [], "roots": [root],
        "name": {"kind": "dns", "value": "localhost"}, "time": null, "crls": [], "max_depth": null,
        "something": "else",
    })
}

fn with(mut request: Value, member: &str, value: Value) -> String {
    request[member] = value;
    request.to_string()
}

#[test]
fn a_chain_in_files_is_shown_with_the_verdict() {
    let directory = Directory::new();
    let [root, leaf] = chain();
    let (root, leaf) = (directory.write("root.pem", root), directory.write("leaf.pem", leaf));
    let verify = |arguments: &[&str]| run(&[&["verify", "--root", &root, &leaf], arguments].concat(), b"");
    let good = verify(&["--name", "localhost"]).succeeded();
    let text = String::from_utf8(good.stdout).unwrap();
    assert!(text.contains("Certificate 0: subject  CN=a leaf"), "{text}");
    assert!(text.contains("Certificate 1: subject  CN=a root"), "{text}");
    assert!(text.ends_with("Verification:  OK\n"), "{text}");
    let bad = verify(&["--name", "example.com"]).failed(1, "ERR_TLS_CERT_ALTNAME_INVALID");
    let text = String::from_utf8(bad.stdout).unwrap();
    assert!(text.contains("CN=a leaf") && text.ends_with("FAILED, ERR_TLS_CERT_ALTNAME_INVALID\n"), "{text}");
    verify(&["--time", "1970-01-01T00:00:00Z"]).failed(1, "CERT_NOT_YET_VALID");
    verify(&["--strict"]).failed(1, "CA_CERT_MISSING_KEY_USAGE");
    run(&["verify", &leaf], b"").failed(1, "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
}

#[test]
fn arguments_that_cannot_be_used() {
    let directory = Directory::new();
    let [root, leaf] = chain();
    let (leaf, junk) = (directory.write("leaf.pem", leaf), directory.write("junk.pem", "junk"));
    run(&["verify", &junk], b"").failed(1, "ERR_OSSL_PEM_NO_START_LINE");
    run(&["verify", &leaf, "--root", &junk], b"").failed(1, "ERR_OSSL_PEM_NO_START_LINE");
    run(&["verify", &directory.file("none.pem")], b"").failed(1, "ENOENT");
    run(&["verify", &leaf, "--time", "yesterday"], b"").failed(2, "ERR_INVALID_ARG_VALUE");
    run(&["verify", &leaf, "--name", "a..b"], b"").failed(2, "ERR_INVALID_ARG_VALUE");
    let root = directory.write("root.pem", root);
    for arguments in [["verify", "--json", &leaf], ["verify", "--root", &root]] {
        assert_eq!(run(&arguments, b"").status.code(), Some(2));
    }
}

#[test]
fn each_request_is_answered_in_order_with_its_stage_and_code() {
    let [root, leaf] = chain();
    let good = |id: &str| request(id, &root, &leaf);
    let cases = [
        (good("1").to_string(), r#"{"id":"1","verdict":"accept","stage":null,"code":null}"#),
        (
            with(good("2"), "name", json!({"kind": "dns", "value": "example.com"})),
            r#"{"id":"2","verdict":"reject","stage":"name","code":"ERR_TLS_CERT_ALTNAME_INVALID"}"#,
        ),
        (
            with(good("3"), "time", json!("1970-01-01T00:00:00.25Z")),
            r#"{"id":"3","verdict":"reject","stage":"chain","code":"CERT_NOT_YET_VALID"}"#,
        ),
        (
            with(good("4"), "leaf", json!("junk")),
            r#"{"id":"4","verdict":"reject","stage":"parse","code":"ERR_OSSL_PEM_NO_START_LINE"}"#,
        ),
        (
            "junk".to_owned(),
            r#"{"id":null,"verdict":"reject","stage":"parse","code":"ERR_INVALID_ARG_VALUE"}"#,
        ),
        (with(good("5"), "name", Value::Null), r#"{"id":"5","verdict":"accept","stage":null,"code":null}"#),
        (
            with(good("6"), "name", json!({"kind": "ip", "value": "localhost"})),
            r#"{"id":"6","verdict":"reject","stage":"name","code":"ERR_TLS_CERT_ALTNAME_INVALID"}"#,
        ),
        (
            with(good("7"), "roots", json!([])),
            r#"{"id":"7","verdict":"reject","stage":"chain","code":"UNABLE_TO_VERIFY_LEAF_SIGNATURE"}"#,
        ),
        (
            with(good("8"), "purpose", json!("client")),
            r#"{"id":"8","verdict":"accept","stage":null,"code":null}"#,
        ),
    ];
    let input: Vec<&str> = cases.iter().map(|(line, _)| line.as_str()).collect();
    let ended = run(&["verify", "--json"], input.join("\n").as_bytes()).succeeded();
    let expected: Vec<&str> = cases.iter().map(|(_, answer)| *answer).collect();
    let output = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(output.lines().collect::<Vec<_>>(), expected);
    let strict = run(&["verify", "--json", "--strict"], input[0].as_bytes()).succeeded();
    assert!(String::from_utf8(strict.stdout).unwrap().contains("CA_CERT_MISSING_KEY_USAGE"));
}

#[test]
fn members_that_cannot_be_read_leave_the_others_as_they_are() {
    let [root, leaf] = chain();
    let good = request("a", &root, &leaf).to_string();
    let and = |members: &str| format!("{},{members}}}", good.strip_suffix('}').unwrap());
    let deep = format!(r#""x":{}{}"#, "[".repeat(10_000), "]".repeat(10_000));
    for (line, expected) in [
        (and(r#""x":1e999"#), r#""accept","stage":null,"code":null}"#),
        (and(r#""x":"\ud800""#), r#""accept","stage":null,"code":null}"#),
        (and(&deep), r#""accept","stage":null,"code":null}"#),
        (and(r#""max_depth":1.0"#), r#""accept","stage":null,"code":null}"#),
        (and(r#""max_depth":1e300"#), r#""accept","stage":null,"code":null}"#),
        (and(r#""max_depth":1e999"#), r#""reject","stage":"parse","code":"ERR_INVALID_ARG_VALUE"}"#),
        (and(r#""max_depth":0.5"#), r#""reject","stage":"parse","code":"ERR_INVALID_ARG_VALUE"}"#),
        (
            and(r#""name":{"kind":"dns","value":"\ud800"}"#),
            r#""reject","stage":"parse","code":"ERR_INVALID_ARG_VALUE"}"#,
        ),
    ] {
        let ended = run(&["verify", "--json"], line.as_bytes()).succeeded();
        assert_eq!(
            String::from_utf8(ended.stdout).unwrap(),
            format!(r#"{{"id":"a","verdict":{expected}"#) + "\n"
        );
    }
}

#[test]
fn an_answer_comes_before_the_next_request() {
    let [root, leaf] = chain();
    let mut verifier = Running::spawn(&mut nodetls(&["verify", "--json"]), Input::Open);
    for id in ["first", "second"] {
        verifier.write(format!("{}\n", request(id, &root, &leaf)).as_bytes());
        assert!(verifier.line(Stream::Out, id).contains("accept"));
    }
    verifier.end().succeeded();
}

#[test]
fn garbage_and_giants_are_answered_and_do_not_end_the_process() {
    let [root, leaf] = chain();
    let good = || request("good", &root, &leaf);
    let many: Vec<&str> = vec![root.as_str(); 10_000];
    let huge = "x".repeat(33 << 20);
    let lines: Vec<Vec<u8>> = vec![
        b"\xFF\xFE\x00".to_vec(),
        Vec::new(),
        "[".repeat(1 << 20).into_bytes(),
        huge.into_bytes(),
        with(good(), "intermediates", json!(many)).into_bytes(),
        with(good(), "roots", json!([leaf])).into_bytes(),
        with(good(), "leaf", json!("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"))
            .into_bytes(),
        with(good(), "crls", json!([root])).into_bytes(),
        with(good(), "time", json!("9999-12-31T23:59:59.999Z")).into_bytes(),
        with(good(), "time", json!("0000-01-01T00:00:00Z")).into_bytes(),
        with(good(), "name", json!({"kind": "dns", "value": "\u{0}"})).into_bytes(),
        with(good(), "max_depth", json!(u64::MAX)).into_bytes(),
        good().to_string().into_bytes(),
    ];
    let ended = run(&["verify", "--json"], &lines.join(&b'\n')).succeeded();
    let output = String::from_utf8(ended.stdout).unwrap();
    let answers: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let verdicts: Vec<&str> = answers.iter().map(|answer| answer["verdict"].as_str().unwrap()).collect();
    let accepted = |index: usize| [4, 11, 12].contains(&index);
    for (index, verdict) in verdicts.iter().enumerate() {
        assert_eq!(*verdict == "accept", accepted(index), "{index}: {}", answers[index]);
    }
    assert_eq!(answers.len(), lines.len());
    assert_eq!(ended.stderr, "");
}
