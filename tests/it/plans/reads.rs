//! All reads over HTTP, of tables of a million rows.

use hyper::Method;
use serde_json::json;
use uuid::Uuid;

use crate::http::{Answer, Client};

/// Each is asked so often, or so many pages of it. The pool's plans are those for any values, from the first on.
const TIMES: usize = 2;

/// As the rows are numbered.
fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

#[track_caller]
fn fine(what: &str, answer: &Answer) {
    assert_eq!(answer.status, 200, "{what}: {}", String::from_utf8_lossy(&answer.body));
}

/// Reads of every kind, with every choice of parameters, from pages in the middle too.
pub(super) async fn read(client: &Client) {
    let (one, group, nobody) = (id(500_000), id(2_000_500), id(0));
    let mut paths: Vec<_> = [
        format!("/v1/memberships/{one}"),
        format!("/v1/memberships/{one}/history"),
        format!("/v1/registrants/{one}"),
        format!("/v1/registrants/{one}/memberships"),
        format!("/v1/registrants/{one}/history"),
        format!("/v1/groups/{group}"),
        format!("/v1/groups/{group}/members?limit=500"),
        format!("/v1/groups/{group}/members?former=true&limit=100"),
        "/v1/programs/CASH".to_owned(),
        "/v1/programs/CASH/counts".to_owned(),
        "/v1/requests/registry/m0".to_owned(),
        "/v1/batches/registry/old1".to_owned(),
        // A hundred thousand messages, none of which is one of these.
        "/v1/batches/registry/old1/results?outcome=rejected&outcome=held".to_owned(),
    ]
    .into();
    let programs = ["", "program=CASH&", "program=FOOD&", "program=OLD&"];
    let states =
        ["", "state=ENROLLED&", "state=PAUSED&", "state=EXITED&state=ENROLLED&state=DRAFT&"];
    let whose = [String::new(), format!("registrant={one}&"), format!("registrant={nobody}&")];
    for program in programs {
        for state in states {
            for registrant in &whose {
                paths.push(format!("/v1/memberships?{program}{state}{registrant}limit=50"));
            }
        }
    }
    for path in &paths {
        for _ in 0..TIMES {
            fine(path, &client.get(path).await);
        }
    }
    // Page by page.
    for path in [
        "/v1/memberships?limit=500",
        "/v1/memberships?program=CASH&state=PAUSED&state=ENROLLED&limit=500",
    ] {
        let mut next = path.to_owned();
        for _ in 0..TIMES {
            let answer = client.get(&next).await;
            fine(&next, &answer);
            let link = answer.header("link").split(['<', '>']).nth(1).expect("a next page");
            link.clone_into(&mut next);
        }
    }
    lookups(client).await;
    openg2p(client).await;
}

async fn lookups(client: &Client) {
    for body in [
        json!({"source": "registry", "reference": "old000500000"}),
        json!({"ids": [{"id_type": "NATIONAL", "value": "000700000"}]}),
    ] {
        for _ in 0..TIMES {
            fine("lookup", &client.json(Method::POST, "/v1/registrants/lookup", &body).await);
        }
    }
}

/// What clients of OpenG2P register, and read by its integer.
async fn openg2p(client: &Client) {
    let person = |n: usize| {
        json!({
            "name": "Ana Cruz", "given_name": "Ana", "family_name": "Cruz",
            "ids": [{"id_type": "PLANS", "value": n.to_string()}],
            "program_memberships": [{"name": "Program CASH"}],
        })
    };
    for n in 0..TIMES {
        let made = client.json(Method::POST, "/api/v1/registry/individual", &person(n)).await;
        fine("an individual", &made);
        let group = json!({"name": "Household", "members": [person(n)]});
        let group = client.json(Method::POST, "/api/v1/registry/group", &group).await;
        fine("a group", &group);
        let (id, group) = (&made.json()["id"], &group.json()["id"]);
        for path in [
            format!("individual/{id}"),
            format!("individual?id={id}&name=Ana"),
            format!("group/{group}"),
            format!("group/search?id={group}&include_members_full=true"),
        ] {
            fine(&path, &client.get(&format!("/api/v1/registry/{path}")).await);
        }
    }
}
