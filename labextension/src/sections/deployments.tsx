import { Clipboard, Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { copyIcon, stopIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import { Body, Facts, IconButton, Properties, attempt, useLanguage } from '../components';
import { figure } from '../format';
import type { Mark } from '../icons';
import type { Deployment, DeploymentStatus } from '../models';
import { Row, RowContent, Tree } from '../rows';
import type { IMLOpsClient } from '../tokens';
import { TreeModel } from '../tree';
import { countOf, sectionPlugin } from './section';

const MARKS: Record<DeploymentStatus, Mark> = {
  starting: 'running',
  ready: 'live',
  failed: 'failed',
  stopped: 'down'
};

function words(trans: TranslationBundle): Record<DeploymentStatus, string> {
  return {
    starting: trans.__('Starting'),
    ready: trans.__('Ready'),
    failed: trans.__('Failed'),
    stopped: trans.__('Stopped')
  };
}

async function stop(client: IMLOpsClient, trans: TranslationBundle, name: string): Promise<void> {
  const asked = await showDialog({
    title: trans.__('Stop %1?', name),
    body: trans.__('It answers no more requests. What it recorded stays.'),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.warnButton({ label: trans.__('Stop') })
    ]
  });
  if (asked.button.accept) {
    await attempt(client.stopDeployment(name));
  }
}

function DeploymentRow(props: {
  deployment: Deployment;
  client: IMLOpsClient;
}): React.ReactElement {
  const { trans, locale } = useLanguage();
  const { deployment } = props;
  const { name, model, url } = deployment;
  const status = words(trans)[deployment.status];
  const up = deployment.status === 'ready' || deployment.status === 'starting';
  const versions = deployment.versions.map(({ version, weight }) =>
    weight < 1 ? `v${version} ${Math.round(weight * 100)} %` : `v${version}`
  );
  const source = deployment.alias === null ? model : `${model}@${deployment.alias}`;
  const count = (value: number): string => new Intl.NumberFormat(locale).format(value);
  const facts: [string, React.ReactNode][] = [
    [trans.__('URL'), url],
    [trans.__('Model'), source],
    [trans.__('Serving'), versions.join(', ') || '–'],
    [trans.__('Requests'), count(deployment.requests)],
    [trans.__('Errors'), count(deployment.errors)],
    [trans.__('p50'), `${figure(deployment.p50_ms, locale)} ms`],
    [trans.__('p99'), `${figure(deployment.p99_ms, locale)} ms`],
    [trans.__('Target'), deployment.target]
  ];
  return (
    <Row
      id={name}
      mark={MARKS[deployment.status]}
      status={status}
      name={name}
      label={[name, status, source, ...versions].join(', ')}
      tooltip={[name, status, source, url].filter(Boolean).join('\n')}
      detail={
        <Facts>
          {deployment.status === 'ready' ? undefined : status}
          {versions.join(', ') || model}
          {deployment.errors > 0 && (
            <span className="mlops-bad">
              {trans._n('%1 error', '%1 errors', deployment.errors)}
            </span>
          )}
          {trans._n('%2 request', '%2 requests', deployment.requests, count(deployment.requests))}
        </Facts>
      }
      figure={
        up && deployment.p50_ms !== null ? `${figure(deployment.p50_ms, locale)} ms` : undefined
      }
      caption={trans.__('p50')}
      actions={
        up && (
          <>
            <IconButton
              label={trans.__('Copy URL of %1', name)}
              icon={copyIcon}
              run={() => Clipboard.copyToSystem(url)}
            />
            <IconButton
              label={trans.__('Stop %1', name)}
              icon={stopIcon}
              run={() => stop(props.client, trans, name)}
            />
          </>
        )
      }
    >
      <RowContent>
        {deployment.error !== null && <p className="mlops-Message mlops-bad">{deployment.error}</p>}
        <Properties title={trans.__('Details')} entries={facts} bare />
      </RowContent>
    </Row>
  );
}

function Deployments(props: { client: IMLOpsClient; tree: TreeModel }): React.ReactElement {
  const { trans } = useLanguage();
  return (
    <Body
      store={props.client.deployments}
      empty={
        <>
          {trans.__('Nothing is served. Serve a model with')}{' '}
          <code>%mlops deploy MODEL@champion --name NAME</code>
        </>
      }
    >
      {deployments => (
        <Tree
          label={trans.__('Deployments')}
          model={props.tree}
          first={deployments[0]?.name ?? null}
        >
          {deployments.map(deployment => (
            <DeploymentRow key={deployment.name} deployment={deployment} client={props.client} />
          ))}
        </Tree>
      )}
    </Body>
  );
}

export const deploymentsSection = sectionPlugin(
  'deployments',
  'The deployments in the MLOps sidebar.',
  (client, trans) => {
    const tree = new TreeModel();
    return {
      id: 'deployments',
      title: trans.__('Deployments'),
      rank: 400,
      stores: [client.deployments],
      badge: () =>
        countOf(
          client.deployments,
          text => trans.__('%1 ready', text),
          deployment => deployment.status === 'ready'
        ),
      render: () => <Deployments client={client} tree={tree} />
    };
  }
);
