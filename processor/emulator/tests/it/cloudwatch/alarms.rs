//! Alarms: evaluated against the clock, told to a topic, kept over a restart.

use aws_sdk_cloudwatch::types::{
    ComparisonOperator, Metric, MetricDataQuery, MetricStat, StateValue, Statistic,
};
use ivs_emulator::{Config, State};

use super::{Local, NAMESPACE};
use crate::clients;

const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:LiveStreamingAlerts";

impl Local {
    fn create_topic(&self) {
        let head = "POST / HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded\r\n\
                    authorization: AWS4-HMAC-SHA256 \
                    Credential=test/20260301/us-east-1/sns/aws4_request, Signature=0";
        let body = b"Action=CreateTopic&Version=2010-03-31&Name=LiveStreamingAlerts";
        assert_eq!(clients::http(self.endpoint.url(), head, body).0, 200);
    }

    async fn state(&self, name: &str) -> StateValue {
        let answer = self.client.describe_alarms().alarm_names(name).send().await.unwrap();
        answer.metric_alarms()[0].state_value().unwrap().clone()
    }

    /// Frames below 20 per second in two minutes running.
    async fn put_frame_alarm(&self) {
        let alarm = self.client.put_metric_alarm().alarm_name("frames").alarm_description("d");
        let alarm = alarm.namespace(NAMESPACE).metric_name("FrameRate").period(60);
        let alarm = alarm.statistic(Statistic::Average).threshold(20.0).evaluation_periods(2);
        let alarm = alarm.comparison_operator(ComparisonOperator::LessThanThreshold);
        let alarm = alarm.alarm_actions(TOPIC).ok_actions(TOPIC).treat_missing_data("notBreaching");
        alarm.send().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_fires_recovers_and_tells_its_topic() {
    let local = Local::start().await;
    local.create_topic();
    local.put_frame_alarm().await;
    assert_eq!(local.state("frames").await, StateValue::InsufficientData);
    let mut states = Vec::new();
    for (minute, rate) in (0..).zip([30.0, 12.0, 11.0, 10.0, 29.0, 30.0]) {
        local.put_at("FrameRate", minute, rate).await;
        local.minute();
        states.push(local.state("frames").await);
    }
    use StateValue::{Alarm, Ok};
    assert_eq!(states, [Ok, Ok, Alarm, Alarm, Ok, Ok]);
    let subjects: Vec<String> = local
        .messages()
        .iter()
        .map(|message| message["subject"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        subjects,
        [
            "OK: \"frames\" in us-east-1",
            "ALARM: \"frames\" in us-east-1",
            "OK: \"frames\" in us-east-1"
        ]
    );
    let message: serde_json::Value =
        serde_json::from_str(local.messages()[1]["message"].as_str().unwrap()).unwrap();
    assert_eq!(message["NewStateValue"], "ALARM");
    assert_eq!(message["OldStateValue"], "OK");
    assert_eq!(message["Trigger"]["MetricName"], "FrameRate");
    assert_eq!(message["Trigger"]["Threshold"], 20.0);
    assert_eq!(message["StateChangeTime"], "2026-03-01T12:03:00.000Z");

    let history = local.client.describe_alarm_history().alarm_name("frames").send().await.unwrap();
    let summaries: Vec<&str> =
        history.alarm_history_items().iter().filter_map(|item| item.history_summary()).collect();
    assert_eq!(summaries[0], "Alarm updated from ALARM to OK");
    assert_eq!(summaries.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_late_point_is_not_missing_yet() {
    let local = Local::start().await;
    local.put_frame_alarm().await;
    for (minute, rate) in (0..).zip([10.0, 10.0]) {
        local.put_at("FrameRate", minute, rate).await;
        local.minute();
    }
    assert_eq!(local.state("frames").await, StateValue::Alarm);
    // Two further minutes without data are looked through, the third is not.
    local.minute();
    local.minute();
    assert_eq!(local.state("frames").await, StateValue::Alarm);
    local.minute();
    assert_eq!(local.state("frames").await, StateValue::Ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_on_metric_math_counts_m_of_n() {
    let local = Local::start().await;
    let metric = Metric::builder().namespace(NAMESPACE).metric_name("CurrentViewers").build();
    let stat = MetricStat::builder().metric(metric).period(60).stat("Maximum").build();
    let m1 = MetricDataQuery::builder().id("m1").metric_stat(stat).return_data(false).build();
    let drop = "IF(m1 - DIFF(m1) >= 10, 100 * (0 - DIFF(m1)) / (m1 - DIFF(m1)), 0)";
    let e1 = MetricDataQuery::builder().id("e1").expression(drop).return_data(true).build();
    let alarm = local.client.put_metric_alarm().alarm_name("drop").metrics(m1).metrics(e1);
    let alarm = alarm.evaluation_periods(5).datapoints_to_alarm(2).threshold(50.0);
    let alarm = alarm.comparison_operator(ComparisonOperator::GreaterThanOrEqualToThreshold);
    alarm.treat_missing_data("notBreaching").send().await.unwrap();
    let mut states = Vec::new();
    for (minute, viewers) in (0..).zip([100.0, 40.0, 45.0, 20.0, 21.0, 22.0, 22.0]) {
        local.put_at("CurrentViewers", minute, viewers).await;
        local.minute();
        states.push(local.state("drop").await);
    }
    use StateValue::{Alarm, Ok};
    assert_eq!(states, [Ok, Ok, Ok, Alarm, Alarm, Alarm, Ok]);
    let shown = local.client.describe_alarms().alarm_name_prefix("dr").send().await.unwrap();
    assert_eq!(shown.metric_alarms()[0].metrics()[1].expression(), Some(drop));
    assert_eq!(shown.metric_alarms()[0].datapoints_to_alarm(), Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_can_be_set_and_lasts_until_the_next_evaluation() {
    let local = Local::start().await;
    local.create_topic();
    local.put_frame_alarm().await;
    let set = local.client.set_alarm_state().alarm_name("frames").state_reason("a test");
    set.state_value(StateValue::Alarm).send().await.unwrap();
    assert_eq!(local.state("frames").await, StateValue::Alarm);
    assert_eq!(local.messages().len(), 1);
    local.client.disable_alarm_actions().alarm_names("frames").send().await.unwrap();
    local.tick();
    assert_eq!(local.state("frames").await, StateValue::Ok);
    assert_eq!(local.messages().len(), 1, "a silent alarm tells nobody");
    local.client.delete_alarms().alarm_names("frames").send().await.unwrap();
    assert!(local.client.describe_alarms().send().await.unwrap().metric_alarms().is_empty());
    let set = local.client.set_alarm_state().alarm_name("frames").state_reason("a test");
    let refused = set.state_value(StateValue::Ok).send().await.unwrap_err().into_service_error();
    assert!(refused.is_resource_not_found());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alarms_and_their_states_survive_an_abrupt_end() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config { state: State::Dir(folder.path().to_owned()), ..Config::default() };
    let local = Local::start_with(config()).await;
    local.create_topic();
    local.put_frame_alarm().await;
    local.put_at("FrameRate", 0, 1.0).await;
    local.put_at("FrameRate", 1, 1.0).await;
    local.minute();
    local.minute();
    assert_eq!(local.state("frames").await, StateValue::Alarm);
    let told = local.messages();
    drop(local);
    let local = Local::start_with(config()).await;
    assert_eq!(local.state("frames").await, StateValue::Alarm);
    assert_eq!(local.messages(), told);
}
