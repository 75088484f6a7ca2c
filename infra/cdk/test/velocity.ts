/** API Gateway's mapping templates, evaluated with the variables that AWS gives them. */
import { render } from 'velocityjs';
import { isObject } from './json.ts';

export interface Mapped {
  readonly body: string;
  /** Set by the template; undefined leaves the status of the integration response. */
  readonly status: number | undefined;
}

export function evaluate(template: string, body: unknown): Mapped {
  const responseOverride: { status?: number } = {};
  const text = render(template, {
    input: {
      path: (path: string) => pick(body, path) ?? null,
      json: (path: string) => JSON.stringify(pick(body, path)),
      body,
    },
    util: { base64Encode: (value: string) => Buffer.from(value).toString('base64'), escapeJavaScript },
    context: { responseOverride },
  });
  return { body: text, status: responseOverride.status };
}

/** The part of JSONPath that our templates use: `$.name[0].name`. */
function pick(body: unknown, path: string): unknown {
  const steps = path.match(/[A-Za-z_]\w*|\d+/g) ?? [];
  let here = body;
  for (const step of steps) {
    here = isObject(here) || Array.isArray(here) ? Reflect.get(here, step) : undefined;
  }
  return here;
}

/** A string of Java's: there `replaceAll` takes a regular expression. */
class JavaString extends String {
  override replaceAll(expression: string | RegExp, replacement: unknown): string {
    return this.replace(new RegExp(expression, 'g'), String(replacement));
  }
}

/** `StringEscapeUtils.escapeJavaScript` of commons-lang 2, which is behind `$util`. */
function escapeJavaScript(text: string): JavaString {
  return new JavaString([...text].map(escapeCharacter).join(''));
}

const SHORT: Readonly<Record<string, string>> = {
  '\b': '\\b',
  '\n': '\\n',
  '\t': '\\t',
  '\f': '\\f',
  '\r': '\\r',
};

function escapeCharacter(character: string): string {
  if (/['"\\/]/.test(character)) {
    return `\\${character}`;
  }
  const short = SHORT[character];
  if (short !== undefined) {
    return short;
  }
  if (/[ -~]/.test(character)) {
    return character;
  }
  const units = [...Array(character.length).keys()].map((index) => character.charCodeAt(index));
  return units.map((unit) => `\\u${unit.toString(16).toUpperCase().padStart(4, '0')}`).join('');
}
