//! Definitions of programs over HTTP, the description of the API, and its page.

use hyper::Method;
use serde_json::json;

use super::Served;

#[tokio::test(flavor = "multi_thread")]
async fn programs_are_defined_listed_and_counted() {
    let served = Served::new().await;
    let client = &served.client;
    let cash = json!({"name": "Cash", "target_type": "INDIVIDUAL"});
    let answer = client.json(Method::PUT, "/v1/programs/CASH", &cash).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["state"], "ACTIVE");
    assert_eq!(client.json(Method::PUT, "/v1/programs/CASH", &cash).await.status, 200);
    let ended =
        json!({"code": "CASH", "name": "Cash", "target_type": "INDIVIDUAL", "state": "ENDED"});
    assert_eq!(client.json(Method::PUT, "/v1/programs/CASH", &ended).await.status, 200);
    assert_eq!(client.get("/v1/programs/CASH").await.json()["state"], "ENDED");
    for code in ["FOOD", "HOUSE"] {
        client.json(Method::PUT, &format!("/v1/programs/{code}"), &cash).await;
    }

    let page = client.get("/v1/programs?limit=2").await;
    let codes = |page: &super::Answer| -> Vec<_> {
        page.json()["items"].as_array().unwrap().iter().map(|p| p["code"].clone()).collect()
    };
    assert_eq!(codes(&page), ["CASH", "FOOD"]);
    let next = page.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
    assert!(page.header("link").ends_with("; rel=\"next\""));
    let last = client.get(&next).await;
    assert_eq!(codes(&last), ["HOUSE"]);
    assert!(last.json()["next_cursor"].is_null() && last.header("link").is_empty());

    let counts = client.get("/v1/programs/FOOD/counts").await.json();
    assert_eq!(counts["counts"]["ENROLLED"], 0);
    client.get("/v1/programs/NONE/counts").await.problem(404, "not-found");
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_describes_itself_and_its_page_needs_no_network() {
    let served = Served::new().await;
    let api = served.client.get("/openapi.json").await.json();
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1"), "{}", api["openapi"]);
    let put = &api["paths"]["/v1/programs/{code}"]["put"];
    assert_eq!(put["operationId"], "putProgram");
    assert!(put["security"][0]["bearer"].is_array());
    let problem = &put["responses"]["default"]["content"]["application/problem+json"]["schema"];
    assert_eq!(problem["$ref"], "#/components/schemas/Problem");
    assert_eq!(api["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    assert!(api["components"]["schemas"]["Problem"]["properties"]["errors"].is_object(), "{api}");

    let page = served.client.get("/docs").await;
    let text = String::from_utf8_lossy(&page.body).into_owned();
    assert!(!text.contains("http://") && !text.contains("https://"), "{text}");
    assert!(page.header("content-security-policy").starts_with("default-src 'self'"));
    let script = served.client.get("/docs/page.js").await;
    assert_eq!((script.status, script.header("content-type")), (200, "text/javascript"));

    // Figures name the pattern of a route, never the path.
    let figures = served.client.get("/metrics").await;
    let figures = String::from_utf8_lossy(&figures.body).into_owned();
    assert!(figures.contains("route=\"/docs\""), "{figures}");
    served.worker.stop().await;
}
