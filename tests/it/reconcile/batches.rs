//! Lies of batches.

use bytes::Bytes;
use rollcall::contract::wire::BatchRef;
use serde_json::json;

use super::{lie, tell};
use crate::scene::{Scene, enrollment, partition, raw, record};

#[tokio::test(flavor = "multi_thread")]
async fn lies_of_batches_are_found() {
    let scene = Scene::new().await;
    let at = partition(0);
    let fence = scene.lease(&at).await;
    let mut records = Vec::new();
    for (offset, program) in ["CASH", "FOOD", "NOWHERE"].into_iter().enumerate() {
        let mut request = enrollment(&format!("m{offset}"), &format!("r{offset}"), program);
        request.batch = Some(BatchRef { batch_id: "b".to_owned(), total_count: Some(9) });
        records.push(record(&at, offset as i64, &request));
    }
    let mut letter = raw(&at, 3, None, Some(Bytes::from_static(b"junk")));
    letter.headers = [("ce_source", "registry"), ("ce_id", "m3"), ("ce_batchid", "b")]
        .map(|(name, value)| {
            (name.as_bytes().to_vec().into(), Some(Bytes::from_static(value.as_bytes())))
        })
        .into();
    records.push(letter);
    Box::pin(scene.apply(fence, records)).await;
    let at = json!({"source": "registry", "batch_id": "b"});
    tell(
        &scene,
        &[
            lie(
                "batches",
                "the batch counts 3 applied, there are 2",
                at.clone(),
                "UPDATE batches SET applied_count = 3",
            ),
            lie(
                "batches",
                "the batch counts 0 rejected, there are 1",
                at.clone(),
                "UPDATE batches SET rejected_count = 0",
            ),
            lie(
                "batches",
                "the digest is not that of the outcomes",
                at.clone(),
                "UPDATE batches SET digest = set_byte(digest, 31, get_byte(digest, 31) # 1)",
            ),
            lie(
                "batches",
                "the batch counts 1 held, there are 0",
                at.clone(),
                "DELETE FROM batch_letters",
            ),
            lie(
                "batches",
                "the batch counts 0 held letters, there are 1",
                at.clone(),
                "UPDATE batches SET letters_held = 0",
            ),
            lie(
                "batches",
                "COMPLETE was said of the batch, it is OPEN, and no receipt is due",
                at.clone(),
                "UPDATE batches SET state = 'COMPLETE'",
            ),
            lie(
                "batches",
                "OPEN was said of the batch, it is COMPLETE_WITH_HELD, and no receipt is due",
                at.clone(),
                "UPDATE batches SET total_count = 4",
            ),
            lie(
                "batches",
                "the inbox has messages of a batch that is not counted",
                at,
                "DELETE FROM batches",
            ),
        ],
    )
    .await;
}
