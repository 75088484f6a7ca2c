//! The wire protocols that the Rust SDK does not speak, and bytes that nobody means.

use super::{Local, START_S};
use crate::clients;

fn head(extra: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nauthorization: AWS4-HMAC-SHA256 \
         Credential=test/20260301/us-east-1/monitoring/aws4_request, Signature=0{extra}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_are_answered_in_xml() {
    let local = Local::start().await;
    let call = |body: &str| {
        let (status, answer) = clients::http(local.endpoint.url(), &head(""), body.as_bytes());
        (status, String::from_utf8(answer).unwrap())
    };
    let put = "Action=PutMetricData&Version=2010-08-01&Namespace=My%2FApp\
               &MetricData.member.1.MetricName=Viewers&MetricData.member.1.Unit=Count\
               &MetricData.member.1.Dimensions.member.1.Name=ChannelId\
               &MetricData.member.1.Dimensions.member.1.Value=a\
               &MetricData.member.1.Timestamp=2026-03-01T12%3A00%3A00Z";
    let (status, _) = call(&format!("{put}&MetricData.member.1.Value=42.5"));
    assert_eq!(status, 200);
    let (status, answer) = call(&format!("{put}&MetricData.member.1.Value=NaN"));
    assert_eq!(status, 400);
    assert!(answer.contains("<Code>InvalidParameterValue</Code>"), "{answer}");
    let (_, answer) = call(
        "Action=GetMetricStatistics&Namespace=My%2FApp&MetricName=Viewers&Period=60\
         &Statistics.member.1=Sum&Dimensions.member.1.Name=ChannelId&Dimensions.member.1.Value=a\
         &StartTime=2026-03-01T12%3A00%3A00Z&EndTime=2026-03-01T12%3A05%3A00Z",
    );
    let points = "<Datapoints><member><Sum>42.5</Sum><Timestamp>2026-03-01T12:00:00.000Z\
                  </Timestamp><Unit>Count</Unit></member></Datapoints>";
    assert!(answer.contains(points), "{answer}");
    let (_, answer) = call("Action=ListMetrics&Namespace=My%2FApp");
    assert!(answer.contains("<MetricName>Viewers</MetricName>"), "{answer}");
    let (status, answer) = call("Action=Nonsense");
    assert_eq!((status, answer.contains("<Error>")), (400, true), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_is_answered_in_json() {
    let local = Local::start().await;
    let call = |operation: &str, body: serde_json::Value| {
        let head = head(&format!("\r\nx-amz-target: GraniteServiceVersion20100801.{operation}"));
        let body = body.to_string();
        let (status, answer) = clients::http(local.endpoint.url(), &head, body.as_bytes());
        (status, serde_json::from_slice::<serde_json::Value>(&answer).unwrap())
    };
    let data = serde_json::json!([{"MetricName": "n", "Value": 3, "Timestamp": START_S}]);
    let put = serde_json::json!({"Namespace": "N", "MetricData": data});
    assert_eq!(call("PutMetricData", put).0, 200);
    let (status, error) = call("PutMetricData", serde_json::json!({"Namespace": "AWS/N"}));
    assert_eq!(status, 400);
    assert_eq!(error["__type"], "com.amazonaws.cloudwatch#InvalidParameterValueException");
    let (_, listed) = call("ListMetrics", serde_json::json!({}));
    assert_eq!(listed["Metrics"][0]["MetricName"], "n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_bytes_are_refused_and_leave_the_service_standing() {
    let local = Local::start().await;
    let mut state = 7_u64;
    for operation in ["PutMetricData", "GetMetricData", "PutMetricAlarm", "ListMetrics", "X"] {
        for length in [0_usize, 1, 9, 200] {
            let body: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    state.to_be_bytes()[0]
                })
                .collect();
            let path = format!("/service/GraniteServiceVersion20100801/operation/{operation}");
            let cbor =
                head("\r\nsmithy-protocol: rpc-v2-cbor").replacen(" / ", &format!(" {path} "), 1);
            let (status, _) = clients::http(local.endpoint.url(), &cbor, &body);
            assert!([200, 400].contains(&status), "{operation}: {status}");
        }
    }
    local.put_at("n", 0, 1.0).await;
}
