/** How API Gateway turns a batch of telemetry into `PutRecords` and its answer into ours. */
import { type JsonSchema, JsonSchemaType, JsonSchemaVersion } from 'aws-cdk-lib/aws-apigateway';

const id = { type: JsonSchemaType.STRING, minLength: 1, maxLength: 256 };

/** Only what routing needs; the worker checks the rest and keeps what it rejects. */
export const BATCH_SCHEMA: JsonSchema = {
  schema: JsonSchemaVersion.DRAFT4,
  title: 'TelemetryBatch',
  type: JsonSchemaType.OBJECT,
  required: ['records'],
  properties: {
    records: {
      type: JsonSchemaType.ARRAY,
      minItems: 1,
      // PutRecords takes no more.
      maxItems: 500,
      items: {
        type: JsonSchemaType.OBJECT,
        required: ['type', 'sessionId', 'channelId', 'playerId', 'timestamp'],
        properties: {
          type: { type: JsonSchemaType.STRING, enum: ['player_telemetry'] },
          sessionId: id,
          channelId: id,
          playerId: id,
        },
      },
    },
  },
};

/** One Kinesis record per element, the element as it came, keyed by session. */
export function putRecordsRequest(streamName: string): string {
  return [
    "#set($records = $input.path('$.records'))",
    '{',
    `  "StreamName": "${streamName}",`,
    '  "Records": [',
    '    #foreach($record in $records)',
    '    {',
    '      "Data": "$util.base64Encode($input.json("$.records[$foreach.index]"))",',
    '      "PartitionKey": "$util.escapeJavaScript($record.sessionId)"',
    '    }#if($foreach.hasNext),#end',
    '    #end',
    '  ]',
    '}',
  ].join('\n');
}

/**
 * PutRecords answers 200 even when it stored only some: say 503 then, and which ones to send again.
 * Sending all again is safe, records carry an event id.
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
