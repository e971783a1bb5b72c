import type { TranslationBundle } from '@jupyterlab/translation';
import { Notification } from '@jupyterlab/apputils';
import { checkIcon, refreshIcon, runIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import { Ago, Body, Facts, IconButton, Pill, attempt, useLanguage, useModel } from '../components';
import type { Mark } from '../icons';
import type { Alert, AlertStatus, Monitor, ReportStatus } from '../models';
import { Row, Tree } from '../rows';
import type { IMLOpsClient } from '../tokens';
import { TreeModel } from '../tree';
import { countOf, sectionPlugin } from './section';

const MARKS: Record<ReportStatus, Mark> = { ok: 'succeeded', drift: 'warning', invalid: 'failed' };

function reportWords(trans: TranslationBundle): Record<ReportStatus, string> {
  return {
    ok: trans.__('No drift'),
    drift: trans.__('Drift'),
    invalid: trans.__('Invalid data')
  };
}

function alertWords(trans: TranslationBundle): Record<AlertStatus, string> {
  return {
    open: trans.__('Open'),
    acknowledged: trans.__('Acknowledged'),
    resolved: trans.__('Resolved')
  };
}

function alertMark(alert: Alert): Mark {
  if (alert.status === 'resolved') {
    return 'succeeded';
  }
  if (alert.status === 'acknowledged') {
    return 'seen';
  }
  return alert.severity === 'critical' ? 'failed' : 'warning';
}

async function check(
  client: IMLOpsClient,
  trans: TranslationBundle,
  monitor: string
): Promise<void> {
  const report = await attempt(client.checkMonitor(monitor));
  if (report) {
    const drifted = report.columns.filter(column => column.drift).length;
    const verdict = `${monitor}: ${reportWords(trans)[report.status]}.`;
    const detail = trans.__('%1 of %2 columns drifted.', drifted, report.columns.length);
    Notification.emit(`${verdict} ${detail}`, report.status === 'ok' ? 'success' : 'warning', {
      autoClose: 5000
    });
  }
}

function AlertRow(props: {
  alert: Alert;
  retrains: boolean;
  client: IMLOpsClient;
}): React.ReactElement {
  const { trans } = useLanguage();
  const { alert } = props;
  const status = alertWords(trans)[alert.status];
  return (
    <Row
      id={alert.id}
      mark={alertMark(alert)}
      status={status}
      name={alert.summary}
      tooltip={`${alert.summary}\n${status}`}
      detail={
        <Facts>
          {status}
          <Ago time={alert.raised} />
        </Facts>
      }
      actions={
        alert.status !== 'resolved' && (
          <>
            {props.retrains && (
              <IconButton
                label={trans.__('Retrain: %1', alert.summary)}
                icon={refreshIcon}
                run={() => attempt(props.client.retrain(alert.id))}
              />
            )}
            {alert.status === 'open' && (
              <IconButton
                label={trans.__('Acknowledge: %1', alert.summary)}
                icon={checkIcon}
                run={() => attempt(props.client.acknowledge(alert.id))}
              />
            )}
          </>
        )
      }
    />
  );
}

function MonitorRow(props: {
  monitor: Monitor;
  alerts: Alert[];
  client: IMLOpsClient;
}): React.ReactElement {
  const { trans } = useLanguage();
  const { monitor, alerts } = props;
  const status =
    monitor.last_status === null
      ? trans.__('Not checked yet')
      : reportWords(trans)[monitor.last_status];
  const open = alerts.filter(alert => alert.status === 'open').length;
  const openWords = open > 0 ? trans._n('%1 open alert', '%1 open alerts', open) : '';
  return (
    <Row
      id={monitor.name}
      mark={monitor.last_status === null ? 'pending' : MARKS[monitor.last_status]}
      status={status}
      name={monitor.name}
      label={[monitor.name, status, openWords].filter(Boolean).join(', ')}
      tags={open > 0 && <Pill tone="warn">{trans._n('%1 alert', '%1 alerts', open)}</Pill>}
      tooltip={[monitor.name, status, trans.__('Reference: %1', monitor.reference)].join('\n')}
      detail={
        <Facts>
          {status}
          {monitor.last_checked !== null && <Ago time={monitor.last_checked} />}
          {monitor.deployment}
        </Facts>
      }
      open={open > 0}
      actions={
        <IconButton
          label={trans.__('Check %1 now', monitor.name)}
          icon={runIcon}
          run={() => check(props.client, trans, monitor.name)}
        />
      }
    >
      {alerts.map(alert => (
        <AlertRow
          key={alert.id}
          alert={alert}
          retrains={monitor.retrain !== null}
          client={props.client}
        />
      ))}
    </Row>
  );
}

function Monitors(props: { client: IMLOpsClient; tree: TreeModel }): React.ReactElement {
  const { trans } = useLanguage();
  const alerts = useModel(props.client.alerts).value ?? [];
  return (
    <Body
      store={props.client.monitors}
      empty={
        <>
          {trans.__('Nothing is watched. Watch a deployment with')}{' '}
          <code>%mlops monitor create NAME --deployment D --reference FILE</code>
        </>
      }
    >
      {monitors => (
        <Tree label={trans.__('Monitors')} model={props.tree} first={monitors[0]?.name ?? null}>
          {monitors.map(monitor => (
            <MonitorRow
              key={monitor.name}
              monitor={monitor}
              alerts={alerts.filter(alert => alert.monitor === monitor.name)}
              client={props.client}
            />
          ))}
        </Tree>
      )}
    </Body>
  );
}

export const monitorsSection = sectionPlugin(
  'monitors',
  'The monitors and alerts in the MLOps sidebar.',
  (client, trans) => {
    const tree = new TreeModel();
    return {
      id: 'monitors',
      title: trans.__('Monitors'),
      rank: 500,
      stores: [client.monitors, client.alerts],
      badge: () => {
        const open = countOf(
          client.alerts,
          text => trans.__('Open alerts: %1', text),
          alert => alert.status === 'open'
        );
        return open
          ? { ...open, tone: 'alert' }
          : countOf(client.monitors, (text, count) =>
              trans._n('%2 monitor', '%2 monitors', count, text)
            );
      },
      render: () => <Monitors client={client} tree={tree} />
    };
  }
);
