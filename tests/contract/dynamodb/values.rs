//! Values and their bounds.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::super::answers::{Item, said, shown};
use super::super::{Case, Found, World};
use super::{TABLE, number, text};

/// The largest item: 400 KB of names and values.
const ITEM_BYTES_MAX: usize = 400 << 10;

pub(super) const CASES: &[Case] = &[
    Case {
        calls: "PutItem",
        name: "an item of 400 KB is taken, a larger one is refused",
        expected: "taken, ValidationException",
        rule: "Guide, Constraints: \"the maximum item size in DynamoDB is 400 KB\", names included",
        run: |world| Box::pin(large_items(world)),
    },
    Case {
        calls: "UpdateItem",
        name: "an update does not make an item larger than 400 KB",
        expected: "ValidationException; at=0 id=large-update",
        rule: "Guide, Constraints: \"the maximum item size in DynamoDB is 400 KB\"",
        run: |world| Box::pin(large_update(world)),
    },
    Case {
        calls: "PutItem",
        name: "a key is not empty, other texts may be",
        expected: "ValidationException, taken",
        rule: "API_PutItem: empty String and Binary values are allowed unless they are keys",
        run: |world| Box::pin(empty_texts(world)),
    },
    Case {
        calls: "PutItem",
        name: "an item has its whole key, of the types that the table says",
        expected: "ValidationException, ValidationException",
        rule: "API_PutItem: \"you must provide all of the attributes for the primary key\", types match",
        run: |world| Box::pin(incomplete_keys(world)),
    },
    Case {
        calls: "PutItem",
        name: "the key of an index has the type that the table says",
        expected: "ValidationException",
        rule: "API_PutItem: indexed attributes' types must match the attribute definitions",
        run: |world| Box::pin(index_key(world)),
    },
    Case {
        calls: "PutItem GetItem",
        name: "a number keeps 38 digits, more are refused",
        expected: "12345678901234567890123456789012345678; ValidationException",
        rule: "Guide, HowItWorks.NamingRulesDataTypes: \"up to 38 digits\", more \"results in an exception\"",
        run: |world| Box::pin(digits(world)),
    },
    Case {
        calls: "PutItem GetItem",
        name: "a number comes back without zeros that say nothing",
        expected: "a=1.5 at=0 b=7 c=0 d=-0.25 id=zeros",
        rule: "Guide, HowItWorks.NamingRulesDataTypes: \"leading and trailing zeroes are trimmed\"",
        run: |world| Box::pin(zeros(world)),
    },
    Case {
        calls: "PutItem GetItem",
        name: "bytes come back as they went",
        expected: "at=0 bytes=[0, 255, 10, 128] id=bytes",
        rule: "API_AttributeValue: B is binary data, base64 on the wire",
        run: |world| Box::pin(bytes(world)),
    },
    Case {
        calls: "PutItem GetItem",
        name: "maps and lists come back as they went",
        expected: "the same",
        rule: "API_AttributeValue: M and L hold attribute values of any type",
        run: |world| Box::pin(nested(world)),
    },
    Case {
        calls: "PutItem",
        name: "a set is not empty and names nothing twice",
        expected: "ValidationException, ValidationException, taken",
        rule: "Guide, HowItWorks.NamingRulesDataTypes: no empty sets, \"each value within a set must be unique\"",
        run: |world| Box::pin(sets(world)),
    },
    Case {
        calls: "GetItem",
        name: "an item that is not there is no error",
        expected: "nothing",
        rule: "API_GetItem: \"if there is no matching item, GetItem does not return any data\"",
        run: |world| Box::pin(absent_item(world)),
    },
    Case {
        calls: "PutItem",
        name: "a value that no expression uses is refused",
        expected: "ValidationException",
        rule: "Guide, Expressions.ExpressionAttributeValues: a value must be used in an expression",
        run: |world| Box::pin(unused_value(world)),
    },
];

async fn large_items(world: &World) -> Found {
    // The names and the key take less than this.
    let fits = "x".repeat(ITEM_BYTES_MAX - 64);
    let put = world.put("large", 0).item("note", text(&fits)).send().await;
    let large = "x".repeat(ITEM_BYTES_MAX);
    let refused = world.put("large", 1).item("note", text(&large)).send().await;
    Ok(format!("{}, {}", said(&put), said(&refused)))
}

async fn large_update(world: &World) -> Found {
    world.put("large-update", 0).send().await?;
    let update = world.dynamodb.update_item().table_name(TABLE);
    let update = update.set_key(Some(super::key("large-update", 0)));
    let update = update.update_expression("SET note = :note");
    let large = text(&"x".repeat(ITEM_BYTES_MAX));
    let update = update.expression_attribute_values(":note", large).send().await;
    let item = world.item("large-update", 0).await?;
    Ok(format!("{}; {}", said(&update), shown(item.as_ref())))
}

async fn empty_texts(world: &World) -> Found {
    let key = world.put("", 0).send().await;
    let note = world.put("empty", 0).item("note", text("")).send().await;
    Ok(format!("{}, {}", said(&key), said(&note)))
}

async fn incomplete_keys(world: &World) -> Found {
    let put = || world.dynamodb.put_item().table_name(TABLE).item("id", text("incomplete"));
    let incomplete = put().send().await;
    let wrong_type = put().item("at", text("0")).send().await;
    Ok(format!("{}, {}", said(&incomplete), said(&wrong_type)))
}

async fn index_key(world: &World) -> Found {
    Ok(said(&world.put("index-key", 0).item("channel", number(1)).send().await))
}

async fn digits(world: &World) -> Found {
    let exact = "12345678901234567890123456789012345678";
    world.put("digits", 0).item("n", number(exact)).send().await?;
    let stored = world.item("digits", 0).await?.and_then(|mut item| item.remove("n"));
    let stored = match stored {
        Some(AttributeValue::N(number)) => number,
        other => format!("{other:?}"),
    };
    let longer = format!("{exact}9");
    let refused = world.put("digits", 1).item("n", number(longer.as_str())).send().await;
    Ok(format!("{stored}; {}", said(&refused)))
}

async fn zeros(world: &World) -> Found {
    let put = world.put("zeros", 0).item("a", number("1.50")).item("b", number("007"));
    put.item("c", number("0.00")).item("d", number("-0.250")).send().await?;
    Ok(shown(world.item("zeros", 0).await?.as_ref()))
}

async fn bytes(world: &World) -> Found {
    let bytes = AttributeValue::B(Blob::new([0, 255, 10, 128]));
    world.put("bytes", 0).item("bytes", bytes).send().await?;
    Ok(shown(world.item("bytes", 0).await?.as_ref()))
}

async fn nested(world: &World) -> Found {
    let inner = Item::from([
        ("n".to_owned(), number(5)),
        ("b".to_owned(), AttributeValue::Bool(true)),
        ("list".to_owned(), AttributeValue::L(vec![text(""), AttributeValue::Null(true)])),
        ("set".to_owned(), AttributeValue::Ss(vec!["a".to_owned()])),
        ("map".to_owned(), AttributeValue::M(Item::new())),
    ]);
    let value = AttributeValue::M(inner);
    world.put("nested", 0).item("m", value.clone()).send().await?;
    let stored = world.item("nested", 0).await?.and_then(|mut item| item.remove("m"));
    Ok(if stored == Some(value) { "the same".to_owned() } else { format!("{stored:?}") })
}

async fn sets(world: &World) -> Found {
    let mut codes = vec![];
    for texts in [vec![], vec!["a", "a"], vec!["a", "b"]] {
        let set = AttributeValue::Ss(texts.into_iter().map(str::to_owned).collect());
        codes.push(said(&world.put("sets", 0).item("set", set).send().await));
    }
    Ok(codes.join(", "))
}

async fn absent_item(world: &World) -> Found {
    Ok(shown(world.item("absent", 0).await?.as_ref()))
}

async fn unused_value(world: &World) -> Found {
    let put = world.put("unused", 0).condition_expression("attribute_not_exists(id)");
    Ok(said(&put.expression_attribute_values(":unused", number(1)).send().await))
}
