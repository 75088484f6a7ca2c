//! Statements in company: how rows are written.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::batch_execute_statement::{
    BatchExecuteStatementError, BatchExecuteStatementOutput,
};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementRequest, ReturnValuesOnConditionCheckFailure,
};

use super::super::answers::{Failed, Item, said, shown};
use super::super::{Case, Found, World};
use super::{ABSENT, TABLE, key, number, text};

pub(super) const CASES: &[Case] = &[
    Case {
        calls: "BatchExecuteStatement",
        name: "a batch has 1 to 25 statements",
        expected: "ValidationException, 25 stored, ValidationException",
        rule: "API_BatchExecuteStatement, Statements: \"Minimum number of 1 item. Maximum number of 25 items.\"",
        run: |world| Box::pin(bounds(world)),
    },
    Case {
        calls: "BatchExecuteStatement GetItem",
        name: "an insert of a key that is there fails alone and overwrites nothing",
        expected: "stored; stored, DuplicateItem, stored; at=1 id=inserts owner=0; at=2 id=inserts owner=1",
        rule: "Guide, ql-reference.insert: an item with the same primary key \"returns DuplicateItemException\"; \
               API_BatchStatementError: DuplicateItem",
        run: |world| Box::pin(duplicate(world)),
    },
    Case {
        calls: "BatchExecuteStatement GetItem",
        name: "values of every type come back as they were inserted",
        expected: "stored; the same",
        rule: "API_BatchStatementRequest, Parameters: attribute values of any type; Guide, ql-reference.insert",
        run: |world| Box::pin(types(world)),
    },
    Case {
        calls: "BatchExecuteStatement",
        name: "a statement that cannot be read, or whose table is not there, fails alone",
        expected: "ValidationError, stored, ResourceNotFound",
        rule: "API_BatchExecuteStatement: \"Error details for individual statements can be found under the Error \
               field\"",
        run: |world| Box::pin(unreadable(world)),
    },
    Case {
        calls: "BatchExecuteStatement",
        name: "an item that a put refuses, its insert refuses alone",
        expected: "ValidationError, ValidationError, ValidationError, ValidationError, stored",
        rule: "Guide, Constraints: 400 KB; API_PutItem: the whole key, of its types, not empty",
        run: |world| Box::pin(refused(world)),
    },
    Case {
        calls: "BatchExecuteStatement GetItem",
        name: "an update sets and removes what it names, and leaves the rest",
        expected: "stored; at=0 id=updates kept=k new=n version=2",
        rule: "Guide, ql-reference.update: SET and REMOVE of attributes, by the whole primary key and further conditions",
        run: |world| Box::pin(update(world)),
    },
    Case {
        calls: "BatchExecuteStatement GetItem",
        name: "an update whose condition fails, or of no item, fails alone and changes nothing",
        expected: "stored, ConditionalCheckFailed, ConditionalCheckFailed, stored; at=1 id=refusals version=7; nothing; \
                   told at=1 id=refusals version=7 and nothing",
        rule: "API_BatchStatementError: ConditionalCheckFailed, and Item; Guide, ql-reference.update: an item that is not there is \
               not made",
        run: |world| Box::pin(update_refused(world)),
    },
    Case {
        calls: "BatchExecuteStatement GetItem",
        name: "an update of an attribute of the key fails alone",
        expected: "ValidationError, stored; at=0 id=key-update version=1",
        rule: "API_UpdateItem: \"You cannot use UpdateItem to update any primary key attributes\"",
        run: |world| Box::pin(update_of_key(world)),
    },
    Case {
        calls: "BatchExecuteStatement",
        name: "a statement has up to 8,192 characters",
        expected: "stored, ValidationException",
        rule: "API_BatchStatementRequest, Statement: \"Maximum length of 8192\"",
        run: |world| Box::pin(long(world)),
    },
    Case {
        calls: "BatchExecuteStatement GetItem",
        name: "a batch that names a key twice is refused as a whole",
        expected: "ValidationException; nothing",
        rule: "no page says it of this call; AWS answers \"Provided list of item keys contains duplicates\", as it \
               does for BatchWriteItem",
        run: |world| Box::pin(twice(world)),
    },
];

type Answer = Result<BatchExecuteStatementOutput, SdkError<BatchExecuteStatementError>>;

/// Returns an insert of an item into a table.
fn insert_into(table: &str, item: &Item) -> Result<BatchStatementRequest, Failed> {
    let names: Vec<_> = item.keys().map(|name| format!("'{name}':?")).collect();
    let statement = format!("INSERT INTO \"{table}\" VALUE {{{}}}", names.join(","));
    let values = item.values().cloned().collect();
    Ok(BatchStatementRequest::builder()
        .statement(statement)
        .set_parameters(Some(values))
        .build()?)
}

fn insert(
    id: &str,
    at: u32,
    more: &[(&str, AttributeValue)],
) -> Result<BatchStatementRequest, Failed> {
    insert_into(TABLE, &item(id, at, more))
}

fn item(id: &str, at: u32, more: &[(&str, AttributeValue)]) -> Item {
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    key(id, at).into_iter().chain(more).collect()
}

/// Returns an update of an item that is at a version: attributes to set, and names to remove.
fn update_of(
    (id, at, seen): (&str, u32, u32),
    sets: &[(&str, AttributeValue)],
    removes: &[&str],
) -> Result<BatchStatementRequest, Failed> {
    let sets_text: String = sets.iter().map(|(name, _)| format!(" SET \"{name}\"=?")).collect();
    let removes: String = removes.iter().map(|name| format!(" REMOVE \"{name}\"")).collect();
    let statement = format!(
        "UPDATE \"{TABLE}\"{sets_text}{removes} WHERE \"id\"=? AND \"at\"=? AND \"version\"=?"
    );
    let values = sets.iter().map(|(_, value)| value.clone());
    let values = values.chain([text(id), number(at), number(seen)]).collect();
    Ok(BatchStatementRequest::builder()
        .statement(statement)
        .set_parameters(Some(values))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()?)
}

impl World {
    async fn batch(&self, statements: Vec<BatchStatementRequest>) -> Answer {
        let call = self.dynamodb.batch_execute_statement();
        call.set_statements(Some(statements)).send().await
    }
}

/// Returns what became of each statement, or the code of the refusal of all.
fn each(answer: &Answer) -> String {
    let Ok(output) = answer else { return said(answer) };
    let codes = output.responses().iter().map(|response| match &response.error {
        None => "stored",
        Some(error) => error.code.as_ref().map_or("no code", |code| code.as_str()),
    });
    codes.collect::<Vec<_>>().join(", ")
}

async fn bounds(world: &World) -> Found {
    let mut found = vec![];
    for (id, count) in [("batch-0", 0), ("batch-25", 25), ("batch-26", 26)] {
        let statements = (0..count).map(|at| insert(id, at, &[])).collect::<Result<_, _>>()?;
        let answer = world.batch(statements).await;
        let each = each(&answer);
        let is_stored = each == vec!["stored"; 25].join(", ");
        found.push(if is_stored { "25 stored".to_owned() } else { each });
    }
    Ok(found.join(", "))
}

async fn duplicate(world: &World) -> Found {
    let owned = |at: u32, owner: u32| insert("inserts", at, &[("owner", number(owner))]);
    let first = world.batch(vec![owned(1, 0)?]).await;
    let second = world.batch(vec![owned(0, 1)?, owned(1, 1)?, owned(2, 1)?]).await;
    let [kept, new] = [world.item("inserts", 1).await?, world.item("inserts", 2).await?];
    let [kept, new] = [kept, new].map(|item| shown(item.as_ref()));
    Ok(format!("{}; {}; {kept}; {new}", each(&first), each(&second)))
}

async fn types(world: &World) -> Found {
    let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let bytes = || Blob::new([0, 255, 10, 128]);
    let inner = Item::from([
        ("n".to_owned(), number("-1.5")),
        ("list".to_owned(), AttributeValue::L(vec![text(""), AttributeValue::Null(true)])),
        ("map".to_owned(), AttributeValue::M(Item::new())),
    ]);
    let more = [
        ("text", text("it's \"quoted\" \\ ? \u{e9}\n")),
        ("digits", number("12345678901234567890123456789012345678")),
        ("bytes", AttributeValue::B(bytes())),
        ("flag", AttributeValue::Bool(false)),
        ("none", AttributeValue::Null(true)),
        ("inner", AttributeValue::M(inner)),
        ("one-text", AttributeValue::Ss(strings(&["a"]))),
        ("one_number", AttributeValue::Ns(strings(&["7"]))),
        ("one.blob", AttributeValue::Bs(vec![bytes()])),
    ];
    let answer = world.batch(vec![insert("types", 0, &more)?]).await;
    let (stored, expected) = (world.item("types", 0).await?, item("types", 0, &more));
    let same =
        if stored.as_ref() == Some(&expected) { "the same" } else { &shown(stored.as_ref()) };
    Ok(format!("{}; {same}", each(&answer)))
}

async fn unreadable(world: &World) -> Found {
    let unread =
        BatchStatementRequest::builder().statement("INSERT INTO nothing at all").build()?;
    let absent = insert_into(ABSENT, &key("unreadable", 1))?;
    Ok(each(&world.batch(vec![unread, insert("unreadable", 0, &[])?, absent]).await))
}

async fn refused(world: &World) -> Found {
    let large = insert("refused", 0, &[("note", text(&"x".repeat(400 << 10)))])?;
    let empty = insert("", 0, &[])?;
    let half = insert_into(TABLE, &[("id".to_owned(), text("refused"))].into())?;
    let mut wrong_type = key("refused", 1);
    wrong_type.insert("at".to_owned(), text("1"));
    let wrong_type = insert_into(TABLE, &wrong_type)?;
    let fits = insert("refused", 2, &[])?;
    Ok(each(&world.batch(vec![large, empty, half, wrong_type, fits]).await))
}

async fn update(world: &World) -> Found {
    let first = [("version", number(1)), ("gone", text("g")), ("kept", text("k"))];
    world.batch(vec![insert("updates", 0, &first)?]).await?;
    let sets = [("version", number(2)), ("new", text("n"))];
    let update = update_of(("updates", 0, 1), &sets, &["gone", "never-there"])?;
    let answer = world.batch(vec![update]).await;
    Ok(format!("{}; {}", each(&answer), shown(world.item("updates", 0).await?.as_ref())))
}

async fn update_refused(world: &World) -> Found {
    let version = |at: u32, version: u32| insert("refusals", at, &[("version", number(version))]);
    world.batch(vec![version(0, 1)?, version(1, 7)?]).await?;
    let to_two = |at: u32| update_of(("refusals", at, 1), &[("version", number(2))], &["gone"]);
    let answer = world.batch(vec![to_two(0)?, to_two(1)?, to_two(2)?, version(3, 1)?]).await;
    let [kept, absent] = [world.item("refusals", 1).await?, world.item("refusals", 2).await?];
    let [kept, absent] = [kept, absent].map(|item| shown(item.as_ref()));
    let told = |at: usize| {
        let response = answer.as_ref().ok()?.responses().get(at)?;
        response.error.as_ref()?.item.as_ref()
    };
    let [told, of_none] = [1, 2].map(|at| shown(told(at)));
    Ok(format!("{}; {kept}; {absent}; told {told} and {of_none}", each(&answer)))
}

async fn update_of_key(world: &World) -> Found {
    world.batch(vec![insert("key-update", 0, &[("version", number(1))])?]).await?;
    let moved = update_of(("key-update", 0, 1), &[("at", number(5))], &[])?;
    let answer = world.batch(vec![moved, insert("key-update", 1, &[])?]).await;
    Ok(format!("{}; {}", each(&answer), shown(world.item("key-update", 0).await?.as_ref())))
}

async fn long(world: &World) -> Found {
    const MAX_CHARS: usize = 8_192;
    let statement = |at: u32, chars: usize| {
        let [start, end] =
            [format!("INSERT INTO \"{TABLE}\" VALUE {{'id':'long','at':{at},'"), "':1}".to_owned()];
        let name = "n".repeat(chars - start.len() - end.len());
        BatchStatementRequest::builder().statement(format!("{start}{name}{end}")).build()
    };
    let fits = world.batch(vec![statement(0, MAX_CHARS)?]).await;
    let beyond = world.batch(vec![statement(1, MAX_CHARS + 1)?]).await;
    Ok(format!("{}, {}", each(&fits), each(&beyond)))
}

async fn twice(world: &World) -> Found {
    let answer = world.batch(vec![insert("twice", 0, &[])?, insert("twice", 0, &[])?]).await;
    Ok(format!("{}; {}", each(&answer), shown(world.item("twice", 0).await?.as_ref())))
}
