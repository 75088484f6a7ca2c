/** Takes out of a template what the emulator cannot make, and nothing else. */

import { isObject, Json } from '../test/json.ts';

/** Types that it refuses by name. */
const REFUSED_TYPES: ReadonlySet<string> = new Set([
  'AWS::ApplicationAutoScaling::ScalableTarget',
  'AWS::ApplicationAutoScaling::ScalingPolicy',
  'AWS::EC2::EIP',
  'AWS::EC2::FlowLog',
  'AWS::EC2::NatGateway',
  'AWS::Events::Archive',
]);

export interface Reduced {
  readonly template: object;
  /** Logical ids that were taken out. */
  readonly removed: readonly string[];
}

/** The template without what is refused; references to that become plain text. */
export function reduce(template: unknown): Reduced {
  const all = new Json(template).at('Resources');
  const kept = all.entries().filter(([, resource]) => !refused(resource));
  const removed = all
    .entries()
    .map(([id]) => id)
    .filter((id) => !kept.some(([keptId]) => keptId === id));
  const gone = new Set(removed);
  const resources = Object.fromEntries(
    kept.map(([id, resource]) => [id, withoutReferences(resource.value, gone, all)]),
  );
  // A bootstrapped account and its rules are AWS's own; outputs are checked in the template.
  return { template: { Resources: resources }, removed };
}

function refused(resource: Json): boolean {
  const type = resource.at('Type').text();
  // It has no metric math: an alarm with queries makes it roll the stack back.
  const math = type === 'AWS::CloudWatch::Alarm' && resource.at('Properties', 'Metrics').exists();
  return math || REFUSED_TYPES.has(type);
}

function withoutReferences(value: unknown, gone: ReadonlySet<string>, all: Json): unknown {
  if (Array.isArray(value)) {
    return value.map((item) => withoutReferences(item, gone, all));
  }
  if (!isObject(value)) {
    return value;
  }
  const get = new Json(value).at('Fn::GetAtt').list();
  const [target, attribute] = get.length > 0 ? get.map((part) => part.value) : [value['Ref']];
  if (gone.has(String(target))) {
    return `removed-${target}`;
  }
  if (attribute === 'CidrBlock') {
    // It does not know this attribute of a VPC, which is the property of the same name.
    return all.at(String(target), 'Properties', 'CidrBlock').value;
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      key === 'DependsOn'
        ? [item].flat().filter((id) => !gone.has(String(id)))
        : withoutReferences(item, gone, all),
    ]),
  );
}
