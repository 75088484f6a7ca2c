use super::*;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| {
        (http::HeaderName::from_static(name), HeaderValue::from_static(value))
    });
    pairs.collect()
}

#[test]
fn the_credential_scope_decides_the_service() {
    let signed = headers(&[
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKID/20250102/us-east-1/events/aws4_request, \
             SignedHeaders=host, Signature=00",
        ),
        ("x-amz-target", "Kinesis_20131202.PutRecord"),
    ]);
    assert_eq!(service_of(&signed, "/"), Some(ServiceName::Events));
}

#[test]
fn unsigned_calls_are_known_by_target_or_path() {
    let target = headers(&[("x-amz-target", "Kinesis_20131202.PutRecord")]);
    assert_eq!(service_of(&target, "/"), Some(ServiceName::Kinesis));
    let path = "/service/GraniteServiceVersion20100801/operation/PutMetricData";
    assert_eq!(service_of(&HeaderMap::new(), path), Some(ServiceName::Monitoring));
    assert_eq!(service_of(&HeaderMap::new(), "/"), None);
}

#[test]
fn operations_are_found_in_all_four_places() {
    let target = headers(&[("x-amz-target", "AWSEvents.PutEvents")]);
    assert_eq!(operation_of(&target, "/", b""), "PutEvents");
    let path = "/service/GraniteServiceVersion20100801/operation/PutMetricData";
    assert_eq!(operation_of(&HeaderMap::new(), path, b""), "PutMetricData");
    assert_eq!(operation_of(&HeaderMap::new(), "/", b"Version=1&Action=Publish"), "Publish");
    assert_eq!(operation_of(&HeaderMap::new(), "/ListStreams", b"{}"), "ListStreams");
    assert_eq!(operation_of(&HeaderMap::new(), "/", b""), "");
}

#[test]
fn a_gzip_bomb_is_refused() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &vec![0; MAX_BODY_BYTES + 1]).unwrap();
    let bomb = Bytes::from(encoder.finish().unwrap());
    let gzip = headers(&[("content-encoding", "gzip")]);
    assert_eq!(decompress(&gzip, bomb).unwrap_err().code, "SerializationException");
}
