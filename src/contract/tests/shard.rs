//! Shards, compared with what Kafka's own Java client computed.

use super::root;
use crate::contract::{murmur2, shard};
use serde_json::Value as Json;

#[test]
fn keys_go_where_java_clients_expect_them() {
    let text = std::fs::read_to_string(root().join("tests/golden/murmur2.json")).unwrap();
    let examples: Vec<Json> = serde_json::from_str(&text).unwrap();
    assert!(examples.len() > 10);
    for example in examples {
        let key = example["key"].as_str().unwrap();
        let hash = i64::from(murmur2(key.as_bytes()).cast_signed());
        assert_eq!(Some(hash), example["hash"].as_i64(), "{key}");
        assert_eq!(
            Some(u64::from(shard(key.as_bytes(), 12))),
            example["partition12"].as_u64(),
            "{key}"
        );
    }
}

#[test]
fn every_number_of_shards_is_kept_within() {
    for shards in [0, 1, 2, 12, 1000] {
        for key in 0..500_u32 {
            assert!(shard(&key.to_be_bytes(), shards) < shards.max(1));
        }
    }
}
