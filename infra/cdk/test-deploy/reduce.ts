/** Takes out of a template what the emulator cannot make, and nothing else. */

type Json = any;

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
  readonly template: Json;
  /** Logical ids that were taken out. */
  readonly removed: readonly string[];
}

/** The template without what is refused; references to that become plain text. */
export function reduce(template: Json): Reduced {
  const kept = Object.entries<Json>(template.Resources).filter(([, resource]) => !refused(resource));
  const removed = Object.keys(template.Resources).filter((id) => !kept.some(([keptId]) => keptId === id));
  const gone = new Set(removed);
  const resources = Object.fromEntries(
    kept.map(([id, resource]) => [id, withoutReferences(resource, gone, template.Resources)]),
  );
  // A bootstrapped account and its rules are AWS's own; outputs are checked in the template.
  return { template: { Resources: resources }, removed };
}

function refused({ Type, Properties }: Json): boolean {
  // It has no metric math: an alarm with queries makes it roll the stack back.
  return REFUSED_TYPES.has(Type) || (Type === 'AWS::CloudWatch::Alarm' && Properties.Metrics !== undefined);
}

function withoutReferences(value: Json, gone: ReadonlySet<string>, all: Json): Json {
  if (Array.isArray(value)) {
    return value.map((item) => withoutReferences(item, gone, all));
  }
  if (value === null || typeof value !== 'object') {
    return value;
  }
  const [target, attribute] = value['Fn::GetAtt'] ?? [value.Ref];
  if (gone.has(target)) {
    return `removed-${target}`;
  }
  if (attribute === 'CidrBlock') {
    // It does not know this attribute of a VPC, which is the property of the same name.
    return all[target].Properties.CidrBlock;
  }
  return Object.fromEntries(
    Object.entries<Json>(value).map(([key, item]) => [
      key,
      key === 'DependsOn'
        ? [item].flat().filter((id: string) => !gone.has(id))
        : withoutReferences(item, gone, all),
    ]),
  );
}
