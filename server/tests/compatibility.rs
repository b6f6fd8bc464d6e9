//! The document of compatibility is what the code says, and its table of Kafka's APIs holds together.

use std::path::Path;

use millrace::api::SERVED;
use millrace::document::compatibility::{self, KAFKA};
use millrace::protocol::ApiKey;

#[test]
fn the_document_is_the_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/COMPATIBILITY.md");
    let written = compatibility::markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &written).expect("the document can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == written,
        "docs/COMPATIBILITY.md is out of date: run `UPDATE_DOCS=1 cargo test -p millrace --test compatibility`"
    );
}

#[test]
fn kafkas_apis_are_in_order_and_ours_are_among_them() {
    assert!(KAFKA.is_sorted_by(|a, b| a.key < b.key));
    for api in ApiKey::ALL {
        let kafkas = KAFKA.iter().find(|kafkas| kafkas.key == api.code());
        let kafkas = kafkas.unwrap_or_else(|| panic!("{api} is not an API of Kafka's brokers"));
        let spec = api.spec();
        assert_eq!((spec.name, (spec.min, spec.max)), (kafkas.name, kafkas.versions));
    }
}

#[test]
fn what_is_served_is_in_order_of_keys_and_what_is_not_says_why() {
    assert!(SERVED.is_sorted_by(|a, b| a < b));
    for api in KAFKA.iter().filter(|api| !SERVED.iter().any(|ours| ours.code() == api.key)) {
        assert!(!api.note.is_empty(), "{} is not served for no reason", api.name);
    }
}
