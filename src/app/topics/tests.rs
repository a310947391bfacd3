//! What the topics must be, and how differences show.

use super::*;

fn as_wanted(topic: &Wanted) -> (String, Found) {
    let config =
        topic.config.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    (topic.topic.clone(), Found { partitions: topic.partitions, config, own: BTreeMap::new() })
}

#[test]
fn topics_are_as_the_contract_has_them() {
    let wanted = wanted(&Settings::default());
    assert_eq!(wanted.len(), 8);
    let by_name = |name: &str| wanted.iter().find(|topic| topic.topic == name).unwrap();
    assert_eq!(by_name("rollcall.enrollment-requests").config["retention.ms"], "2592000000");
    assert_eq!(by_name("rollcall.dead-letters").config["retention.ms"], "7776000000");
    let state = by_name("rollcall.membership-state");
    assert_eq!(state.config["cleanup.policy"], "compact");
    assert_eq!(state.config["delete.retention.ms"], "7776000000");
    assert!(!state.config.contains_key("retention.ms"));
    assert!(wanted.iter().all(|topic| topic.partitions == 12));
}

#[test]
fn requests_of_every_kind_have_a_topic_that_is_read() {
    let settings = Settings::default();
    let read = of_requests(&settings);
    assert_eq!(read.len(), 3);
    for message in MessageType::ALL {
        let topic = of_request(message).map(|name| settings.topics.topic(name));
        assert_eq!(topic.is_some(), message.is_request(), "{}", message.name());
        assert!(topic.is_none_or(|topic| read.contains(&topic)), "{}", message.name());
    }
}

#[test]
fn fewer_partitions_are_for_requests_only() {
    let mut settings = Settings::default();
    settings.topics.partitions = 3;
    for topic in wanted(&settings) {
        assert_eq!(topic.partitions, if topic.output { 12 } else { 3 }, "{}", topic.topic);
    }
}

#[test]
fn differences_are_steps() {
    let wanted = wanted(&Settings::default());
    let mut found: BTreeMap<_, _> = wanted.iter().map(as_wanted).collect();
    assert_eq!(compare(&wanted, &found), []);
    found.remove("rollcall.results");
    let state = found.get_mut("rollcall.membership-state").unwrap();
    state.config.insert("cleanup.policy".to_owned(), "delete".to_owned());
    state.partitions = 4;
    found.get_mut("rollcall.enrollment-requests").unwrap().partitions = 24;
    let actions: Vec<_> = compare(&wanted, &found).iter().map(|step| step.action).collect();
    assert_eq!(actions, [Action::Create, Action::ByHand, Action::SetConfig]);
    assert_eq!(compare(&wanted, &BTreeMap::new()).len(), 8);
}

#[test]
fn output_topics_need_no_more_partitions_than_shards() {
    let mut settings = Settings::default();
    let found: BTreeMap<_, _> = wanted(&settings).iter().map(as_wanted).collect();
    settings.topics.partitions = 24;
    let steps = compare(&wanted(&settings), &found);
    assert_eq!(steps.len(), 3, "request topics only");
    assert!(steps.iter().all(|step| step.action == Action::ByHand));
}
