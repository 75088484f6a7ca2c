import { Duration } from 'aws-cdk-lib';
import {
  AlarmStatusWidget,
  Dashboard,
  DashboardVariable,
  DefaultValue,
  type IWidget,
  PeriodOverride,
  TextWidget,
  Values,
  VariableInputType,
  VariableType,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import { metricSpec, NAMESPACES, resources } from '../schemas.ts';
import { catalogueWidgets, resourceWidgets } from '../widgets.ts';
import type { Alerts } from './alerts.ts';
import type { Ingest } from './ingest.ts';
import type { Processor } from './processor.ts';
import type { Storage } from './storage.ts';

export interface LiveDashboardProps {
  readonly alerts: Alerts;
  readonly ingest: Ingest;
  readonly processor: Processor;
  readonly storage: Storage;
  readonly runbookBase?: string;
}

/** Stands in the widgets where the channel chosen on the dashboard is put; a channel id has no such form. */
export const CHANNEL_PLACEHOLDER = 'choose-a-channel';

/** `LiveStreamingDashboard`: the tutorial's five widgets, what players see, and the system itself. */
export class LiveDashboard extends Construct {
  readonly dashboard: Dashboard;

  constructor(scope: Construct, id: string, props: LiveDashboardProps) {
    super(scope, id);
    this.dashboard = new Dashboard(this, 'Dashboard', {
      dashboardName: resources.dashboard,
      defaultInterval: Duration.hours(6),
      // Widgets keep their own periods when a longer interval is chosen.
      periodOverride: PeriodOverride.INHERIT,
      variables: [channelPicker()],
      widgets: [
        [new AlarmStatusWidget({ title: 'Alarms', alarms: [...props.alerts.alarms], width: 24, height: 4 })],
        ...resources.dashboardSections.flatMap((section) => [
          ...(section.title === '' ? [] : [heading(section.title, section.text)]),
          ...catalogueWidgets(section, CHANNEL_PLACEHOLDER),
        ]),
        heading(
          'Resources',
          `What to do when it looks bad: ${props.runbookBase ?? 'docs/operations in the sources'}.`,
        ),
        ...resourceWidgets(props),
      ],
    });
  }
}

function heading(title: string, text: string): IWidget[] {
  return [new TextWidget({ markdown: `## ${title}\n${text}`, width: 24, height: 2 })];
}

/**
 * Replaces text, because our metrics call the dimension `ChannelId` and IVS's own call it `Channel`
 * for the same value. The choice comes from IVS's own metric: it is there for every channel that
 * streams, whether or not an application reports anything.
 */
function channelPicker(): DashboardVariable {
  const { namespace, name, dimensions } = metricSpec(NAMESPACES.ivs, 'IngestFramerate');
  const [populateFrom = ''] = dimensions.find((set) => set.length === 1) ?? [];
  return new DashboardVariable({
    id: 'channel',
    label: 'Channel',
    type: VariableType.PATTERN,
    value: CHANNEL_PLACEHOLDER,
    inputType: VariableInputType.SELECT,
    defaultValue: DefaultValue.FIRST,
    values: Values.fromSearchComponents({
      namespace,
      dimensions: [populateFrom],
      metricName: name,
      populateFrom,
    }),
  });
}
