//! Conditional writes: what leases, rows and fences rest on.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure as OnFailure};

use super::super::answers::{said, shown};
use super::super::{Case, Found, World};
use super::{TABLE, key, number, text};

pub(super) const CASES: &[Case] = &[
    Case {
        calls: "PutItem",
        name: "of two puts on condition that there is none, the second is refused",
        expected: "taken, ConditionalCheckFailedException; at=0 id=put-once owner=0",
        rule: "API_PutItem: attribute_not_exists of the key is there \"to prevent a new item from replacing\" one",
        run: |world| Box::pin(put_once(world)),
    },
    Case {
        calls: "PutItem",
        name: "a put on condition of a version is refused for another and replaces the whole item",
        expected: "ConditionalCheckFailedException, taken; at=0 id=versions version=2",
        rule: "API_PutItem: \"replaces an old item with a new item\", if the condition evaluates to true",
        run: |world| Box::pin(versions(world)),
    },
    Case {
        calls: "PutItem",
        name: "a refused put returns the item that stands, if it was asked to",
        expected: "at=0 id=put-old version=7; nothing",
        rule: "API_PutItem, ReturnValuesOnConditionCheckFailure: ALL_OLD returns the item, NONE nothing",
        run: |world| Box::pin(put_old(world)),
    },
    Case {
        calls: "PutItem",
        name: "a condition on an item that is not there fails without an item",
        expected: "ConditionalCheckFailedException with nothing",
        rule: "Guide, Expressions.ConditionExpressions: = is false where the attribute is not there",
        run: |world| Box::pin(put_of_nothing(world)),
    },
    Case {
        calls: "UpdateItem",
        name: "an update of an item that is not there makes it",
        expected: "at=0 counter=1 id=upsert owner=a",
        rule: "API_UpdateItem: \"adds a new item to the table if it does not already exist\"; ALL_NEW",
        run: |world| Box::pin(upsert(world)),
    },
    Case {
        calls: "UpdateItem",
        name: "an update sets, removes and leaves the other attributes alone",
        expected: "at=0 counter=2 id=set-remove other=kept",
        rule: "API_UpdateItem: SET replaces, REMOVE \"removes one or more attributes\"; ALL_NEW",
        run: |world| Box::pin(set_and_remove(world)),
    },
    Case {
        calls: "UpdateItem",
        name: "a refused update returns the item that stands, and changes nothing",
        expected: "at=0 counter=5 id=update-old; at=0 counter=5 id=update-old",
        rule: "API_UpdateItem, ReturnValuesOnConditionCheckFailure: ALL_OLD returns the item",
        run: |world| Box::pin(update_old(world)),
    },
    Case {
        calls: "UpdateItem",
        name: "ADD counts from nothing, on condition too",
        expected: "at=0 counter=4 id=add; ConditionalCheckFailedException",
        rule: "API_UpdateItem: ADD to an attribute that does not exist uses 0 as its initial value",
        run: |world| Box::pin(add(world)),
    },
    Case {
        calls: "UpdateItem",
        name: "an update does not touch the key",
        expected: "ValidationException",
        rule: "API_UpdateItem, Key and UpdateExpression: key attributes cannot be updated",
        run: |world| Box::pin(update_of_key(world)),
    },
    Case {
        calls: "UpdateItem",
        name: "an update that names an attribute twice is refused",
        expected: "ValidationException",
        rule: "no page says it; AWS answers \"Two document paths overlap\" (HENNGE/aiodynamo#2)",
        run: |world| Box::pin(overlap(world)),
    },
    Case {
        calls: "UpdateItem",
        name: "of two updates on condition of one counter, the second is refused",
        expected: "taken, ConditionalCheckFailedException; at=0 counter=2 id=counter owner=0",
        rule: "Guide, WorkingWithItems: conditional writes succeed only if attributes meet conditions",
        run: |world| Box::pin(counter(world)),
    },
    Case {
        calls: "UpdateItem",
        name: "all of several conditions must hold",
        expected: "ConditionalCheckFailedException, taken",
        rule: "Guide, Expressions.OperatorsAndFunctions: a AND b is true if both are",
        run: |world| Box::pin(several(world)),
    },
    Case {
        calls: "DeleteItem",
        name: "a deletion of an item that is not there is none the less done",
        expected: "taken, taken; nothing",
        rule: "API_DeleteItem: \"an idempotent operation\", repeated calls are no error",
        run: |world| Box::pin(deletion(world)),
    },
];

async fn put_once(world: &World) -> Found {
    let mut codes = vec![];
    for owner in 0..2 {
        let put = world.put("put-once", 0).item("owner", number(owner));
        codes.push(said(&put.condition_expression("attribute_not_exists(id)").send().await));
    }
    let item = world.item("put-once", 0).await?;
    Ok(format!("{}; {}", codes.join(", "), shown(item.as_ref())))
}

async fn versions(world: &World) -> Found {
    let first = world.put("versions", 0).item("version", number(1)).item("note", text("old"));
    first.send().await?;
    let mut codes = vec![];
    for seen in [0, 1] {
        let put = world.put("versions", 0).item("version", number(2));
        let put = put.condition_expression("version = :seen");
        codes.push(said(&put.expression_attribute_values(":seen", number(seen)).send().await));
    }
    let item = world.item("versions", 0).await?;
    Ok(format!("{}; {}", codes.join(", "), shown(item.as_ref())))
}

/// Returns the item that a refused put returns.
async fn refused_put(world: &World, id: &str, on_failure: OnFailure) -> Found {
    let put = world.put(id, 0).condition_expression("version = :seen");
    let put = put.expression_attribute_values(":seen", number(1));
    let put = put.return_values_on_condition_check_failure(on_failure).send().await;
    let code = said(&put);
    match put.map_err(SdkError::into_service_error) {
        Err(PutItemError::ConditionalCheckFailedException(refusal)) => {
            Ok(shown(refusal.item.as_ref()))
        }
        _ => Ok(code),
    }
}

async fn put_old(world: &World) -> Found {
    world.put("put-old", 0).item("version", number(7)).send().await?;
    let old = refused_put(world, "put-old", OnFailure::AllOld).await?;
    let none = refused_put(world, "put-old", OnFailure::None).await?;
    Ok(format!("{old}; {none}"))
}

async fn put_of_nothing(world: &World) -> Found {
    let item = refused_put(world, "put-of-nothing", OnFailure::AllOld).await?;
    let put = world.put("put-of-nothing", 0).condition_expression("version = :seen");
    let put = put.expression_attribute_values(":seen", number(1)).send().await;
    Ok(format!("{} with {item}", said(&put)))
}

fn update(world: &World, id: &str, expression: &str) -> UpdateItemFluentBuilder {
    let update = world.dynamodb.update_item().table_name(TABLE).set_key(Some(key(id, 0)));
    update.update_expression(expression).return_values(ReturnValue::AllNew)
}

async fn upsert(world: &World) -> Found {
    let update = update(world, "upsert", "SET #c = :one, #o = :owner");
    let update = update.expression_attribute_names("#c", "counter");
    let update = update.expression_attribute_names("#o", "owner");
    let update = update.expression_attribute_values(":one", number(1));
    let update = update.expression_attribute_values(":owner", text("a"));
    let update = update.condition_expression("attribute_not_exists(id)");
    Ok(shown(update.send().await?.attributes.as_ref()))
}

async fn set_and_remove(world: &World) -> Found {
    let put = world.put("set-remove", 0).item("counter", number(1)).item("owner", text("a"));
    put.item("other", text("kept")).send().await?;
    let update = update(world, "set-remove", "SET #c = :two REMOVE #o, #absent");
    let update = update.expression_attribute_names("#c", "counter");
    let update = update.expression_attribute_names("#o", "owner");
    let update = update.expression_attribute_names("#absent", "absent");
    let update = update.expression_attribute_values(":two", number(2));
    Ok(shown(update.send().await?.attributes.as_ref()))
}

async fn update_old(world: &World) -> Found {
    world.put("update-old", 0).item("counter", number(5)).send().await?;
    let update = update(world, "update-old", "SET #c = :new");
    let update = update.expression_attribute_names("#c", "counter");
    let update = update.expression_attribute_values(":new", number(9));
    let update = update.condition_expression("#c = :seen");
    let update = update.expression_attribute_values(":seen", number(4));
    let update = update.return_values_on_condition_check_failure(OnFailure::AllOld);
    let answer = update.send().await;
    let code = said(&answer);
    let old = match answer.map_err(SdkError::into_service_error) {
        Err(UpdateItemError::ConditionalCheckFailedException(refusal)) => {
            shown(refusal.item.as_ref())
        }
        _ => code,
    };
    let stands = world.item("update-old", 0).await?;
    Ok(format!("{old}; {}", shown(stands.as_ref())))
}

async fn add(world: &World) -> Found {
    let add = |amount: u32| {
        let update = update(world, "add", "ADD #c :amount");
        let update = update.expression_attribute_names("#c", "counter");
        update.expression_attribute_values(":amount", number(amount))
    };
    add(1).send().await?;
    let added = add(3).send().await?;
    let limited = add(1).condition_expression("#c < :limit");
    let limited = limited.expression_attribute_values(":limit", number(4)).send().await;
    Ok(format!("{}; {}", shown(added.attributes.as_ref()), said(&limited)))
}

async fn update_of_key(world: &World) -> Found {
    let update = update(world, "update-of-key", "SET id = :other");
    Ok(said(&update.expression_attribute_values(":other", text("other")).send().await))
}

async fn overlap(world: &World) -> Found {
    let update = update(world, "overlap", "SET note = :a, note = :b");
    let update = update.expression_attribute_values(":a", text("a"));
    Ok(said(&update.expression_attribute_values(":b", text("b")).send().await))
}

async fn counter(world: &World) -> Found {
    world.put("counter", 0).item("counter", number(1)).send().await?;
    let mut codes = vec![];
    for owner in 0..2 {
        let update = update(world, "counter", "SET #c = :new, #o = :owner");
        let update = update.expression_attribute_names("#c", "counter");
        let update = update.expression_attribute_names("#o", "owner");
        let update = update.expression_attribute_values(":new", number(2));
        let update = update.expression_attribute_values(":owner", number(owner));
        let update = update.condition_expression("#c = :seen");
        codes.push(said(&update.expression_attribute_values(":seen", number(1)).send().await));
    }
    let item = world.item("counter", 0).await?;
    Ok(format!("{}; {}", codes.join(", "), shown(item.as_ref())))
}

async fn several(world: &World) -> Found {
    world.put("several", 0).item("counter", number(1)).send().await?;
    let mut codes = vec![];
    for second in ["attribute_exists(note)", "attribute_not_exists(note)"] {
        let update = update(world, "several", "SET note = :note");
        let update = update.expression_attribute_values(":note", text("n"));
        let update = update.expression_attribute_names("#c", "counter");
        let update = update.expression_attribute_values(":seen", number(1));
        let condition = format!("#c = :seen AND {second}");
        codes.push(said(&update.condition_expression(condition).send().await));
    }
    Ok(codes.join(", "))
}

async fn deletion(world: &World) -> Found {
    world.put("deletion", 0).send().await?;
    let mut codes = vec![];
    for _ in 0..2 {
        let delete = world.dynamodb.delete_item().table_name(TABLE);
        codes.push(said(&delete.set_key(Some(key("deletion", 0))).send().await));
    }
    let item = world.item("deletion", 0).await?;
    Ok(format!("{}; {}", codes.join(", "), shown(item.as_ref())))
}
