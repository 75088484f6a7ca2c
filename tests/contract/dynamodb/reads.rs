//! Queries, scans and batches.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};

use super::super::answers::{Item, Wanted as _, said, shown};
use super::super::{Case, Found, World};
use super::{Failed, INDEX, TABLE, create_table, key, number, text};

/// More pages than any case has: a paging that never ends fails.
const PAGES_MAX: usize = 50;

pub(super) const CASES: &[Case] = &[
    Case {
        calls: "Query",
        name: "a query gives the items of a partition by number, forward and backward",
        expected: "0 2 10; 10 2 0",
        rule: "API_Query, ScanIndexForward: Number sort keys are in numeric order, false reverses it",
        run: |world| Box::pin(order(world)),
    },
    Case {
        calls: "Query",
        name: "a limit cuts a query into pages that follow each other",
        expected: "0 1 | 2 3 | 4",
        rule: "API_Query, Limit and LastEvaluatedKey: a page ends there, the next continues from it",
        run: |world| Box::pin(limit(world)),
    },
    Case {
        calls: "Query",
        name: "a page of a query ends at 1 MB",
        expected: "5 items, more than one page",
        rule: "API_Query: a single query retrieves \"a maximum of 1 MB of data\" and returns a key to go on",
        run: |world| Box::pin(large_pages(world)),
    },
    Case {
        calls: "Query",
        name: "BETWEEN takes both its ends",
        expected: "2 3 4",
        rule: "API_Query, KeyConditionExpression: BETWEEN is greater or equal, and less or equal",
        run: |world| Box::pin(between(world)),
    },
    Case {
        calls: "Query",
        name: "a filter is applied after the limit",
        expected: "1 of 2, more follows",
        rule: "API_Query, FilterExpression and ScannedCount: read first, then filtered",
        run: |world| Box::pin(filter(world)),
    },
    Case {
        calls: "Query",
        name: "a projection leaves the other attributes out",
        expected: "at=0 note=n",
        rule: "API_Query, ProjectionExpression: \"retrieve from the table\" only those attributes",
        run: |world| Box::pin(projection(world)),
    },
    Case {
        calls: "Query",
        name: "an index holds only the items that have its keys",
        expected: "index-a index-c",
        rule: "Guide, GSI: an item is in the index only if it has the index key attributes",
        run: |world| Box::pin(sparse_index(world)),
    },
    Case {
        calls: "Query",
        name: "pages of an index continue behind items of the same key",
        expected: "3 items on 3 pages; at channel id",
        rule: "API_Query, LastEvaluatedKey of an index has the table's key too, for keys are not unique",
        run: |world| Box::pin(index_pages(world)),
    },
    Case {
        calls: "Query",
        name: "an index is not read consistently",
        expected: "ValidationException",
        rule: "API_Query, ConsistentRead: with a global index \"you will receive a ValidationException\"",
        run: |world| Box::pin(consistent_index(world)),
    },
    Case {
        calls: "Query",
        name: "a query without the partition key, or of an index that is not there, is refused",
        expected: "ValidationException, ValidationException",
        rule: "API_Query: the condition \"must perform an equality test on a single partition key value\"",
        run: |world| Box::pin(wrong_queries(world)),
    },
    Case {
        calls: "Query",
        name: "a query that finds nothing is no error",
        expected: "0 items, no more",
        rule: "API_Query: the operation returns an empty result set",
        run: |world| Box::pin(nothing_found(world)),
    },
    Case {
        calls: "Query Scan",
        name: "a limit is at least 1",
        expected: "ValidationException, ValidationException",
        rule: "API_Query and API_Scan, Limit: \"Valid Range: Minimum value of 1\"",
        run: |world| Box::pin(limit_of_nothing(world)),
    },
    Case {
        calls: "Scan",
        name: "pages of a scan give every item once",
        expected: "7 of 7 items",
        rule: "API_Scan, Limit and LastEvaluatedKey: the next page continues behind it",
        run: |world| Box::pin(scan_pages(world)),
    },
    Case {
        calls: "Scan",
        name: "a consistent scan sees what was put before it, filtered",
        expected: "at=3 id=scan",
        rule: "API_Scan, ConsistentRead: writes before it \"are guaranteed to be contained in the Scan response\"",
        run: |world| Box::pin(filtered_scan(world)),
    },
    Case {
        calls: "BatchGetItem",
        name: "a batch gives the items that are there, and leaves nothing for later",
        expected: "0 1; 0 tables unprocessed",
        rule: "API_BatchGetItem: absent items are not in the answer, nor in UnprocessedKeys",
        run: |world| Box::pin(batch(world)),
    },
    Case {
        calls: "BatchGetItem",
        name: "a batch has 1 to 100 keys, none twice",
        expected: "taken, ValidationException, ValidationException",
        rule: "API_BatchGetItem: \"a ValidationException\" for more than 100; no key twice",
        run: |world| Box::pin(batch_bounds(world)),
    },
    Case {
        calls: "BatchGetItem",
        name: "a batch gives up to 16 MB, and says which keys it left out",
        expected: "48 of 48 items, some left out",
        rule: "API_BatchGetItem: \"A single operation can retrieve up to 16 MB of data\"; UnprocessedKeys",
        run: |world| Box::pin(large_batch(world)),
    },
];

/// Returns the sort keys of some items.
fn sort_keys(items: &[Item]) -> String {
    let keys = items.iter().map(|item| match item.get("at") {
        Some(AttributeValue::N(at)) => at.clone(),
        other => format!("{other:?}"),
    });
    keys.collect::<Vec<_>>().join(" ")
}

/// Returns the pages of a query.
async fn pages(query: &QueryFluentBuilder) -> Result<Vec<Vec<Item>>, Failed> {
    let (mut found, mut from) = (vec![], None);
    for _ in 0..PAGES_MAX {
        let page = query.clone().set_exclusive_start_key(from).send().await?;
        found.push(page.items.unwrap_or_default());
        from = page.last_evaluated_key;
        if from.is_none() {
            // DynamoDB may only find out on one page more that nothing is left.
            found.retain(|page| !page.is_empty());
            return Ok(found);
        }
    }
    None.wanted("last page")
}

async fn order(world: &World) -> Found {
    for at in [10, 0, 2] {
        world.put("order", at).send().await?;
    }
    let mut found = vec![];
    for forward in [true, false] {
        let page = world.query("order").scan_index_forward(forward).send().await?;
        found.push(sort_keys(page.items()));
    }
    Ok(found.join("; "))
}

async fn limit(world: &World) -> Found {
    world.put_some("limit", 5).await?;
    let pages = pages(&world.query("limit").limit(2)).await?;
    Ok(pages.iter().map(|page| sort_keys(page)).collect::<Vec<_>>().join(" | "))
}

async fn large_pages(world: &World) -> Found {
    let note = text(&"x".repeat(300 << 10));
    for at in 0..5 {
        world.put("large-pages", at).item("note", note.clone()).send().await?;
    }
    let pages = pages(&world.query("large-pages")).await?;
    let several = if pages.len() > 1 { "more than one page" } else { "one page" };
    Ok(format!("{} items, {several}", pages.iter().map(Vec::len).sum::<usize>()))
}

async fn between(world: &World) -> Found {
    world.put_some("between", 7).await?;
    let query = world.query("between");
    let query = query.key_condition_expression("id = :id AND #at BETWEEN :first AND :last");
    let query = query.expression_attribute_names("#at", "at");
    let query = query.expression_attribute_values(":first", number(2));
    let page = query.expression_attribute_values(":last", number(4)).send().await?;
    Ok(sort_keys(page.items()))
}

async fn filter(world: &World) -> Found {
    for at in 0..4 {
        world.put("filter", at).item("kind", text(["a", "b"][at as usize % 2])).send().await?;
    }
    let query = world.query("filter").limit(2).filter_expression("kind = :kind");
    let page = query.expression_attribute_values(":kind", text("b")).send().await?;
    let more = if page.last_evaluated_key.is_some() { "more follows" } else { "no more" };
    Ok(format!("{} of {}, {more}", page.count, page.scanned_count))
}

async fn projection(world: &World) -> Found {
    let put = world.put("projection", 0).item("note", text("n")).item("other", text("o"));
    put.send().await?;
    let query = world.query("projection").projection_expression("#at, note, absent");
    let page = query.expression_attribute_names("#at", "at").send().await?;
    Ok(shown(page.items().first()))
}

fn query_index(world: &World, channel: &str) -> QueryFluentBuilder {
    let query = world.dynamodb.query().table_name(TABLE).index_name(INDEX);
    let query = query.key_condition_expression("channel = :channel");
    query.expression_attribute_values(":channel", text(channel))
}

async fn sparse_index(world: &World) -> Found {
    world.put("index-c", 2).item("channel", text("sparse")).send().await?;
    world.put("index-a", 1).item("channel", text("sparse")).send().await?;
    world.put("index-b", 3).send().await?;
    world.put("index-d", 4).item("channel", text("other")).send().await?;
    let page = query_index(world, "sparse").send().await?;
    let ids = page.items().iter().map(|item| match item.get("id") {
        Some(AttributeValue::S(id)) => id.as_str(),
        _ => "no id",
    });
    Ok(ids.collect::<Vec<_>>().join(" "))
}

async fn index_pages(world: &World) -> Found {
    for id in ["page-a", "page-b", "page-c"] {
        world.put(id, 5).item("channel", text("pages")).send().await?;
    }
    let query = query_index(world, "pages").limit(1);
    let first = query.clone().send().await?.last_evaluated_key.wanted("key of the last item")?;
    let mut names: Vec<_> = first.keys().map(String::as_str).collect();
    names.sort_unstable();
    let pages = pages(&query).await?;
    let items: usize = pages.iter().map(Vec::len).sum();
    Ok(format!("{items} items on {} pages; {}", pages.len(), names.join(" ")))
}

async fn consistent_index(world: &World) -> Found {
    Ok(said(&query_index(world, "any").consistent_read(true).send().await))
}

async fn wrong_queries(world: &World) -> Found {
    let query = world.dynamodb.query().table_name(TABLE).key_condition_expression("#at = :at");
    let query = query.expression_attribute_names("#at", "at");
    let by_sort_key = query.expression_attribute_values(":at", number(0)).send().await;
    let no_index = query_index(world, "any").index_name("NoSuchIndex").send().await;
    Ok(format!("{}, {}", said(&by_sort_key), said(&no_index)))
}

async fn nothing_found(world: &World) -> Found {
    let page = world.query("nothing").send().await?;
    let more = if page.last_evaluated_key.is_some() { "more" } else { "no more" };
    Ok(format!("{} items, {more}", page.count))
}

async fn limit_of_nothing(world: &World) -> Found {
    let query = world.query("limit").limit(0).send().await;
    let scan = world.dynamodb.scan().table_name(TABLE).limit(0).send().await;
    Ok(format!("{}, {}", said(&query), said(&scan)))
}

async fn scan_pages(world: &World) -> Found {
    create_table(world, "Scanned").await?;
    for at in 0..7 {
        let put = world.dynamodb.put_item().table_name("Scanned");
        put.set_item(Some(key(&format!("s{at}"), at))).send().await?;
    }
    let (mut found, mut from) = (vec![], None);
    for _ in 0..PAGES_MAX {
        let scan = world.dynamodb.scan().table_name("Scanned").limit(3);
        let page = scan.set_exclusive_start_key(from).send().await?;
        found.extend(page.items().iter().map(|item| shown(Some(item))));
        from = page.last_evaluated_key;
        if from.is_none() {
            break;
        }
    }
    let all = found.len();
    found.sort_unstable();
    found.dedup();
    Ok(format!("{} of {all} items", found.len()))
}

async fn filtered_scan(world: &World) -> Found {
    create_table(world, "Filtered").await?;
    for at in 0..4 {
        let put = world.dynamodb.put_item().table_name("Filtered");
        put.set_item(Some(key("scan", at))).send().await?;
    }
    let scan = world.dynamodb.scan().table_name("Filtered").consistent_read(true);
    let scan = scan.filter_expression("#at > :at").expression_attribute_names("#at", "at");
    let page = scan.expression_attribute_values(":at", number(2)).send().await?;
    Ok(page.items().iter().map(|item| shown(Some(item))).collect::<Vec<_>>().join(", "))
}

/// Returns a batch of keys of one partition.
fn keys(id: &str, at: impl IntoIterator<Item = u32>) -> Result<KeysAndAttributes, Failed> {
    let keys = at.into_iter().map(|at| key(id, at)).collect();
    Ok(KeysAndAttributes::builder().set_keys(Some(keys)).build()?)
}

async fn batch(world: &World) -> Found {
    world.put_some("batch", 2).await?;
    let batch = world.dynamodb.batch_get_item().request_items(TABLE, keys("batch", 0..3)?);
    let answer = batch.send().await?;
    let mut items = answer.responses.unwrap_or_default().remove(TABLE).wanted("table")?;
    items.sort_by_key(|item| shown(Some(item)));
    let left = answer.unprocessed_keys.map_or(0, |left| left.len());
    Ok(format!("{}; {left} tables unprocessed", sort_keys(&items)))
}

async fn batch_bounds(world: &World) -> Found {
    let mut codes = vec![];
    for keys in [keys("bounds", 0..100)?, keys("bounds", 0..101)?, keys("bounds", [1, 1])?] {
        let batch = world.dynamodb.batch_get_item().request_items(TABLE, keys);
        codes.push(said(&batch.send().await));
    }
    Ok(codes.join(", "))
}

/// Items of 390 KB: 42 of them fit.
async fn large_batch(world: &World) -> Found {
    for at in 0..48 {
        let note = text(&"x".repeat(390 << 10));
        world.put("large-batch", at).item("note", note).send().await?;
    }
    let batch = world.dynamodb.batch_get_item().request_items(TABLE, keys("large-batch", 0..48)?);
    let answer = batch.send().await?;
    let items = answer.responses.unwrap_or_default().remove(TABLE).wanted("table")?.len();
    let left = answer.unprocessed_keys.unwrap_or_default().remove(TABLE);
    let left = left.map_or(0, |left| left.keys.len());
    let cut = if left > 0 { "some" } else { "none" };
    Ok(format!("{} of 48 items, {cut} left out", items + left))
}
