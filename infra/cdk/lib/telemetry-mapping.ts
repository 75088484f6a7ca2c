/** How API Gateway turns batches of telemetry into `PutRecords`, and its answers into ours. */
import { type JsonSchema, JsonSchemaType, JsonSchemaVersion } from 'aws-cdk-lib/aws-apigateway';

/** PutRecords takes no more in a call. */
const BATCH_MAX = 500;

/** Two ids and a colon are a partition key, and that has 256 characters at most. */
const id = { type: JsonSchemaType.STRING, minLength: 1, maxLength: 127 };

function batch(title: string, member: string, items: JsonSchema): JsonSchema {
  return {
    schema: JsonSchemaVersion.DRAFT4,
    title,
    type: JsonSchemaType.OBJECT,
    required: [member],
    properties: {
      [member]: { type: JsonSchemaType.ARRAY, minItems: 1, maxItems: BATCH_MAX, items },
    },
  };
}

/**
 * `{"records": [...]}` of player telemetry. Only what routing and a safe second try need; the worker
 * checks the rest and keeps what it rejects. The event id is the client's: one made here would be
 * another at the second try, and the event would count twice.
 */
export const TELEMETRY_SCHEMA = batch('TelemetryBatch', 'records', {
  type: JsonSchemaType.OBJECT,
  required: ['type', 'eventId', 'sessionId', 'channelId', 'playerId', 'timestamp'],
  properties: {
    type: { type: JsonSchemaType.STRING, enum: ['player_telemetry'] },
    eventId: { ...id, maxLength: 256 },
    sessionId: id,
    channelId: { ...id, maxLength: 256 },
    playerId: id,
  },
});

/** `{"Records": [{"Data": {...}}]}` as the players of AWS's QoS sample post it. */
export const QOS_SCHEMA = batch('QosBatch', 'Records', {
  type: JsonSchemaType.OBJECT,
  required: ['Data'],
  properties: {
    Data: {
      type: JsonSchemaType.OBJECT,
      required: ['metric_type', 'session_id'],
      properties: { metric_type: id, session_id: id, user_id: { ...id, minLength: 0 } },
    },
  },
});

/** The text of a variable as the inside of a JSON string: `\'` is JavaScript and not JSON. */
function jsonText(variable: string): string {
  return `$util.escapeJavaScript(${variable}).replaceAll("\\\\'", "'")`;
}

interface Layout {
  /** JSONPath of the list. */
  readonly list: string;
  /** Path from an element of the list to the event itself. */
  readonly event: string;
  /** Members of the event that are the session and the player. */
  readonly session: string;
  readonly player: string;
}

/**
 * One Kinesis record per element, the event as it came, keyed by player: a session is watched by
 * all its viewers, and under one key they would all meet in one shard.
 */
function putRecords(streamName: string, { list, event, session, player }: Layout): string {
  return [
    `#set($records = $input.path('${list}'))`,
    '{',
    `  "StreamName": "${streamName}",`,
    '  "Records": [',
    '    #foreach($record in $records)',
    `    #set($session = "$!record${event}.${session}")`,
    `    #set($player = "$!record${event}.${player}")`,
    '    {',
    `      "Data": "$util.base64Encode($input.json("${list}[$foreach.index]${event}"))",`,
    `      "PartitionKey": "${jsonText('$session')}:${jsonText('$player')}"`,
    '    }#if($foreach.hasNext),#end',
    '    #end',
    '  ]',
    '}',
  ].join('\n');
}

export function telemetryRequest(streamName: string): string {
  return putRecords(streamName, {
    list: '$.records',
    event: '',
    session: 'sessionId',
    player: 'playerId',
  });
}

export function qosRequest(streamName: string): string {
  return putRecords(streamName, {
    list: '$.Records',
    event: '.Data',
    session: 'session_id',
    player: 'user_id',
  });
}

/**
 * The lines of a CMCD report as they came, in one record, keyed by their view: a player reports to one
 * collector, and the reports of a view stay in order. `none` keeps what is not CMCD, for the worker to reject.
 */
export function cmcdRequest(streamName: string): string {
  return [
    '#set($body = $input.body)',
    `#set($at = $body.indexOf('sid="'))`,
    '#if($at >= 0)',
    '#set($from = $at + 5)',
    '#set($rest = $body.substring($from))',
    `#set($end = $rest.indexOf('"'))`,
    '#else',
    '#set($end = 0)',
    '#end',
    '#if($end > 0)',
    '#set($key = $rest.substring(0, $end))',
    '#else',
    "#set($key = 'none')",
    '#end',
    `{ "StreamName": "${streamName}", "Records": [{`,
    '  "Data": "$util.base64Encode($body)",',
    `  "PartitionKey": "${jsonText('$key')}"`,
    '}] }',
  ].join('\n');
}

/**
 * PutRecords answers 200 even when it stored only some: say 503 then, and which ones to send again.
 * Sending all again is safe for events with an id.
 */
export const PUT_RECORDS_REPLY = [
  "#set($failed = $input.path('$.FailedRecordCount'))",
  '#if($failed > 0)',
  '#set($context.responseOverride.status = 503)',
  '#end',
  '{',
  '  "failed": $failed,',
  '  "records": [',
  "    #foreach($result in $input.path('$.Records'))",
  '    { "stored": #if($result.ErrorCode)false#{else}true#end }#if($foreach.hasNext),#end',
  '    #end',
  '  ]',
  '}',
].join('\n');

/**
 * Kinesis says 400 to what the client can repair and to throttling and missing permissions, which it
 * cannot: only an invalid argument is the client's own.
 */
export const REFUSED_REPLY = [
  "#set($type = $input.path('$.__type'))",
  '#if($type && ($type.indexOf("ValidationException") >= 0 || $type.indexOf("InvalidArgument") >= 0))',
  '{ "error": "the stream cannot take this batch: send 500 records and 5 MB at most, each below 1 MB" }',
  '#else',
  '#set($context.responseOverride.status = 503)',
  '{ "error": "the stream cannot be written now; send the same batch again later" }',
  '#end',
].join('\n');

/** The stream itself failed. */
export const FAILED_REPLY =
  '{ "error": "the stream cannot be written now; send the same batch again later" }';
