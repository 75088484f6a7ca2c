import { Duration } from 'aws-cdk-lib';
import { Metric, type MetricProps } from 'aws-cdk-lib/aws-cloudwatch';
import { type MetricSpec, metricSpec } from './schemas.ts';

type Options = Partial<Pick<MetricProps, 'period' | 'statistic' | 'label' | 'color' | 'unit'>>;

/** The series without dimensions of a catalogued metric, with the catalogue's statistic. */
export function fleetMetric(namespace: string, name: string, options: Options = {}): Metric {
  return series(metricSpec(namespace, name), {}, options);
}

/** A series of `spec`; throws when nobody emits that set of dimensions. */
export function series(
  spec: MetricSpec,
  dimensionsMap: Record<string, string>,
  options: Options = {},
): Metric {
  const wanted = Object.keys(dimensionsMap);
  const exists = spec.dimensions.some(
    (set) => set.length === wanted.length && set.every((name) => wanted.includes(name)),
  );
  if (!exists) {
    throw new Error(`${spec.namespace} ${spec.name} has no series by [${wanted.join(', ')}]`);
  }
  return new Metric({
    namespace: spec.namespace,
    metricName: spec.name,
    statistic: spec.statistic,
    period: Duration.minutes(1),
    ...(wanted.length > 0 && { dimensionsMap }),
    ...options,
  });
}
