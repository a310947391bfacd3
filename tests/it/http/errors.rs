//! Every error is a problem document, whatever went wrong before a handler was reached.

use hyper::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Served;

#[tokio::test(flavor = "multi_thread")]
async fn every_error_is_a_problem_with_a_page_of_its_own() {
    let served = Served::with(&[("ROLLCALL_HTTP__MAX_BODY", "1KiB")]).await;
    let client = &served.client;
    let program = json!({"name": "Cash", "target_type": "INDIVIDUAL"});
    let json = [("content-type", "application/json")];

    client.get("/nowhere").await.problem(404, "not-found");
    client.get("/v1/programs/NONE").await.problem(404, "not-found");
    let answer = client.json(Method::PATCH, "/v1/programs/CASH", &program).await;
    answer.problem(405, "method-not-allowed");
    let mut allowed: Vec<_> = answer.header("allow").split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "PUT"]);
    client
        .send(Method::PUT, "/v1/programs/CASH", &[], "{}")
        .await
        .problem(415, "unsupported-media-type");
    let wrong = [("content-type", "text/plain")];
    client
        .send(Method::PUT, "/v1/programs/CASH", &wrong, "{}")
        .await
        .problem(415, "unsupported-media-type");
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(2_000));
    client
        .send(Method::PUT, "/v1/programs/CASH", &json, &large)
        .await
        .problem(413, "payload-too-large");
    let chunked = format!(
        "PUT /v1/programs/CASH HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
        large.len()
    );
    assert!(client.raw(chunked.as_bytes()).await.starts_with("HTTP/1.1 413 "));
    for (text, place) in [("", "line 1"), ("{\n\"name\": Maria}", "line 2"), ("[1,", "line 1")] {
        let problem = client.send(Method::PUT, "/v1/programs/CASH", &json, text).await;
        let problem = problem.problem(400, "malformed-json");
        assert!(problem["detail"].as_str().unwrap().contains(place), "{problem}");
        assert!(!problem.to_string().contains("Maria"));
    }
    for path in [
        "/v1/programs?colour=red",
        "/v1/programs?limit=0",
        "/v1/programs?limit=501",
        "/v1/programs?limit=x",
        "/v1/programs?limit=1&limit=2",
        "/v1/programs/CASH?x",
        "/v1/programs/%ff",
    ] {
        client.get(path).await.problem(400, "invalid-parameter");
    }
    client.get("/v1/programs?cursor=x").await.problem(400, "invalid-cursor");
    // All that is wrong, by name.
    let all = client.get("/v1/programs?colour=red&limit=0&cursor=x").await;
    let said: Vec<_> = all.problem(400, "invalid-parameter")["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| format!("{} {}", error["parameter"], error["code"]).replace('"', ""))
        .collect();
    assert_eq!(
        said,
        ["colour invalid-parameter", "cursor invalid-cursor", "limit invalid-parameter"]
    );
    let path = client.get("/v1/memberships/x").await.problem(400, "invalid-parameter");
    assert_eq!(path["errors"][0]["parameter"], "membership_id");

    // Each type leads to a page that says what to do; so does each reason code.
    for code in [
        "not-found",
        "malformed-json",
        "rjct.field.invalid",
        "idempotency-key-missing",
        "malformed-csv",
        "too-large",
        "forbidden",
    ] {
        let page = client.get(&format!("/problems/{code}")).await;
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
        assert!(String::from_utf8_lossy(&page.body).contains(code));
    }
    client.get("/problems/rjct.unheard.of").await.problem(404, "not-found");
    assert!(
        String::from_utf8_lossy(&client.get("/problems").await.body).contains("rjct.program.ended")
    );
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_name_all_that_is_wrong_and_no_value() {
    let served = Served::new().await;
    let put = async |body| served.client.json(Method::PUT, "/v1/programs/CASH", &body).await;
    let body = json!({"code": "FOOD", "name": "", "target_type": "PERSON", "state": "GONE"});
    let problem = put(body).await.problem(422, "rjct.field.invalid");
    let at: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].clone()).collect();
    assert_eq!(at, ["/code", "/name", "/target_type", "/state"]);
    let problem = put(json!({"name": "a", "target_type": "GROUP", "colour": "Maria"})).await;
    let problem = problem.problem(422, "rjct.field.unsupported");
    assert_eq!(problem["errors"][0]["pointer"], "/colour");
    assert!(!problem.to_string().contains("Maria"));
    let pointers = |problem: &serde_json::Value| {
        let errors = problem["errors"].as_array().unwrap().clone();
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // What has the wrong form, what is missing and what breaks a rule, at once.
    let problem = put(json!({"name": 5, "colour": "red", "state": "GONE"})).await;
    let mut at = pointers(&problem.problem(422, "rjct.field.unsupported"));
    at.sort_unstable();
    assert_eq!(at, ["/colour", "/name", "/state", "/target_type"]);
    assert_eq!(pointers(&put(json!({"name": "a"})).await.json()), ["/target_type"]);
    put(json!([])).await.problem(422, "rjct.field.invalid");
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_and_large_heads_are_cut() {
    let served = Served::with(&[
        ("ROLLCALL_HTTP__HEADER_TIMEOUT", "200ms"),
        ("ROLLCALL_HTTP__BODY_TIMEOUT", "200ms"),
    ])
    .await;
    let client = &served.client;
    // `raw` returns only when the server closes.
    assert_eq!(client.raw(b"").await, "");
    assert_eq!(client.raw(b"GET /livez HTTP/1.1\r\nHost: x\r\n").await, "");
    let late = client
        .raw(b"PUT /v1/programs/CASH HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
        .await;
    assert!(
        late.starts_with("HTTP/1.1 408 ") && late.contains("/problems/request-timeout"),
        "{late}"
    );
    let large =
        format!("GET /livez HTTP/1.1\r\nHost: x\r\nX-Large: {}\r\n\r\n", "x".repeat(40_000));
    let answer =
        client.raw(large.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(answer.contains("/problems/headers-too-large"), "{answer}");
    let huge = format!("GET /livez HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(400_000));
    assert!(client.raw(huge.as_bytes()).await.starts_with("HTTP/1.1 431 "));
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_limit_hear_when_to_come_again() {
    let served = Served::with(&[("ROLLCALL_HTTP__MAX_REQUESTS", "1")]).await;
    // One that waits for its body takes the only place: it has it when the server asks for the body.
    let mut slow = TcpStream::connect(served.client.address()).await.unwrap();
    let head = b"PUT /v1/programs/CASH HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                 Content-Length: 9\r\nExpect: 100-continue\r\n\r\n";
    slow.write_all(head).await.unwrap();
    let mut asked = [0; 12];
    slow.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");
    let answer = served.client.get("/v1/programs").await;
    answer.problem(429, "too-many-requests");
    assert_eq!(answer.header("retry-after"), "1");
    // Probes are not counted.
    assert_eq!(served.client.get("/livez").await.status, 200);
    drop(slow);
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_of_other_origins_are_let_in_only_where_they_are_named() {
    let served = Served::new().await;
    let origin = [("origin", "https://example.org")];
    let answer = served.client.send(Method::GET, "/v1/programs", &origin, "").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, ""));
    let asked = [("origin", "https://example.org"), ("access-control-request-method", "GET")];
    let answer = served.client.send(Method::OPTIONS, "/v1/programs", &asked, "").await;
    answer.problem(405, "method-not-allowed");
    assert_eq!(answer.header("access-control-allow-methods"), "");
    served.worker.stop().await;

    let served = Served::with(&[("ROLLCALL_HTTP__CORS_ORIGINS", "https://example.org")]).await;
    let answer = served.client.send(Method::GET, "/v1/programs", &origin, "").await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://example.org");
    let other = [("origin", "https://example.com")];
    let answer = served.client.send(Method::GET, "/v1/programs", &other, "").await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_nul_is_refused_wherever_it_stands() {
    let served = Served::new().await;
    let client = &served.client;
    for path in [
        "/v1/programs/%00",
        "/v1/programs/A%00B/counts",
        "/v1/requests/http/%00",
        "/v1/requests/%00/k",
        "/v1/batches/http/%00",
        "/v1/batches/http/b/results?code=%00",
        "/v1/memberships?program=%00",
        "/problems/%00",
    ] {
        let answer = client.get(path).await;
        answer.problem(400, "invalid-parameter");
        assert!(!answer.json()["errors"].as_array().unwrap().is_empty(), "{path}");
    }
    client
        .json(Method::PUT, "/v1/programs/%00", &json!({"name": "a", "target_type": "GROUP"}))
        .await
        .problem(400, "invalid-parameter");
    let nul = "a\u{0}b";
    let body = json!({"name": nul, "target_type": "GROUP"});
    client.json(Method::PUT, "/v1/programs/CASH", &body).await.problem(422, "rjct.field.invalid");
    let registrant =
        |field: &str| json!({"registrant": {"kind": "INDIVIDUAL", "reference": "R", field: nul}});
    let named = json!({"registrant": {"kind": "INDIVIDUAL", "reference": "R"}, "program_memberships": [{"program": nul}]});
    for (path, body) in [
        ("/v1/registrants", registrant("reference")),
        ("/v1/registrants", registrant("name")),
        ("/v1/registrants", named),
        ("/v1/memberships", json!({"registrant": {"reference": nul}, "program": "CASH"})),
        ("/v1/memberships", json!({"registrant": {"reference": "R"}, "program": nul})),
        (
            "/v1/memberships",
            json!({"registrant": {"reference": nul}, "program": "CASH", "state": "DRAFT"}),
        ),
        ("/v1/registrants/lookup", json!({"reference": nul})),
        ("/v1/registrants/lookup", json!({"reference": "R", "source": nul})),
        ("/v1/registrants/lookup", json!({"ids": [{"id_type": nul, "value": nul}]})),
    ] {
        served.post(path, "nul", &body).await.problem(422, "rjct.field.invalid");
    }
    // The routes for OpenG2P's clients refuse it in their own form.
    let answer = client.get("/api/v1/registry/individual?name=%00").await;
    assert_eq!(answer.status, 400, "{:?}", answer.body);
    let group = json!({"name": nul, "program_memberships": [{"name": nul}], "ids": [{"id_type": nul, "value": nul}]});
    for path in ["/api/v1/registry/individual", "/api/v1/registry/group"] {
        let answer = served.post(path, "nul", &group).await;
        assert!([400, 422].contains(&answer.status), "{path}: {} {:?}", answer.status, answer.body);
    }
    served.worker.stop().await;
}

/// A refusal that needs no body is heard by who has sent one: also where it is large, and the connection goes on.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_before_the_body_is_read_hears_it() {
    let secret = ("ROLLCALL_AUTH__HS256_SECRET", "a secret of the tests that is long enough");
    let served = Served::with(&[secret, ("ROLLCALL_HTTP__MAX_BODY", "1KiB")]).await;
    let large = "x".repeat(8 << 20);
    let one = format!(
        "POST /v1/registrants HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{large}",
        large.len()
    );
    let two = format!("{one}GET /v1/programs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let answers = served.client.raw(two.as_bytes()).await;
    assert_eq!(answers.matches("HTTP/1.1 401 ").count(), 2, "{answers}");
    served.worker.stop().await;
}
